package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// ProgressMode is how the steps of a run are shown.
type ProgressMode string

// The progress modes. Auto is Spinner on a capable terminal and Plain elsewhere.
const (
	ProgressAuto    ProgressMode = "auto"
	ProgressSpinner ProgressMode = "spinner"
	ProgressPlain   ProgressMode = "plain"
	ProgressJSON    ProgressMode = "json"
	ProgressNone    ProgressMode = "none"
)

// ProgressModes lists the modes a user may choose.
func ProgressModes() []string {
	return []string{string(ProgressAuto), string(ProgressSpinner), string(ProgressPlain),
		string(ProgressJSON), string(ProgressNone)}
}

// repeatAfter is how long a plain log stays silent about a wait before the same progress line is worth
// printing again: short enough that a watched log is seen to live, long enough that an hour of waiting does
// not fill it.
const repeatAfter = 30 * time.Second

// spinnerPeriod is the time between two frames of the spinner.
const spinnerPeriod = 100 * time.Millisecond

// Steps shows the steps of a run on standard error. It implements [step.Reporter] and is safe for use by
// several goroutines.
type Steps struct {
	out     io.Writer
	mode    ProgressMode
	verbose bool
	glyphs  glyphs
	paint   palette
	width   func() int
	height  func() int
	now     func() time.Time

	mu       sync.Mutex
	active   []activeStep
	drawn    []string // the lines that are drawn; the cursor is in the last one
	frame    int
	stop     chan struct{}
	finished crash.Group
}

type activeStep struct {
	step    step.Name
	detail  string
	shown   string
	shownAt time.Time
	began   time.Time
	parts   parts
}

type glyphs struct {
	done, failed, note, planned, skipped, waiting string
	frames                                        []string
	ellipsis                                      string
}

type palette struct{ green, red, yellow, dim, reset string }

// NewSteps shows steps on s.Err in the given mode. verbose also shows every progress message in plain mode.
// Call Close when the run is over: it stops the spinner and leaves the cursor on an empty line.
func NewSteps(s Streams, mode ProgressMode, verbose bool) *Steps {
	if mode == ProgressAuto || mode == "" {
		mode = ProgressPlain
		if s.ErrTTY {
			mode = ProgressSpinner
		}
	}
	steps := &Steps{out: s.Err, mode: mode, verbose: verbose, width: s.Width, height: s.Height, now: time.Now,
		stop: make(chan struct{})}
	steps.glyphs = glyphs{"[ok]", "[failed]", "[!]", "[plan]", "[-]", "-",
		[]string{"|", "/", "-", `\`}, "..."}
	if s.UTF8 {
		steps.glyphs = glyphs{"✓", "✗", "!", "+", "-", "·",
			[]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}, "…"}
	}
	if s.Color {
		steps.paint = palette{"\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"}
	}
	if steps.width == nil {
		steps.width = func() int { return 80 }
	}
	if steps.height == nil {
		steps.height = func() int { return 24 }
	}
	switch mode {
	case ProgressSpinner:
		steps.every(spinnerPeriod, func() {
			steps.frame++
			steps.draw()
		})
	case ProgressPlain:
		steps.every(time.Second, steps.logParts)
	}
	return steps
}

// Begin implements [step.Reporter].
func (s *Steps) Begin(step step.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, activeStep{step: step, began: s.now()})
	switch s.mode {
	case ProgressJSON:
		s.event(Event{Event: EventBegin, Step: step})
	case ProgressSpinner:
		s.draw()
	}
}

// Progress implements [step.Reporter].
func (s *Steps) Progress(step step.Name, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.active {
		if a := &s.active[i]; a.step == step {
			a.detail = CleanLine(detail)
			s.showProgress(a)
			return
		}
	}
}

func (s *Steps) showProgress(a *activeStep) {
	switch s.mode {
	case ProgressJSON:
		s.event(Event{Event: EventProgress, Step: a.step, Detail: &a.detail})
	case ProgressSpinner:
		s.draw()
	case ProgressPlain:
		// A step that takes a moment needs no running commentary in a log; one that takes long does.
		now := s.now()
		if !s.verbose && now.Sub(a.began) < 2*time.Second {
			return
		}
		if a.detail == a.shown && now.Sub(a.shownAt) < repeatAfter {
			return
		}
		a.shown, a.shownAt = a.detail, now
		fmt.Fprintf(s.out, "  %s%s: %s%s\n", s.glyphs.ellipsis, " "+CleanLine(string(a.step)), a.detail, "")
	}
}

// End implements [step.Reporter].
func (s *Steps) End(step step.Name, outcome step.Outcome, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.active {
		if s.active[i].step == step {
			if count := s.active[i].parts.count(); count != "" && detail == "" {
				detail = count
			}
			s.active = append(s.active[:i], s.active[i+1:]...)
			break
		}
	}
	switch s.mode {
	case ProgressJSON:
		s.event(Event{Event: EventEnd, Step: step, Outcome: outcome, Detail: new(CleanLine(detail))})
	case ProgressSpinner, ProgressPlain:
		s.clear()
		fmt.Fprintln(s.out, s.line(step, outcome, detail))
		s.draw()
	}
}

func (s *Steps) line(name step.Name, outcome step.Outcome, detail string) string {
	glyph, paint := s.glyphs.done, s.paint.green
	switch outcome {
	case step.OutcomeFailed:
		glyph, paint = s.glyphs.failed, s.paint.red
	case step.OutcomeSkipped:
		glyph, paint = s.glyphs.skipped, s.paint.dim
	case step.OutcomePlanned:
		glyph, paint = s.glyphs.planned, s.paint.yellow
	}
	reset := ""
	if paint != "" {
		reset = s.paint.reset
	}
	notes := make([]string, 0, 2)
	if detail != "" {
		notes = append(notes, CleanLine(detail))
	}
	if outcome == step.OutcomeUnchanged || outcome == step.OutcomeSkipped || outcome == step.OutcomePlanned {
		notes = append(notes, string(outcome))
	}
	line := paint + glyph + reset + " " + CleanLine(string(name))
	if len(notes) > 0 {
		line += " (" + strings.Join(notes, ", ") + ")"
	}
	return line
}

// Note implements [step.Reporter].
func (s *Steps) Note(level step.Level, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.mode {
	case ProgressJSON:
		s.event(Event{Event: EventNote, Level: level, Text: new(Clean(text))})
	case ProgressNone:
		if level == step.LevelWarning {
			fmt.Fprintf(s.out, "eksa-gitops: warning: %s\n", Clean(text))
		}
	default:
		s.clear()
		if level == step.LevelWarning {
			reset := ""
			if s.paint.yellow != "" {
				reset = s.paint.reset
			}
			fmt.Fprintf(s.out, "%s%s%s warning: %s\n", s.paint.yellow, s.glyphs.note, reset, Clean(text))
		} else {
			fmt.Fprintf(s.out, "  %s\n", Clean(text))
		}
		s.draw()
	}
}

// Output shows a line that another program has printed. Quiet modes show none.
func (s *Steps) Output(program, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.mode {
	case ProgressJSON:
		s.event(Event{Event: EventOutput, Program: program, Text: new(Clean(line))})
	case ProgressSpinner, ProgressPlain:
		s.clear()
		reset := ""
		if s.paint.dim != "" {
			reset = s.paint.reset
		}
		fmt.Fprintf(s.out, "  %s%s|%s %s\n", s.paint.dim, CleanLine(program), reset,
			strings.ReplaceAll(Clean(line), "\n", " "))
		s.draw()
	}
}

// Close stops the spinner. It may be called more than once, not from several goroutines.
func (s *Steps) Close() {
	select {
	case <-s.stop:
		return
	default:
	}
	close(s.stop)
	s.finished.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.active = nil
}

// every calls do regularly, with the lock, until Close.
func (s *Steps) every(period time.Duration, do func()) {
	s.finished.Go(func() {
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-ticker.C:
				s.locked(do)
			}
		}
	})
}

// locked calls do with the lock, which is free again whatever happens: Close takes it.
func (s *Steps) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// draw shows the steps under way: one on a line, and below it its parts, as far as the screen goes. The
// cursor stays behind the last line. The caller holds the lock.
func (s *Steps) draw() {
	if s.mode != ProgressSpinner || len(s.active) == 0 {
		return
	}
	a := &s.active[len(s.active)-1]
	text := CleanLine(string(a.step))
	if len(s.active) > 1 {
		text += fmt.Sprintf(" (+%d more)", len(s.active)-1)
	}
	if count := a.parts.count(); count != "" {
		text += ": " + count
	}
	if a.detail != "" {
		text += ": " + a.detail
	}
	if waited := s.now().Sub(a.began).Round(time.Second); waited >= 3*time.Second {
		text += " (" + waited.String() + ")"
	}
	lines := []string{s.glyphs.frames[s.frame%len(s.glyphs.frames)] + " " + s.cut(text)}
	// One line is left free, so that what was printed last is still seen.
	for _, line := range a.parts.lines(s.glyphs, s.height()-len(lines)-1) {
		lines = append(lines, "  "+s.cut(line))
	}
	s.redraw(lines)
}

// cut makes a text fit the line, behind a glyph.
func (s *Steps) cut(text string) string {
	limit := max(s.width()-4, 20)
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-len([]rune(s.glyphs.ellipsis))]) + s.glyphs.ellipsis
	}
	return text
}

// redraw brings the drawn lines to the wanted ones with few characters, in one write: so it does not flicker.
func (s *Steps) redraw(lines []string) {
	var b strings.Builder
	before := s.drawn
	if slices.ContainsFunc(before,
		func(line string) bool { return utf8.RuneCountInString(line) >= s.width() }) {
		// The terminal has become narrower, and the lines drawn have become several.
		b.WriteString(s.erasure())
		before = nil
	}
	if up := len(before) - 1; up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if i >= len(before) || before[i] != line {
			b.WriteString("\r\x1b[K" + line)
		}
	}
	if len(lines) < len(before) {
		// The cursor may be anywhere in the last line; what is below has to go.
		b.WriteString("\r\n\x1b[J\x1b[A")
	}
	fmt.Fprint(s.out, b.String())
	s.drawn = lines
}

// clear takes the drawn lines away, so that whole lines can be printed. The caller holds the lock.
func (s *Steps) clear() {
	if len(s.drawn) > 0 {
		fmt.Fprint(s.out, s.erasure())
		s.drawn = nil
	}
}

// erasure takes the drawn lines away and leaves the cursor where the first one began.
func (s *Steps) erasure() string {
	rows := 0
	for _, line := range s.drawn {
		rows += 1 + max(utf8.RuneCountInString(line)-1, 0)/max(s.width(), 1)
	}
	if rows <= 1 {
		return "\r\x1b[K"
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", rows-1)
}

func (s *Steps) event(event Event) { WriteEvent(s.out, s.now(), event) }

var _ step.Reporter = (*Steps)(nil)
