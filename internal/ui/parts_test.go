package ui_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/ui"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// screen is a terminal that is good for what Steps writes: text, carriage return, line feed, and the
// sequences K, J and A.
type screen struct {
	mu          sync.Mutex
	height      int
	lines       []string
	row, column int
}

func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := string(text); rest != ""; {
		if code, after, ok := strings.Cut(rest, "\x1b["); ok && code == "" {
			n, end := 0, strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
			fmt.Sscan(after[:end], &n)
			s.control(after[end], max(n, 1))
			rest = after[end+1:]
			continue
		}
		r := []rune(rest)[0]
		rest = rest[len(string(r)):]
		switch r {
		case '\r':
			s.column = 0
		case '\n': // the terminal driver makes a carriage return and a line feed of it
			s.row, s.column = s.row+1, 0
		default:
			s.put(r)
		}
	}
	return len(text), nil
}

func (s *screen) control(kind byte, n int) {
	s.grow()
	switch kind {
	case 'A':
		// There is no going up beyond the top of the screen.
		s.row = max(s.row-n, len(s.lines)-s.height, 0)
	case 'K':
		s.lines[s.row] = string([]rune(s.lines[s.row])[:s.column])
	case 'J':
		s.lines[s.row] = string([]rune(s.lines[s.row])[:s.column])
		s.lines = s.lines[:s.row+1]
	}
}

func (s *screen) put(r rune) {
	s.grow()
	line := []rune(s.lines[s.row])
	if s.column < len(line) {
		line[s.column] = r
	} else {
		line = append(line, r)
	}
	s.lines[s.row] = string(line)
	s.column++
}

func (s *screen) grow() {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grow()
	return strings.TrimRight(strings.Join(s.lines, "\n"), "\n")
}

const waiting step.Name = "Wait for clusters to be Ready"

// TestSteps_screen shows the parts of a step below it, never more than the screen holds, and leaves nothing
// of them behind.
func TestSteps_screen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen{height: 6}
		var height atomic.Int64
		height.Store(6)
		steps := ui.NewSteps(ui.Streams{
			Err: terminal, ErrTTY: true, Width: func() int { return 40 }, Height: func() int {
				return int(height.Load())
			},
		}, ui.ProgressAuto, false)
		shows := func(when, want string) {
			t.Helper()
			time.Sleep(110 * time.Millisecond)
			synctest.Wait()
			got := terminal.String()
			for _, frame := range []string{"|", "/", "\\"} {
				got = strings.Replace(got, frame+" Wait", "- Wait", 1)
			}
			if got != want {
				t.Errorf("%s:\n%s\nwant:\n%s", when, got, want)
			}
		}
		steps.Begin("Push")
		steps.End("Push", step.OutcomeChanged, "")
		steps.Begin(waiting)
		shows("no parts", "[ok] Push\n- Wait for clusters to be Ready")
		for i := range 3 {
			steps.Part(waiting, step.Part{Name: fmt.Sprintf("w%d", i), State: step.PartWaiting})
		}
		shows("three", "[ok] Push\n- Wait for clusters to be Ready: 0 ...\n  - w0\n  - w1\n  - w2")
		for i := range 7 {
			steps.Part(waiting, step.Part{Name: fmt.Sprintf("w%d", i), State: step.PartWaiting,
				Detail: "its machines are being made, which takes long"})
		}
		steps.Part(waiting, step.Part{Name: "w5", State: step.PartFailing, Detail: "no\nroom"})
		steps.Part(waiting, step.Part{Name: "w0", State: step.PartDone})
		shows("seven", `[ok] Push
- Wait for clusters to be Ready: 1 ...
  [failed] w5: no room
  - w1: its machines are being made...
  - w2: its machines are being made...
  ... and 3 more`)
		height.Store(4)
		shows("a lower screen", `[ok] Push
- Wait for clusters to be Ready: 1 ...
  [failed] w5: no room
  ... and 5 more`)
		height.Store(6)
		steps.Note(step.LevelInfo, "by the way")
		shows("a note", `[ok] Push
  by the way
- Wait for clusters to be Ready: 1 ...
  [failed] w5: no room
  - w1: its machines are being made...
  - w2: its machines are being made...
  ... and 3 more`)
		steps.End(waiting, step.OutcomeFailed, "")
		shows("the end",
			"[ok] Push\n  by the way\n[failed] Wait for clusters to be Ready (1 of 7, 1 failing)")
		steps.Close()
		shows("closed", "[ok] Push\n  by the way\n[failed] Wait for clusters to be Ready (1 of 7, 1 failing)")
	})
}

// TestSteps_screenInterrupted takes the lines away when the run ends under way.
func TestSteps_screenInterrupted(t *testing.T) {
	t.Parallel()
	terminal := &screen{height: 6}
	steps := ui.NewSteps(ui.Streams{Err: terminal, ErrTTY: true, Width: func() int { return 40 },
		Height: func() int { return 6 }},
		ui.ProgressAuto, false)
	steps.Begin(waiting)
	for i := range 20 {
		steps.Part(waiting, step.Part{Name: fmt.Sprint(i), State: step.PartWaiting})
	}
	steps.Begin("Another")
	steps.Close()
	if got := terminal.String(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}

// TestSteps_log writes a line for each change of a few parts; of many only counts, and those now and then.
func TestSteps_log(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		parts int
		want  string
	}{
		{3, "  · w0: making machines\n  · w2: making machines\n  ✓ w1\n  ✗ w2: no room\n" +
			"  … Wait for clusters to be Ready: 1 of 3, 1 failing, first w2: no room (40s)\n  ✓ w0\n" +
			"  ✓ w2\n✓ Wait for clusters to be Ready (3 of 3)\n"},
		{30, "  … Wait for clusters to be Ready: 1 of 30, 1 failing, first w2: no room (10s)\n" +
			"  … Wait for clusters to be Ready: 1 of 30, 1 failing, first w2: no room (40s)\n" +
			"✓ Wait for clusters to be Ready (30 of 30)\n"},
	} {
		t.Run(fmt.Sprint(tc.parts), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				steps := ui.NewSteps(ui.Streams{Err: &out, UTF8: true}, ui.ProgressAuto, false)
				steps.Begin(waiting)
				part := func(i int, state step.PartState, detail string) {
					steps.Part(waiting, step.Part{Name: fmt.Sprintf("w%d", i), State: state, Detail: detail})
				}
				for i := range tc.parts {
					part(i, step.PartWaiting, "")
				}
				part(0, step.PartWaiting, "making machines")
				part(2, step.PartWaiting, "making machines")
				after(3 * time.Second)
				part(1, step.PartDone, "")
				after(6500 * time.Millisecond)
				part(2, step.PartFailing, "no room")
				after(31 * time.Second)
				for i := range tc.parts {
					if i != 1 {
						part(i, step.PartDone, "")
					}
				}
				steps.End(waiting, step.OutcomeChecked, "")
				steps.Close()
				if out.String() != tc.want {
					t.Errorf("got:\n%s\nwant:\n%s", out.String(), tc.want)
				}
			})
		})
	}
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestSteps_partsAsJSON has one event for each change.
func TestSteps_partsAsJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	steps := ui.NewSteps(ui.Streams{Err: &out}, ui.ProgressJSON, false)
	steps.Begin(waiting)
	steps.Part(waiting, step.Part{Name: "dev", State: step.PartFailing, Detail: "no room"})
	steps.Close()
	checkEvents(t, out.String())
	if want := `"detail":"no room","event":"part","part":"dev","state":"failing","step":"Wait for clusters to be Ready"`; !strings.
		Contains(out.String(), want) {
		t.Errorf("got %s, want %s in it", out.String(), want)
	}
}
