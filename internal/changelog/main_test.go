package main

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

func TestRender(t *testing.T) {
	t.Parallel()
	got, err := render(fstest.MapFS{
		"b.md":         file("Fixed\n\nB no longer\nends early.\n"),
		"a.md":         file("Fixed\nA is right. It was wrong.\n"),
		"new.md":       file("Added\n`new` exists.\n"),
		"v0.9.0/x.md":  file("Changed\nX.\n"),
		"v0.10.0/y.md": file("Security\nY.\n"),
	})
	const want = "# Changes\n\nMade by `make changelog` from the files in [changes](changes); edit those.\n" +
		"\n## Next release\n\n### Added\n\n- `new` exists.\n\n### Fixed\n\n- A is right. It was wrong.\n" +
		"- B no longer ends early.\n" +
		"\n## v0.10.0\n\n### Security\n\n- Y.\n\n## v0.9.0\n\n### Changed\n\n- X.\n"
	if err != nil || string(got) != want {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, got, want)
	}
}

// All that is wrong is told, each with its file.
func TestRender_wrong(t *testing.T) {
	t.Parallel()
	_, err := render(fstest.MapFS{
		"category.md": file("Improved\nIt is better.\n"),
		"empty.md":    file("Added\n\n"),
		"long.md":     file("Added\n" + strings.Repeat("x", longest) + ".\n"),
		"open.md":     file("Added\nWithout an end\n"),
		"text.txt":    file("Added\nA text.\n"),
		"next/a.md":   file("Added\nA.\n"),
	})
	const want = `category.md: the first line is "Improved"; it must be one of Security, Added, Changed, Removed, Fixed
empty.md: the change is not described
long.md: 401 characters are too many; at most 400
open.md: the last sentence has no full stop
text.txt: the name must end with .md
directory next is not called after a release, such as v1.2.0`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	changes := filepath.Join(root, "changes")
	if err := run(changes, filepath.Join(root, "CHANGELOG.md"), true); err != nil {
		t.Error(err)
	}
	written := filepath.Join(t.TempDir(), "CHANGELOG.md")
	if err := run(changes, written, false); err != nil {
		t.Fatal(err)
	}
	if err := run(changes, written, true); err != nil {
		t.Error("what was just written:", err)
	}
	if err := run(t.TempDir(), written, true); err == nil ||
		!strings.Contains(err.Error(), "is not up to date; run: make changelog") {
		t.Error("other changes:", err)
	}
}
