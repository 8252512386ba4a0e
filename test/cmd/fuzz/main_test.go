package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const output = `fuzz: elapsed: 0s, gathering baseline coverage: 0/12 completed
fuzz: elapsed: 0s, gathering baseline coverage: 12/12 completed, now fuzzing with 2 workers
fuzz: elapsed: 3s, execs: 1024 (341/sec), new interesting: 3 (total: 15)
fuzz: elapsed: 5m0s, execs: 1234567 (4115/sec), new interesting: 8 (total: 20)
PASS
`

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := read([]byte(output))
	if want := (figures{5 * time.Minute, 1234567, 20}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := read([]byte("ok  	x	0.1s\n")); err == nil {
		t.Errorf("figures from nothing: %+v", got)
	}
}

// Rows are replaced one by one, those of tests that are gone go, and what is around the table stays as it is.
func TestRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "reliability.md")
	around := []string{"# Reliability\n\nBefore.\n\n" + begin + "\n", end + "\n\nAfter.\n"}
	if err := os.WriteFile(path, []byte(strings.Join(around, "| `FuzzGone` in `x` | 1m0s | 1 | 1 |\n")),
		0o600); err != nil {
		t.Fatal(err)
	}
	a, b := target{"pkg/a", "FuzzA"}, target{"pkg/b", "FuzzB"}
	for _, step := range []struct {
		t target
		f figures
	}{{b, figures{time.Minute, 999, 5}}, {a, figures{time.Minute, 1000, 6}},
		{b, figures{5 * time.Minute, 1234567, 7}}} {
		if err := record(path, []target{a, b}, step.t, step.f); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join(around, `| test | time without a finding | inputs tried | of interest |
|---|---|---|---|
| `+"`FuzzA` in `pkg/a`"+` | 1m0s | 1,000 | 6 |
| `+"`FuzzB` in `pkg/b`"+` | 5m0s | 1,234,567 | 7 |
`)
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err := os.WriteFile(path, []byte("# Reliability\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := record(path, []target{a}, a, figures{}); err == nil {
		t.Error("a document without a place for the figures is no error")
	}
}

// Every fuzz test of the program is found, in its own directory.
func TestFind(t *testing.T) {
	t.Parallel()
	targets, err := find(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	found := map[target]bool{}
	for _, t := range targets {
		found[t] = true
	}
	for _, want := range []target{{"pkg/clusterspec", "FuzzParse"}, {"pkg/lint", "FuzzCheckRepository"},
		{"internal/sshkeys", "FuzzKnownHosts"}, {"pkg/github", "FuzzAnswer"},
		{"internal/gitrepo/internal/pack", "FuzzObjects"}} {
		if !found[want] {
			t.Errorf("%v is not found among %v", want, targets)
		}
	}
}
