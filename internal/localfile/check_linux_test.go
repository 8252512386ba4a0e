package localfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
)

// A directory that may not be written is found without writing, also for what would be made below it.
func TestCheck_readOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, open := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "file"), "x", 0o666)
	if os.Geteuid() == 0 {
		// Nothing stops root; this thread, which ends with the test, becomes nobody where files are
		// concerned.
		runtime.LockOSThread()
		t.Cleanup(func() { _ = syscall.Setfsuid(os.Geteuid()) })
		if err := syscall.Setfsuid(65534); err != nil {
			t.Skipf("nobody cannot be played: %v", err)
		}
	}
	if err := localfile.Check(filepath.Join(dir, "new")); err != nil {
		t.Fatalf("a directory that everybody may write: %v", err)
	}
	owner := make(chan error)
	go func() { owner <- os.Chmod(dir, 0o555) }() // on a thread that still is who it was
	if err := <-owner; err != nil {
		t.Fatal(err)
	}
	defer func() {
		go func() { owner <- os.Chmod(dir, 0o777) }()
		<-owner // so that it can be removed
	}()
	for _, name := range []string{"new", "file", "a/b/new"} {
		if err := localfile.Check(filepath.Join(dir,
			name)); !errors.As(err, new(*localfile.DirectoryError)) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
