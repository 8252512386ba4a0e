package localfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Check says whether [Replace] could write a file, and the directories above it that are not there, as far as
// that can be known without writing anything: what is there is a regular file, and a new one may be made in
// its directory. The errors are *KindError, *DirectoryError and those of the file system.
func Check(path string) error {
	place, err := locate(path)
	if directory := new(DirectoryError); errors.As(err, &directory) && errors.Is(err, fs.ErrNotExist) {
		return checkDirectory(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	return checkDirectory(filepath.Dir(place.path))
}

// checkDirectory finds the next directory above that is there.
func checkDirectory(path string) error {
	for {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path:
			if _, err := os.Lstat(path); err == nil {
				return &KindError{Path: path, Kind: "a symbolic link that leads to nothing"}
			}
			path = filepath.Dir(path)
			continue
		case err != nil:
			return &DirectoryError{Path: path, Err: bare(err)}
		case !info.IsDir():
			return &DirectoryError{Path: path,
				Err: errors.New("it is " + kindOf(info.Mode()) + ", not a directory")}
		}
		if err := mayWrite(path); err != nil {
			return &DirectoryError{Path: path, Err: err}
		}
		return nil
	}
}
