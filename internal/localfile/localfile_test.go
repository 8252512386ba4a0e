package localfile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
)

const limit = 1 << 20

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// names lists what is in a directory, to see that nothing is left there.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}

// A file is replaced while it is what was seen, and keeps its mode; one that was edited, came or went since
// then stays as it is.
func TestReplace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before string // "" is no file
		edit   func(t *testing.T, path string)
		after  string
	}{
		"unchanged": {"old", func(*testing.T, string) {}, "new"},
		"new":       {"", func(*testing.T, string) {}, "new"},
		"edited": {"old", func(t *testing.T, path string) { write(t, path, "old and more", 0o640) },
			"old and more"},
		"same length": {"old", func(t *testing.T, path string) { write(t, path, "odd", 0o640) }, "odd"},
		"emptied":     {"old", func(t *testing.T, path string) { write(t, path, "", 0o640) }, ""},
		"come":        {"", func(t *testing.T, path string) { write(t, path, "mine", 0o640) }, "mine"},
		"come empty":  {"", func(t *testing.T, path string) { write(t, path, "", 0o640) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			if c.before != "" {
				write(t, path, c.before, 0o640)
			}
			seen, err := localfile.Look(path, limit)
			if err != nil || string(seen.Content()) != c.before || seen.There() != (c.before != "") {
				t.Fatalf("saw %q, %v", seen.Content(), err)
			}
			c.edit(t, path)
			err = localfile.Replace(path, seen, []byte("new"), true)
			if done := c.after == "new"; done != (err == nil) ||
				!done && !errors.As(err, new(*localfile.ChangedError)) {
				t.Errorf("error %v", err)
			}
			if got := read(t, path); got != c.after {
				t.Errorf("the file holds %q, want %q", got, c.after)
			}
			if got := names(t, filepath.Dir(path)); got != "file" {
				t.Errorf("the directory holds %s", got)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]fs.FileMode{true: 0o600, false: 0o640}[name == "new"]; info.Mode() != want {
				t.Errorf("mode %v, want %v", info.Mode(), want)
			}
		})
	}
}

// A file that went since it was read has been taken away by somebody: it does not come back.
func TestReplace_gone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := localfile.Replace(filepath.Join(dir, "file"), localfile.Held([]byte("old")), []byte("new"), false)
	if !errors.As(err, new(*localfile.ChangedError)) || names(t, dir) != "" {
		t.Errorf("error %v, and %q in the directory", err, names(t, dir))
	}
}

// What a symbolic link leads to is written, and the link stays.
func TestReplace_link(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "real", "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "real", "file"), "old", 0o600)
	for from, to := range map[string]string{"link": "hop", "hop": "way/../file", "way": "real/below"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := localfile.Replace(filepath.Join(dir, "link"), localfile.Held([]byte("old")), []byte("new"),
		false); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "real", "file")); got != "new" {
		t.Errorf("the file holds %q", got)
	}
	if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "hop" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

// What is beside a file is never lost either: other content gets another name, and the same is kept once.
func TestBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	write(t, path, "new", 0o644)
	write(t, path+".bak", "the user's own", 0o644)
	for range 2 {
		for content, want := range map[string]string{"one": path + ".bak.2"} {
			got, err := localfile.Beside(path, ".bak", []byte(content))
			if err != nil || got != want || read(t, got) != content {
				t.Errorf("%s is in %s, %v; want %s", content, got, err, want)
			}
		}
	}
	if got, err := localfile.Beside(path, ".bak", []byte("two")); err != nil || got != path+".bak.3" {
		t.Errorf("two is in %s, %v", got, err)
	}
	if got := read(t, path+".bak"); got != "the user's own" {
		t.Errorf("the file that was there holds %q", got)
	}
	if got := names(t, dir); got != "config config.bak config.bak.2 config.bak.3" {
		t.Errorf("the directory holds %s", got)
	}
	if info, err := os.Stat(path + ".bak.2"); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A directory that is not there is no obstacle, when one can be made; a file in its place is.
func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "x", 0o600)
	if err := os.Symlink("nothing", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"file": nil, "new": nil, "a/b/new": nil,
		"file/new": new(localfile.DirectoryError), "file/a/new": new(localfile.DirectoryError),
		".": new(localfile.KindError), "dangling": new(localfile.KindError),
		"dangling/new": new(localfile.KindError),
	} {
		err := localfile.Check(filepath.Join(dir, path))
		if (err == nil) != (want == nil) || want != nil && !sameType(err, want) {
			t.Errorf("%s: %v, want a %T", path, err, want)
		}
	}
	if got := names(t, dir); got != "dangling file" {
		t.Errorf("checking has left %s", got)
	}
}

func sameType(err, want error) bool {
	switch want.(type) {
	case *localfile.DirectoryError:
		return errors.As(err, new(*localfile.DirectoryError))
	case *localfile.KindError:
		return errors.As(err, new(*localfile.KindError))
	}
	return false
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "0123456789", 0o600)
	if content, info, err := localfile.Read(t.Context(), path, 10); err != nil ||
		string(content) != "0123456789" || info.Mode() != 0o600 {
		t.Errorf("read %q, %v", content, err)
	}
	if content, err := localfile.ReadRegular(path, 10); err != nil || string(content) != "0123456789" {
		t.Errorf("read %q, %v", content, err)
	}
	if _, _, err := localfile.Read(t.Context(), path, 9); !errors.As(err, new(*localfile.TooLargeError)) {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, _, err := localfile.Read(t.Context(), filepath.Dir(path), 9); !errors.As(err,
		new(*localfile.KindError)) {
		t.Errorf("a directory: %v", err)
	}
	if _, _, err := localfile.Read(t.Context(), path+"x", 9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A lock that stays is named; an interrupt ends the wait.
func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.lock")
	unlock, err := localfile.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, cause)
	defer cancel()
	if _, err := localfile.Lock(ctx, path); !errors.Is(err, cause) {
		t.Errorf("while it is held: %v", err)
	}
	unlock()
	if unlock, err = localfile.Lock(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	unlock()
	if names(t, filepath.Dir(path)) != "" {
		t.Error("the lock is left")
	}
}
