package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests/internal/release"
)

// The files come out the same each time, and are those that the program embeds.
func TestGenerate_reproducible(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the manifests of five modules")
	}
	embedded := filepath.Join("..", "..", "manifests")
	if _, err := os.Stat(filepath.Join(embedded, release.Marker)); err != nil {
		t.Skipf("go generate has not been run: %v", err)
	}
	files, err := generate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"gotk-components.yaml", "helm-controller.yaml", "kustomize-controller.yaml",
		"notification-controller.yaml", "policies.yaml", "rbac.yaml", "source-controller.yaml",
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	for name, content := range files {
		have, err := os.ReadFile(filepath.Join(embedded, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, content) {
			t.Errorf("%s is not what was generated before", name)
		}
	}
}

// A directory that is complete is left alone; one without the marker, or of another recipe, is made again.
func TestUpdate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the manifests of five modules")
	}
	dir := t.TempDir()
	if err := update(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	marker, file := filepath.Join(dir, release.Marker), filepath.Join(dir, "rbac.yaml")
	content, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(content, []byte(release.Version+"\n")) {
		t.Errorf("the marker is %q", content)
	}
	long := time.Unix(1000, 0)
	touch := func() {
		if err := os.Chtimes(file, long, long); err != nil {
			t.Fatal(err)
		}
	}
	written := func() bool {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return !info.ModTime().Equal(long)
	}
	touch()
	if err := update(t.Context(), dir); err != nil || written() {
		t.Errorf("a complete directory was made again, %v", err)
	}
	if err := os.WriteFile(marker, []byte(release.Version+"\nanother recipe\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := update(t.Context(), dir); err != nil || !written() {
		t.Errorf("files of another recipe were kept, %v", err)
	}
	entries, err := fs.Glob(os.DirFS(dir), ".new-*")
	if err != nil || len(entries) != 0 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

func TestRun_usage(t *testing.T) {
	t.Parallel()
	if got := run(nil); got != 2 {
		t.Errorf("exit code %d, want 2", got)
	}
}

func TestWithoutModuleFlags(t *testing.T) {
	t.Parallel()
	for flags, want := range map[string]string{
		"":                                    "",
		"-mod=vendor":                         "",
		"-modcacherw --mod=mod -modfile=x -v": "-modcacherw -v",
	} {
		if got := withoutModuleFlags(flags); got != want {
			t.Errorf("%q: %q, want %q", flags, got, want)
		}
	}
}
