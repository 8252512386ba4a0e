//go:build unix

package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// State is a copy of a stack's cluster, as it was at a moment. It belongs to
// the stack that made it and ends with it.
type State struct {
	database  content
	flux      string            // directory with a copy of the Flux controllers' files
	addresses map[string]string // of artifacts: see fluxRunner
}

// Save makes a copy of the cluster as it is now, which Restore brings back as
// often as it is wanted. What controllers are in the middle of is half done in
// the copy, as after a power cut, so that they had better rest.
func (s *Stack) Save(ctx context.Context) (state *State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flux == nil {
		state, err = s.snapshot(ctx, nil)
	} else {
		s.flux.still(func(addresses map[string]string) { state, err = s.snapshot(ctx, addresses) })
	}
	if err != nil {
		return nil, fmt.Errorf("keeping a copy of the cluster: %w", err)
	}
	return state, nil
}

// snapshot copies the database, and what Flux has on disk.
func (s *Stack) snapshot(ctx context.Context, addresses map[string]string) (*State, error) {
	database, _, err := s.database().read(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "state-")
	if err != nil {
		return nil, err
	}
	if err := copyTree(s.fluxDir(), dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &State{database, dir, maps.Clone(addresses)}, nil
}

// remove removes what a state has on disk. It can't be brought back any more.
func (state *State) remove() error { return os.RemoveAll(state.flux) }

// putBack makes the cluster what it was, and starts or thaws the API server.
// Nothing else may work on the cluster meanwhile.
func (s *Stack) putBack(ctx context.Context, state *State) error {
	if err := os.RemoveAll(s.fluxDir()); err != nil {
		return err
	}
	if err := copyTree(state.flux, s.fluxDir()); err != nil {
		return err
	}
	holds, _, err := s.database().read(ctx)
	if err != nil {
		return err
	}
	if err := s.database().write(ctx, holds, state.database); err != nil {
		return err
	}
	if s.api.alive() {
		s.api.signal(unix.SIGCONT)
	} else if err := s.startAPIServer(); err != nil {
		return err
	}
	if err := s.waitReady(ctx, readyAgain); err != nil {
		return err
	}
	if err := s.settle(ctx, holds, state.database); err != nil {
		return err
	}
	if s.answers(ctx, state.database) == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	// Once in some hundred times, one that has seen its definitions change no
	// longer answers for the objects of one of them. A new one does.
	s.api.kill()
	if err := s.startAPIServer(); err != nil {
		return err
	}
	if err := s.waitReady(ctx, readyAgain); err != nil {
		return err
	}
	return s.settle(ctx, state.database, state.database)
}

// answerTime is how long the API server may take until it answers for all that
// is defined. It takes a second or two where its caches are made anew.
const answerTime = 15 * time.Second

// answers makes sure that the API server answers for the objects of everything
// that is defined, from its caches, which it makes when definitions change.
func (s *Stack) answers(ctx context.Context, now content) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	is, err := now.defined()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for r := range is {
		group.Go(func() error {
			for {
				_, err := s.get(ctx,
					fmt.Sprintf("/apis/%s/%s/%s?limit=1&resourceVersion=0", r.group, r.version, r.plural),
					"application/json")
				if err == nil {
					return nil
				}
				if ended := sleep.For(ctx, 100*time.Millisecond); ended != nil {
					return errors.Join(ended, err)
				}
			}
		})
	}
	return group.Wait()
}

// settle waits until the API server serves what is defined now, and no longer
// what was before, and has done to the database what that entails; and undoes
// this where it is not as it was.
func (s *Stack) settle(ctx context.Context, before, now content) error {
	was, err := before.defined()
	if err != nil {
		return err
	}
	is, err := now.defined()
	if err != nil {
		return err
	}
	either := maps.Clone(was)
	maps.Copy(either, is)
	for {
		served, err := s.served(ctx)
		if err != nil {
			return err
		}
		settled := true
		for r := range either {
			settled = settled && served[r] == is[r]
		}
		holds, revision, err := s.database().read(ctx)
		if err != nil {
			return err
		}
		if !maps.EqualFunc(holds, now, bytes.Equal) {
			settled = false
			if err := s.database().write(ctx, holds, now); err != nil {
				return err
			}
		}
		if settled {
			s.restoredAt = revision
			return nil
		}
		if err := sleep.For(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for the API server to see that the cluster was put back: %w", err)
		}
	}
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
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
