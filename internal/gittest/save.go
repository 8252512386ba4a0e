package gittest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// State is a copy of a server's repositories, as they were at a moment: see [Server.Save].
type State struct {
	dir      string
	names    []string
	hostKeys []ssh.Signer
}

// Save makes a copy of all repositories, which Restore brings back as often as it is wanted. It belongs to
// the server and ends with it.
func (s *Server) Save() (*State, error) {
	state := &State{}
	for _, r := range s.Repos() {
		state.names = append(state.names, r.Name())
	}
	s.mu.Lock()
	state.hostKeys = slices.Clone(s.hostKeys)
	s.mu.Unlock()
	var err error
	if state.dir, err = os.MkdirTemp(s.dir, "state-"); err == nil {
		err = os.CopyFS(filepath.Join(state.dir, "repos"), os.DirFS(filepath.Join(s.dir, "repos")))
	}
	if err != nil {
		return nil, fmt.Errorf("saving repositories: %w", err)
	}
	return state, nil
}

// Restore puts the repositories back to a state of the server's own, counts from zero, ends all faults and
// gives the server the host keys that it had. Accounts stay as they are. Repositories have to be asked for
// again: a [Repo] from before is one that was removed.
func (s *Server) Restore(state *State) error {
	s.faults.clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	repos := filepath.Join(s.dir, "repos")
	// A push of somebody who is late may still be writing here: his repository goes away as a whole, under
	// another name.
	old, err := os.MkdirTemp(s.dir, "old-")
	if err == nil {
		err = os.Rename(repos, filepath.Join(old, "repos"))
	}
	if err == nil {
		err = os.CopyFS(repos, os.DirFS(filepath.Join(state.dir, "repos")))
	}
	if err != nil {
		return fmt.Errorf("restoring repositories: %w", errors.Join(err, os.RemoveAll(old)))
	}
	s.repos, s.hostKeys = map[string]*Repo{}, slices.Clone(state.hostKeys)
	for _, name := range state.names {
		s.repos[strings.ToLower(name)] = &Repo{server: s, name: name, dir: s.repoDir(name)}
	}
	os.RemoveAll(old) // Close removes what somebody who is late keeps from going
	return nil
}
