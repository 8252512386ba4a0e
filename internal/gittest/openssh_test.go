package gittest_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

func startOpenSSH(t *testing.T, srv *gittest.Server, opts gittest.OpenSSHOptions) *gittest.OpenSSH {
	t.Helper()
	sshd, err := srv.StartOpenSSH(t.Context(), opts)
	if errors.Is(err, gittest.ErrNoOpenSSH) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sshd
}

func TestOpenSSH_cloneAndPush(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	key := gittest.NewKey(t, gittest.ECDSA256)
	sshd := startOpenSSH(t, srv, gittest.OpenSSHOptions{
		AuthorizedKeys: []string{key.AuthorizedKey()},
		HostKeys:       []gittest.Algorithm{gittest.ED25519, gittest.ECDSA256, gittest.RSA},
	})
	client := sshd.Client(gittest.Credentials{Key: key})
	w, err := client.Clone(t.Context(), sshd.URL("acme/fleet"), "")
	if err != nil {
		t.Fatalf("%v\n%s", err, sshd.Log())
	}
	if err := w.Write("a", "2"); err != nil {
		t.Fatal(err)
	}
	sha, err := w.Commit(t.Context(), "change")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	if repo.Head("main") != sha {
		t.Errorf("head %s, want %s", repo.Head("main"), sha)
	}
	if _, err := client.Git(t.Context(), w.Dir, "ls-remote"); err != nil {
		t.Error(err)
	}
	if got := sshd.Counts("acme/fleet"); got.Fetches != 1 || got.Pushes != 1 || got.Sessions != 3 {
		t.Errorf("counts: %+v", got)
	}
	_, err = client.Git(t.Context(), w.Dir, "ls-remote", sshd.URL("acme/none"))
	wantIn(t, stderrOf(t, err), "ERROR: Repository not found.")
	stranger := sshd.Client(gittest.Credentials{Key: gittest.NewKey(t, gittest.ED25519)})
	_, err = stranger.Git(t.Context(), w.Dir, "ls-remote", sshd.URL("acme/fleet"))
	wantIn(t, stderrOf(t, err), "Permission denied (publickey).")
	other := srv.Client(gittest.Credentials{Key: key}) // knows another server's host keys
	_, err = other.Git(t.Context(), w.Dir, "ls-remote", sshd.URL("acme/fleet"))
	wantIn(t, stderrOf(t, err), "Host key verification failed.")
	sshd.SetAuthorizedKeys()
	_, err = client.Git(t.Context(), w.Dir, "ls-remote")
	wantIn(t, stderrOf(t, err), "Permission denied (publickey).")
	wantIn(t, sshd.Log(), "Accepted publickey for "+sshd.User())
	if n := strings.Count(sshd.KnownHosts(), "\n"); n != 3 {
		t.Errorf("%d lines of known hosts", n)
	}
}

func TestEnsureOpenSSH(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	_, err := srv.StartOpenSSH(t.Context(), gittest.OpenSSHOptions{})
	if errors.Is(err, gittest.ErrNoOpenSSH) {
		if !strings.Contains(err.Error(), "apt-get install openssh-server") {
			t.Errorf("the error does not say what to install: %v", err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := gittest.EnsureOpenSSH(t.Context()); err != nil {
		t.Errorf("sshd is there, but: %v", err)
	}
}

func TestOpenSSH_closeEndsSessions(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	mark := filepath.Join(t.TempDir(), "pid")
	repo.SetHook("pre-receive",
		"#!/bin/sh\necho $$ >"+mark+".new; mv "+mark+".new "+mark+"\nexec sleep 600\n")
	key := gittest.NewKey(t, gittest.ED25519)
	sshd := startOpenSSH(t, srv, gittest.OpenSSHOptions{AuthorizedKeys: []string{key.AuthorizedKey()}})
	client := sshd.Client(gittest.Credentials{Key: key})
	ended := make(chan error, 1)
	go func() {
		_, err := client.Git(t.Context(), repo.Dir(), "push", sshd.URL("acme/fleet"), "main:x")
		ended <- err
	}()
	pid := waitForPID(t, mark)
	if err := sshd.Close(); err != nil {
		t.Error(err)
	}
	if <-ended == nil {
		t.Error("the push succeeded")
	}
	wantGone(t, pid)
}
