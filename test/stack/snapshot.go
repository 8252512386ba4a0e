//go:build unix

package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// State is a copy of a stack's cluster, as it was at a moment. It belongs to
// the stack that made it and ends with it.
type State struct {
	dir       string            // the database in etcd, the Flux controllers' files in flux
	addresses map[string]string // of artifacts: see fluxRunner
}

// Save makes a copy of the cluster as it is now, which Restore brings back as
// often as it is wanted. What controllers are in the middle of is half done in
// the copy, as after a power cut, so that they had better rest.
func (s *Stack) Save() (state *State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flux == nil {
		state, err = s.snapshot(nil)
	} else {
		s.flux.still(func(addresses map[string]string) { state, err = s.snapshot(addresses) })
	}
	if err != nil {
		return nil, fmt.Errorf("keeping a copy of the cluster: %w", err)
	}
	return state, nil
}

// snapshot copies the database, and what Flux has on disk. etcd is frozen
// meanwhile: what is on disk then is what a killed etcd would leave, which it is
// built to start from.
func (s *Stack) snapshot(addresses map[string]string) (*State, error) {
	s.etcd.signal(unix.SIGSTOP)
	defer s.etcd.signal(unix.SIGCONT)
	if err := waitFrozen(s.etcd.cmd.Process.Pid); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "state-")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(copyTree(s.etcdDir(), filepath.Join(dir, "etcd")), copyTree(s.fluxDir(), filepath.Join(dir, "flux"))); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &State{dir, maps.Clone(addresses)}, nil
}

// putBack replaces what is on disk by the copy. No program may run.
func (s *Stack) putBack(state *State) error {
	for from, to := range map[string]string{"etcd": s.etcdDir(), "flux": s.fluxDir()} {
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		if err := copyTree(filepath.Join(state.dir, from), to); err != nil {
			return err
		}
	}
	return nil
}

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
		if entry.Type()&fs.ModeSymlink != 0 {
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
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
