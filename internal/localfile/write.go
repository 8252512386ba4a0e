package localfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Seen is what a file held when it was looked at. The zero value is that of a file that was not there.
type Seen struct {
	there   bool
	content []byte
}

// Held is the Seen of a file with this content.
func Held(content []byte) Seen { return Seen{there: true, content: content} }

// Look reads the file that [Replace] would write, up to limit bytes. The errors are *KindError,
// *DirectoryError when the file cannot be there, *TooLargeError, and those of the file system.
func Look(path string, limit int64) (Seen, error) {
	place, err := locate(path)
	if errors.As(err, new(*DirectoryError)) && errors.Is(err, fs.ErrNotExist) {
		return Seen{}, nil // nor is the directory
	}
	if err != nil || place.info == nil {
		return Seen{}, err
	}
	content, err := ReadRegular(place.path, limit)
	if err != nil {
		return Seen{}, err
	}
	return Held(content), nil
}

// There says whether there was a file.
func (s Seen) There() bool { return s.there }

// Content is what the file held; nothing for one that was not there.
func (s Seen) Content() []byte { return s.content }

// Replace gives a file new content in one step, if it still is what was seen. A file that is there keeps its
// owner, its group and its mode; a new one gets the mode that the umask allows, or, when it is private, is
// for its owner alone. A symbolic link is followed and stays.
//
// The errors are *ChangedError, when the file is not what was seen, *KindError, *OwnerError, *DirectoryError,
// and those of the file system. After any error the file is as it was. Replace may be repeated with what is
// there then.
func Replace(path string, seen Seen, content []byte, private bool) error {
	place, err := locate(path)
	if err != nil {
		return err
	}
	if (place.info != nil) != seen.there {
		return &ChangedError{Path: path}
	}
	temporary, err := place.writeBeside(content, private)
	if err != nil {
		return err
	}
	if err := place.move(temporary, seen); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = &ChangedError{Path: path}
		}
		return errors.Join(err, gone(os.Remove(temporary)))
	}
	return syncDirectory(filepath.Dir(place.path))
}

// Beside keeps content in a file next to another one, of the same owner and for its owner alone, and returns
// its path: that of the file with suffix added, and a number when another content has that name already. The
// same content is kept once.
func Beside(path, suffix string, content []byte) (string, error) {
	of, err := locate(path)
	if err != nil {
		return "", err
	}
	for n := 1; n < maxBeside; n++ {
		name := of.path + suffix
		if n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		place, err := locate(name)
		if errors.As(err, new(*KindError)) {
			continue
		}
		if err != nil {
			return "", err
		}
		if place.info != nil {
			if same, err := place.holds(content); err != nil || same {
				return name, err
			}
			continue
		}
		place.like = of.info
		temporary, err := place.writeBeside(content, true)
		if err != nil {
			return "", err
		}
		err = place.move(temporary, Seen{})
		if err == nil {
			return name, syncDirectory(filepath.Dir(name))
		}
		if err = errors.Join(err, gone(os.Remove(temporary))); !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s: there are %d files %s* beside it already",
		path, maxBeside, filepath.Base(of.path)+suffix)
}

// maxBeside is how many names are tried.
const maxBeside = 1000

// Directory makes a directory and those above it, as far as they are not there.
func Directory(path string, mode fs.FileMode) error { return os.MkdirAll(path, mode) }

// Create makes a new file, for its owner alone, to write to as the run goes. The error is fs.ErrExist when
// there is one of that name.
func Create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Remove takes a regular file or a symbolic link away and says whether there was one.
func Remove(path string) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		err = &KindError{Path: path, Kind: kindOf(info.Mode())}
	}
	if err == nil {
		err = os.Remove(path)
	}
	return err == nil, err
}

// place is where a file is, or would be, with symbolic links followed.
type place struct {
	path string
	info fs.FileInfo // nil when it is not there
	like fs.FileInfo // of a new file: whose owner it gets; nil is the process's own
}

// locate finds the regular file that a path leads to, or the place for one.
func locate(path string) (place, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return absent(path)
	}
	if err != nil {
		// what cannot be looked at cannot be written either
		return place{}, &DirectoryError{Path: filepath.Dir(path), Err: bare(err)}
	}
	if !info.Mode().IsRegular() {
		return place{}, &KindError{Path: path, Kind: kindOf(info.Mode())}
	}
	if isStream(path) {
		return place{}, &KindError{Path: path, Kind: "a standard stream"}
	}
	target, err := filepath.EvalSymlinks(path)
	return place{path: target, info: info}, err
}

// absent finds the place of a file that is not there.
func absent(path string) (place, error) {
	if _, err := os.Lstat(path); err == nil {
		return place{}, &KindError{Path: path, Kind: "a symbolic link that leads to nothing"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return place{}, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return place{}, &DirectoryError{Path: filepath.Dir(path), Err: bare(err)}
	}
	return place{path: filepath.Join(dir, filepath.Base(path))}, nil
}

// Target is the path to which [Replace] would write, with symbolic links followed. The errors are those of
// [Look].
func Target(path string) (string, error) {
	place, err := locate(path)
	return place.path, err
}

// isStream says whether a path is one of the links by which a process's own streams are named, as
// /dev/stdout: to replace the file that such a stream goes to would take it away from whoever writes there,
// too.
func isStream(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	return err == nil && (dir == "/dev" || within(dir, "/proc"))
}

func within(dir, root string) bool {
	relative, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(relative)
}

// writeBeside writes content to a new file in the same directory, with the owner and the mode that the file
// in place is going to have. Its name begins with a dot, so that nobody takes it for one of the files there.
func (p place) writeBeside(content []byte, private bool) (temporary string, err error) {
	mode := fs.FileMode(0o666) // less what the umask takes away
	if private || p.info != nil {
		mode = 0o600
	}
	var file *os.File
	for {
		// only to be a new name
		temporary = filepath.Join(filepath.Dir(p.path),
			fmt.Sprintf(".%s.%08x.tmp", filepath.Base(p.path), rand.Uint32()))
		file, err = os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return "", &DirectoryError{Path: filepath.Dir(p.path), Err: bare(err)}
	}
	like := p.like
	if p.info != nil {
		like = p.info
	}
	if like != nil && !keepOwner(file, like) {
		err = &OwnerError{Path: p.path}
	}
	if err == nil && p.info != nil {
		err = file.Chmod(p.info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky))
	}
	if err == nil {
		_, err = file.Write(content)
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temporary))
	}
	return temporary, nil
}

// move puts the temporary file in place, if that still is what was seen: this is the moment of writing. The
// error wraps fs.ErrExist when it is not.
func (p place) move(temporary string, seen Seen) error {
	if !seen.there {
		// A link, unlike a renaming, never takes the place of a file that has come meanwhile.
		err := os.Link(temporary, p.path)
		if err == nil {
			return os.Remove(temporary)
		}
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		// A file system without links.
		if _, err := os.Lstat(p.path); !errors.Is(err, fs.ErrNotExist) {
			return fs.ErrExist
		}
		return os.Rename(temporary, p.path)
	}
	if same, err := p.holds(seen.content); err != nil {
		return err
	} else if !same {
		return fs.ErrExist
	}
	return os.Rename(temporary, p.path)
}

// holds says whether the file is still the one that was located, with this content.
func (p place) holds(content []byte) (bool, error) {
	info, err := os.Lstat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !os.SameFile(info, p.info) || info.Size() != int64(len(content)) {
		return false, nil
	}
	there, err := ReadRegular(p.path, int64(len(content)))
	return bytes.Equal(there, content), err
}

// gone forgets that a file to be removed is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDirectory makes a renaming last. Where directories cannot be synced it lasts when the system gets to
// it.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return nil // the file is written; a directory that may be written and not read is a rarity
	}
	_ = dir.Sync()
	return dir.Close()
}

// bare is an error without the operation and the path.
func bare(err error) error {
	if path := new(fs.PathError); errors.As(err, &path) {
		return path.Err
	}
	return err
}
