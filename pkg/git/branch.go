package git

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
)

// BranchState is what was found where the branch should be.
type BranchState int

// The states.
const (
	// BranchExists: the snapshot is the branch's tip.
	BranchExists BranchState = iota + 1
	// BranchMissing: there are commits, but no such branch. The snapshot is the tip of the default branch, on
	// which a push creates the branch. If the default branch has no commit either, the snapshot is that of
	// the only branch, or empty when there are many.
	BranchMissing
	// RepositoryEmpty: there is no commit at all. The snapshot is empty; a push makes the first commit.
	RepositoryEmpty
)

// Entry is one entry of a directory.
type Entry struct {
	Name   string // the last element of Path, as it is in the repository: not made fit to be shown
	Path   string
	Mode   Mode
	BlobID string // the object's name, in hexadecimal
	// Unsafe says that the path is one that every method of the snapshot refuses, such as one with ".." in
	// it.
	Unsafe bool
}

// BlobID is the name, in hexadecimal, that Git gives a file with this content in a repository whose objects
// are named by SHA-1 (gitformat-pack and "Git Objects" of the Git book).
func BlobID(content []byte) string {
	h := sha1.New() // a name, not a proof: Git's own choice
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

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

var modeNames = map[Mode]string{File: "file", Executable: "executable", Dir: "directory", Symlink: "symlink",
	Submodule: "submodule"}

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
