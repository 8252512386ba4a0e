package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// figures are what became of the cases of one scenario of the crash matrix.
type figures struct {
	writes int // external ones of a whole run

	mu                      sync.Mutex
	killed, lost, signalled int // how often a run was broken in which way
	healed                  int // of them, those after which all was as it has to be
}

func (f *figures) count(b breakage, healed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch b.signal {
	case 0:
		f.lost++
	case syscall.SIGKILL:
		f.killed++
	default:
		f.signalled++
	}
	if healed {
		f.healed++
	}
}

// The figures are between these lines of the document; everything else of it is somebody else's.
const (
	figuresBegin = "<!-- made by make reliability -->"
	figuresEnd   = "<!-- end of make reliability -->"
	soakBegin    = "<!-- made by make reliability: soak -->"
	soakEnd      = "<!-- end of make reliability: soak -->"
)

// record sets the row of a scenario in the document, in the place of an earlier one or behind the others.
func (f *figures) record(path, scenario string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	start := "| " + scenario + " |"
	tried := f.killed + f.lost + f.signalled
	row := fmt.Sprintf("%s %d | %d | %d | %d | %d | %d of %d |",
		start, f.writes, f.writes*len(breakages()), f.killed, f.lost, f.signalled, f.healed, tried)
	return fill(path, figuresBegin, figuresEnd, func(old string) string {
		var rows []string
		for i, line := range strings.Split(strings.TrimSuffix(old, "\n"), "\n") {
			if i >= 2 { // behind the head of the table
				rows = append(rows, line)
			}
		}
		if i := slices.IndexFunc(rows, func(line string) bool { return strings.HasPrefix(line, start) }); i >=
			0 {
			rows[i] = row
		} else {
			rows = append(rows, row)
		}
		return "| scenario | external writes | cases | killed | answer lost | interrupted or terminated | " +
			"healed |\n|---|---|---|---|---|---|---|\n" + strings.Join(rows, "\n") + "\n"
	})
}

// fill replaces what stands between two lines of a document.
func fill(path, begin, end string, with func(old string) string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("recording figures: %w", err)
	}
	before, rest, ok := strings.Cut(string(content), begin+"\n")
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("recording figures: %s has no place for them: the lines %s and %s",
			path, begin, end)
	}
	if err := os.WriteFile(path, []byte(before+begin+"\n"+with(old)+end+after), 0o644); err != nil {
		return fmt.Errorf("recording figures: %w", err)
	}
	return nil
}

// Figures of one scenario leave those of the others, and the text around them.
func TestFigures(t *testing.T) {
	t.Parallel()
	doc := filepath.Join(t.TempDir(), "doc.md")
	const head = "| scenario | external writes | cases | killed | answer lost | interrupted or terminated " +
		"| healed |\n|---|---|---|---|---|---|---|\n"
	frame := func(table string) string {
		return "Before.\n\n" + figuresBegin + "\n" + table + figuresEnd + "\n\nAfter.\n"
	}
	if err := os.WriteFile(doc, []byte(frame("")), 0o600); err != nil {
		t.Fatal(err)
	}
	few := &figures{writes: 2}
	few.count(breakage{signal: syscall.SIGKILL}, true)
	few.count(breakage{signal: syscall.SIGINT}, false)
	more := &figures{writes: 30}
	more.count(breakage{}, true)
	for _, step := range []struct {
		f        *figures
		scenario string
		rows     string
	}{
		{few, "delete", "| delete | 2 | 14 | 1 | 0 | 1 | 1 of 2 |\n"},
		{more, "create",
			"| delete | 2 | 14 | 1 | 0 | 1 | 1 of 2 |\n| create | 30 | 210 | 0 | 1 | 0 | 1 of 1 |\n"},
		{more, "delete",
			"| delete | 30 | 210 | 0 | 1 | 0 | 1 of 1 |\n| create | 30 | 210 | 0 | 1 | 0 | 1 of 1 |\n"},
	} {
		if err := step.f.record(doc, step.scenario); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		if want := frame(head + step.rows); string(got) != want {
			t.Errorf("the document is\n%s\nwant\n%s", got, want)
		}
	}
	if err := os.WriteFile(doc, []byte("no place\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := few.record(doc, "delete"); err == nil {
		t.Error("a document without the place is written")
	}
}

// The parts of the matrix have every case exactly once.
func TestExtent(t *testing.T) {
	t.Parallel()
	for _, parts := range []int{1, 2, 7, 40} {
		for row := range 7 {
			for i := range 30 {
				for j := range breakages() {
					taken := 0
					for part := range parts {
						if (extent{part + 1, parts}).takes(row, i, j) {
							taken++
						}
					}
					if taken != 1 {
						t.Fatalf("case %d/%d/%d is in %d of %d parts", row, i, j, taken, parts)
					}
				}
			}
		}
	}
}
