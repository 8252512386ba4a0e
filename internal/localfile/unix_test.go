//go:build unix

package localfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Devices, pipes, sockets, directories and the links to a process's own streams are never replaced.
func TestReplace_special(t *testing.T) {
	t.Parallel()
	pipe := fifo(t)
	toNull := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink(os.DevNull, toNull); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, toNull, os.DevNull, "/dev/stdout", "/dev/fd/1", filepath.Dir(pipe)} {
		if _, err := os.Stat(path); err != nil {
			continue // a system without it
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"Replace": localfile.Replace(path, localfile.Held(nil), []byte("secret"), true),
			"Check":   localfile.Check(path),
		} {
			if !errors.As(err, new(*localfile.KindError)) {
				t.Errorf("%s %s: %v", what, path, err)
			}
		}
		after, err := os.Lstat(path)
		if err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s was %v and is %v, %v", path, before.Mode(), after.Mode(), err)
		}
	}
}

// A file keeps its owner and its group when somebody else, who may, writes it.
func TestReplace_owner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may write the files of others and give them back")
	}
	path := filepath.Join(t.TempDir(), "config")
	write(t, path, "old", 0o640)
	if err := os.Chown(path, 4711, 4712); err != nil {
		t.Fatal(err)
	}
	if err := localfile.Replace(path, localfile.Held([]byte("old")), []byte("new"), true); err != nil {
		t.Fatal(err)
	}
	backup, err := localfile.Beside(path, ".bak", []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, backup} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 4711 || owner.Gid != 4712 {
			t.Errorf("%s belongs to %d:%d", file, owner.Uid, owner.Gid)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A named pipe that nobody writes to is left behind when the context ends; one that somebody writes to is
// read. Where nobody has named a file, it is not waited for at all.
func TestRead_pipe(t *testing.T) {
	t.Parallel()
	silent := fifo(t)
	cause := errors.New("interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
	defer cancel()
	if _, _, err := localfile.Read(ctx, silent, limit); !errors.Is(err, cause) {
		t.Errorf("a silent pipe: %v", err)
	}
	if _, err := localfile.ReadRegular(silent, limit); !errors.As(err, new(*localfile.KindError)) {
		t.Errorf("a pipe that nobody has named: %v", err)
	}
	spoken := fifo(t)
	go os.WriteFile(spoken, []byte("content"), 0) // the reader tells
	if content, _, err := localfile.Read(t.Context(), spoken, limit); err != nil ||
		string(content) != "content" {
		t.Errorf("a pipe: %q, %v", content, err)
	}
}
