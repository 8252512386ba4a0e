package gittest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

func TestSSH_keys(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t, gittest.Options{SSHUser: "git"})
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	srv.AddRepo("acme/other")
	for _, algorithm := range []gittest.Algorithm{gittest.ED25519, gittest.ECDSA256, gittest.ECDSA384,
		gittest.RSA} {
		key := gittest.NewKey(t, algorithm)
		srv.Accounts().AddKey(key.Public(), "deploy", gittest.Read, "acme/fleet")
		client := srv.Client(gittest.Credentials{Key: key})
		before := repo.Counts()
		if _, err := client.Clone(t.Context(), srv.SSHURL("acme/fleet"), ""); err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		if got := repo.Counts().Sub(before); got.Fetches != 1 || got.Sessions != 1 || got.Pushes != 0 ||
			got.BytesSent == 0 {
			t.Errorf("%s: counts of one clone: %+v", algorithm, got)
		}
		_, err := client.Git(t.Context(), repo.Dir(), "push", srv.SSHURL("acme/fleet"), "main:x")
		wantIn(t, stderrOf(t, err),
			"ERROR: The key you are authenticating with has been marked as read only.")
		_, err = client.Git(t.Context(), repo.Dir(), "ls-remote", srv.SSHURL("acme/other"))
		wantIn(t, stderrOf(t, err), "ERROR: Repository not found.")
	}
	unknown := srv.Client(gittest.Credentials{Key: gittest.NewKey(t, gittest.ED25519)})
	_, err := unknown.Git(t.Context(), repo.Dir(), "ls-remote", srv.SSHURL("acme/fleet"))
	wantIn(t, stderrOf(t, err), "git@127.0.0.1: Permission denied (publickey).")

	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Key: key})
	_, err = client.Git(t.Context(), repo.Dir(), "ls-remote",
		strings.Replace(srv.SSHURL("acme/fleet"), "git@", "root@", 1))
	wantIn(t, stderrOf(t, err), "Permission denied (publickey).")
	before := repo.Counts()
	if _, err := client.Git(t.Context(), repo.Dir(), "push", srv.SSHURL("acme/fleet"), "main:x"); err != nil {
		t.Error(err)
	}
	if _, err := client.Git(t.Context(), repo.Dir(), "push", srv.SSHURL("acme/fleet"), "main:x"); err != nil {
		t.Error(err)
	}
	if got := repo.Counts().Sub(before); got.Pushes != 1 || got.Sessions != 2 {
		t.Errorf("counts of a push and a push of nothing: %+v", got)
	}
	// The greeting comes from the ssh command itself.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `eval "$GIT_SSH_COMMAND -T -p $PORT git@127.0.0.1"`)
	_, port, _ := strings.Cut(srv.SSHAddr(), ":")
	cmd.Env = append(client.Env(), "PORT="+port)
	out, _ := cmd.CombinedOutput()
	wantIn(t, string(out),
		"Hi alice! You've successfully authenticated, but GitHub does not provide shell access.")
}

func TestSSH_protocol2(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Key: key})
	cmd := exec.CommandContext(t.Context(), "git", "-c", "protocol.version=2", "ls-remote",
		srv.SSHURL("acme/fleet"))
	cmd.Env = append(client.Env(), "GIT_TRACE_PACKET=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, string(out), "< version 2", "command=ls-refs")
}

func TestSSH_hostKeys(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	srv.AddRepo("acme/fleet")
	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Key: key})
	if _, err := client.Git(t.Context(), srv.Dir(), "ls-remote", srv.SSHURL("acme/fleet")); err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{"ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"} {
		wantIn(t, srv.KnownHosts(), "["+strings.Replace(srv.SSHAddr(), ":", "]:", 1)+" "+algorithm+" ")
	}
	old := srv.KnownHosts()
	srv.ChangeHostKeys()
	for line := range strings.Lines(srv.KnownHosts()) {
		if strings.Contains(old, line) {
			t.Errorf("kept %s", line)
		}
	}
	_, err := client.Git(t.Context(), srv.Dir(), "ls-remote", srv.SSHURL("acme/fleet"))
	wantIn(t, stderrOf(t, err), "REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed.")
}

func TestSSH_faults(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": strings.Repeat("x\n", 5000)}))
	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	client := srv.Client(gittest.Credentials{Key: key})
	clone := func(ctx context.Context) error {
		_, err := client.Clone(ctx, srv.SSHURL("acme/fleet"), "")
		return err
	}
	push := func(branch string) error {
		_, err := client.Git(t.Context(), repo.Dir(), "push", srv.SSHURL("acme/fleet"),
			repo.Head("main")+":refs/heads/"+branch)
		return err
	}
	srv.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Fetch, Bytes: 300, Times: 1})
	if err := clone(t.Context()); err == nil {
		t.Error("a dropped fetch succeeded")
	}
	srv.Inject(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Times: 1})
	if err := push("lost"); err == nil {
		t.Error("a push whose reply is lost succeeded")
	}
	if repo.Head("lost") == "" {
		t.Error("the lost push had no effect")
	}
	srv.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Push, Bytes: 10, Times: 1})
	if err := push("cut"); err == nil || repo.Head("cut") != "" {
		t.Errorf("a cut push: error %v, head %q", err, repo.Head("cut"))
	}
	srv.Inject(gittest.Fault{Kind: gittest.RejectAuth, Times: 1})
	wantIn(t, stderrOf(t, clone(t.Context())), "Permission denied (publickey).")
	srv.Inject(gittest.Fault{Kind: gittest.Garbage, Text: "Welcome to the jump host\n", Times: 1})
	wantIn(t, stderrOf(t, clone(t.Context())), "bad line length character: Welc")
	srv.Inject(gittest.Fault{Kind: gittest.Delay, Delay: 20 * time.Millisecond, Times: 1})
	if err := clone(t.Context()); err != nil {
		t.Errorf("delayed: %v", err)
	}
	off := srv.Inject(gittest.Fault{Kind: gittest.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := clone(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hanging server: %v", err)
	}
	off()
	if err := clone(t.Context()); err != nil {
		t.Errorf("all faults off: %v", err)
	}
}

func TestKey_passphrase(t *testing.T) {
	t.Parallel()
	key, err := gittest.GenerateKey(gittest.ED25519, "open sesame")
	if err != nil {
		t.Fatal(err)
	}
	path, err := key.File(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-P", "open sesame", "-f",
		path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != key.AuthorizedKey() {
		t.Errorf("ssh-keygen reads %q (%v), want %q", out, err, key.AuthorizedKey())
	}
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-P", "wrong", "-f",
		path).CombinedOutput(); err == nil {
		t.Errorf("a wrong passphrase opened the key: %s", out)
	}
}

func TestClose_endsSessions(t *testing.T) {
	t.Parallel()
	srv, err := gittest.New(t.Context(), gittest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	srv.Accounts().AddToken("tok", "alice", gittest.Write)
	mark := filepath.Join(t.TempDir(), "pid")
	repo.SetHook("pre-receive",
		"#!/bin/sh\necho $$ >"+mark+".new; mv "+mark+".new "+mark+"\nexec sleep 600\n")
	client := srv.Client(gittest.Credentials{Username: "a", Password: "tok"})
	ended := make(chan error, 1)
	go func() {
		_, err := client.Git(t.Context(), repo.Dir(), "push", srv.HTTPSURL("acme/fleet"), "main:x")
		ended <- err
	}()
	pid := waitForPID(t, mark)
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if <-ended == nil {
		t.Error("the push succeeded")
	}
	wantGone(t, pid)
	if _, err := os.Stat(srv.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
	if err := srv.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// waitForPID waits until a process has written its id to a file.
func waitForPID(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if pid, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(pid))
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the process did not start")
	return ""
}

// wantGone waits until a process has ended.
func wantGone(t *testing.T, pid string) {
	t.Helper()
	if _, err := strconv.Atoi(pid); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("process %s is left", pid)
}
