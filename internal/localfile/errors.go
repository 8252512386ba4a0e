package localfile

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// ChangedError says that a file is not what it was when it was read. It has been left as it is.
type ChangedError struct{ Path string }

func (e *ChangedError) Error() string {
	return e.Path + " has changed since it was read, and was left as it is"
}

// Hint is the next action.
func (e *ChangedError) Hint() hint.Hint {
	return hint.Text("%s: it reads the file again", hint.Again)
}

// KindError says that a path leads to something that is no regular file, which is neither replaced nor, where
// a regular file is needed, read.
type KindError struct {
	Path string
	Kind string // what it is, with an article
}

func (e *KindError) Error() string {
	return fmt.Sprintf("%s is %s, not a regular file", e.Path, e.Kind)
}

// Hint is the next action.
func (e *KindError) Hint() string { return "name a regular file" }

// OwnerError says that a file belongs to somebody else, or to another group, and could not be given back to
// them after it was written.
type OwnerError struct{ Path string }

func (e *OwnerError) Error() string {
	return e.Path +
		" belongs to another user or group, and would not any more if you wrote it; it was left as it is"
}

// Hint is the next action.
func (e *OwnerError) Hint() hint.Hint {
	return hint.Command("%s as the file's owner; ls -l %s shows who that is", hint.Otherwise, e.Path)
}

// DirectoryError says that no file can be made in a directory.
type DirectoryError struct {
	Path string
	Err  error
}

func (e *DirectoryError) Error() string {
	return fmt.Sprintf("no file can be written in directory %s: %v", Whole(e.Path), e.Err)
}

// Unwrap returns the cause.
func (e *DirectoryError) Unwrap() error { return e.Err }

// Hint is the next action.
func (e *DirectoryError) Hint() hint.Hint {
	return hint.Text("make the directory writable for you, or %s in another one, with the whole paths of "+
		"the files that it names", hint.Otherwise)
}

// TooLargeError says that a file is larger than what it is read for may be.
type TooLargeError struct {
	Path  string
	Limit int64 // in bytes
}

func (e *TooLargeError) Error() string {
	if e.Limit >= 1<<20 {
		return fmt.Sprintf("%s is larger than %d MiB", e.Path, e.Limit>>20)
	}
	return fmt.Sprintf("%s is larger than %d KiB", e.Path, e.Limit>>10)
}

// Whole is a path as it is found from anywhere.
func Whole(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		return absolute
	}
	return path
}

// kindOf says what is no regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}
