//go:build unix

package stack

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// snapshot copies the database, in the place of an earlier copy. etcd is frozen meanwhile: what is on disk then
// is what a killed etcd would leave, which it is built to start from.
func (s *Stack) snapshot() error {
	s.etcd.signal(unix.SIGSTOP)
	defer s.etcd.signal(unix.SIGCONT)
	if err := waitFrozen(s.etcd.cmd.Process.Pid); err != nil {
		return err
	}
	if err := os.RemoveAll(s.snapshotDir()); err != nil {
		return err
	}
	return copyTree(s.etcdDir(), s.snapshotDir())
}

// restore puts the copy back. No program may run.
func (s *Stack) restore() error {
	if err := os.RemoveAll(s.etcdDir()); err != nil {
		return err
	}
	return copyTree(s.snapshotDir(), s.etcdDir())
}

func (s *Stack) snapshotDir() string { return filepath.Join(s.dir, "etcd-fresh") }

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copySparse(path, target)
	})
}

// copySparse copies a file and leaves holes where it is zero: etcd allocates
// its files, 64 MB each, long before it fills them.
func copySparse(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	const size = 64 << 10
	block, zero := make([]byte, size), make([]byte, size)
	var offset int64
	for {
		n, err := io.ReadFull(source, block)
		if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
			if _, err := target.WriteAt(block[:n], offset); err != nil {
				return err
			}
		}
		offset += int64(n)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return target.Truncate(offset)
		case err != nil:
			return err
		}
	}
}
