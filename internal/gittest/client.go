package gittest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Credentials are what a Client shows. Over HTTPS, Username and Password are given to git when it asks,
// through GIT_ASKPASS; over SSH, Key is used.
type Credentials struct {
	Username string
	Password string
	Key      *Key
}

// Client is the plain git command with an isolated configuration, trusting one server.
type Client struct {
	home string
	env  []string
}

// Client returns a git command that trusts this server's certificate authority and present host keys.
func (s *Server) Client(c Credentials) *Client {
	client, err := s.NewClient(c, s.KnownHosts())
	s.must(err)
	return client
}

// askpass answers git's two questions from the environment, where no list of processes shows them.
const askpass = `#!/bin/sh
case $1 in
Username*) printf '%s\n' "$GITTEST_USERNAME" ;;
*) printf '%s\n' "$GITTEST_PASSWORD" ;;
esac
`

// NewClient is Client with known hosts of the caller's choice, for example those of an OpenSSH server.
func (s *Server) NewClient(c Credentials, knownHosts string) (*Client, error) {
	var id [6]byte
	rand.Read(id[:]) // documented never to fail
	home := filepath.Join(s.dir, "clients", hex.EncodeToString(id[:]))
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("making a git client: %w", err)
	}
	known := filepath.Join(home, "known_hosts")
	ask := filepath.Join(home, "askpass")
	if err := errors.Join(writeFile(known, knownHosts), writeScript(ask, askpass)); err != nil {
		return nil, fmt.Errorf("making a git client: %w", err)
	}
	ssh := []string{"ssh", "-F", os.DevNull, "-o", "BatchMode=yes", "-o", "IdentityAgent=none", "-o",
		"IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=" + os.DevNull, "-o",
		"UserKnownHostsFile='" + known + "'"}
	identity := os.DevNull
	if c.Key != nil {
		var err error
		if identity, err = c.Key.File(home); err != nil {
			return nil, fmt.Errorf("making a git client: %w", err)
		}
	}
	ssh = append(ssh, "-i", "'"+identity+"'")
	return &Client{home: home, env: isolatedEnv(home,
		"GIT_SSL_CAINFO="+s.CAFile(),
		"GIT_ASKPASS="+ask,
		"GITTEST_USERNAME="+c.Username,
		"GITTEST_PASSWORD="+c.Password,
		"GIT_SSH_COMMAND="+strings.Join(ssh, " "),
		"GIT_AUTHOR_NAME=Another User", "GIT_AUTHOR_EMAIL=another@example.com",
		"GIT_COMMITTER_NAME=Another User", "GIT_COMMITTER_EMAIL=another@example.com",
	)}, nil
}

// Git runs git in a directory and returns its standard output. Its error is a *CommandError when git ran and
// failed.
func (c *Client) Git(ctx context.Context, dir string, args ...string) (string, error) {
	return runGit(ctx, dir, c.env, nil, args...)
}

// Env is the environment of the git commands, for a caller that runs git, or something else that runs git,
// itself. It holds the password.
func (c *Client) Env() []string { return append([]string(nil), c.env...) }

// WorkTree is a clone with files.
type WorkTree struct {
	client *Client
	Dir    string
}

// Clone clones a repository into a directory that does not exist or is empty; an empty dir is a new one
// beside the client's files. Args are further options of git clone.
func (c *Client) Clone(ctx context.Context, url, dir string, args ...string) (*WorkTree, error) {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp(c.home, "clone-"); err != nil {
			return nil, err
		}
	}
	full := append([]string{"clone", "--quiet"}, args...)
	if _, err := c.Git(ctx, c.home, append(full, "--", url, dir)...); err != nil {
		return nil, err
	}
	return &WorkTree{client: c, Dir: dir}, nil
}

// Git runs git in the work tree.
func (w *WorkTree) Git(ctx context.Context, args ...string) (string, error) {
	return w.client.Git(ctx, w.Dir, args...)
}

// Write creates or replaces a file; its directories are made.
func (w *WorkTree) Write(path, content string) error {
	full := filepath.Join(w.Dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, []byte(content), 0o644)
}

// Read returns a file's content.
func (w *WorkTree) Read(path string) (string, error) {
	content, err := os.ReadFile(filepath.Join(w.Dir, filepath.FromSlash(path)))
	return string(content), err
}

// Remove deletes a file or directory.
func (w *WorkTree) Remove(path string) error {
	return os.RemoveAll(filepath.Join(w.Dir, filepath.FromSlash(path)))
}

// Commit commits everything that differs and returns the commit's hash.
func (w *WorkTree) Commit(ctx context.Context, message string) (string, error) {
	if _, err := w.Git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := w.Git(ctx, "commit", "--quiet", "--message", message); err != nil {
		return "", err
	}
	sha, err := w.Git(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(sha), err
}

// Push pushes the present branch to the branch of the same name, or runs git push with the arguments given.
func (w *WorkTree) Push(ctx context.Context, args ...string) error {
	if len(args) == 0 {
		args = []string{"origin", "HEAD"}
	}
	_, err := w.Git(ctx, append([]string{"push", "--porcelain"}, args...)...)
	return err
}

// Pull brings the present branch up to date; it fails when it has commits of its own.
func (w *WorkTree) Pull(ctx context.Context) error {
	_, err := w.Git(ctx, "pull", "--quiet", "--ff-only")
	return err
}
