package gitrepo

import "github.com/go-git/go-git/v5/plumbing/filemode"

// Mode is what an entry of a directory is.
type Mode int

// The modes.
const (
	File Mode = iota + 1
	Executable
	Dir
	Symlink
	Submodule
)

var modeNames = map[Mode]string{File: "file", Executable: "executable", Dir: "directory", Symlink: "symlink", Submodule: "submodule"}

// String is one word, such as symlink.
func (m Mode) String() string { return modeNames[m] }

func (m Mode) phrase() string {
	switch m {
	case Symlink:
		return "a symbolic link"
	case Submodule:
		return "a submodule"
	case Dir:
		return "a directory"
	case Executable:
		return "an executable file"
	}
	return "a file"
}

// IsFile says whether there is content to read.
func (m Mode) IsFile() bool { return m == File || m == Executable }

// modeOf maps git's modes, old forms included.
func modeOf(m filemode.FileMode) (Mode, bool) {
	switch m {
	case filemode.Regular, filemode.Deprecated:
		return File, true
	case filemode.Executable:
		return Executable, true
	case filemode.Dir:
		return Dir, true
	case filemode.Symlink:
		return Symlink, true
	case filemode.Submodule:
		return Submodule, true
	}
	return 0, false
}
