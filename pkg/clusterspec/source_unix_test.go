//go:build unix

package clusterspec_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// A pipe among the files of a directory is named and not waited for; one that somebody has named is read when
// something comes, and left when the run ends.
func TestReadPaths_pipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link.yaml": "pipe.yaml", ".#good.yaml": "user@host.1:2"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "good.yaml"), []byte("a: b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := clusterspec.ReadPaths(t.Context(), []string{dir}, nil)
	problems, _ := errors.AsType[clusterspec.Problems](err)
	if len(problems) != 2 {
		t.Fatalf("problems %v", err)
	}
	for i, name := range []string{"link.yaml", "pipe.yaml"} {
		if p := problems[i]; p.File != filepath.Join(dir, name) ||
			!strings.HasPrefix(p.Message, "not a regular file") {
			t.Errorf("problem %s", p)
		}
	}
	cause := errors.New("interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
	defer cancel()
	if _, err := clusterspec.ReadPaths(ctx, []string{pipe}, nil); !errors.Is(err, cause) {
		t.Errorf("a silent pipe: %v", err)
	}
}

// An empty file is told of beside what is wrong with the others.
func TestReadPaths_emptyBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"a.yaml": "",
		"b.yaml": "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Clster\nmetadata:\n  name: dev\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources, err := clusterspec.ReadPaths(t.Context(), []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = clusterspec.Parse(sources)
	problems, _ := errors.AsType[clusterspec.Problems](err)
	var rules []string
	for _, p := range problems {
		rules = append(rules, filepath.Base(p.File)+" "+p.Rule)
	}
	if got, want := strings.Join(rules, ", "), "a.yaml empty-file, b.yaml unknown-kind"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
