package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// What a plain log is told of the parts of a step. A few are told of one by one, each when it changes; of
// many only the counts, and those now and then.
const (
	fewParts   = 20
	quietStart = 2 * time.Second  // a step that takes a moment needs no running commentary
	countAfter = 10 * time.Second // between two counts that differ
)

// parts are the things that a step does at the same time.
type parts struct {
	list  []step.Part // in the order in which they were told of
	place map[string]int

	logged   map[string]string // what a log has of each part
	counted  string            // what was counted last
	loggedAt time.Time
}

// set notes how a part goes.
func (p *parts) set(part step.Part) {
	part.Name, part.Detail = CleanLine(part.Name), CleanLine(part.Detail)
	if p.place == nil {
		p.place, p.logged = map[string]int{}, map[string]string{}
	}
	at, known := p.place[part.Name]
	if !known {
		at = len(p.list)
		p.place[part.Name] = at
		p.list = append(p.list, step.Part{})
	}
	p.list[at] = part
}

// in counts the parts in a state.
func (p *parts) in(state step.PartState) (n int) {
	for _, part := range p.list {
		if part.State == state {
			n++
		}
	}
	return n
}

// count says how many are done and how many fail; empty without parts.
func (p *parts) count() string {
	if len(p.list) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d", p.in(step.PartDone), len(p.list))
	if failing := p.in(step.PartFailing); failing > 0 {
		text += fmt.Sprintf(", %d failing", failing)
	}
	return text
}

// lines are at most so many lines on the parts: all when that suffices; else those that fail, then those that
// are waited for, and how many there are besides.
func (p *parts) lines(g glyphs, most int) []string {
	if len(p.list) == 0 || most <= 0 {
		return nil
	}
	shown := p.list
	if len(p.list) > most {
		shown = nil
		for _, state := range []step.PartState{step.PartFailing, step.PartWaiting} {
			for _, part := range p.list {
				if part.State == state {
					shown = append(shown, part)
				}
			}
		}
	}
	more := 0
	if len(shown) > most {
		more = len(shown) - most + 1
		shown = shown[:most-1]
	}
	lines := make([]string, 0, most)
	for _, part := range shown {
		lines = append(lines, partLine(g, part))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("%s and %d more", g.ellipsis, more))
	}
	return lines
}

func partLine(g glyphs, part step.Part) string {
	glyph := g.waiting
	switch part.State {
	case step.PartDone:
		glyph = g.done
	case step.PartFailing:
		glyph = g.failed
	}
	if part.Detail == "" {
		return glyph + " " + part.Name
	}
	return glyph + " " + part.Name + ": " + part.Detail
}

// Part implements [step.Reporter].
func (s *Steps) Part(step step.Name, part step.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.active {
		a := &s.active[i]
		if a.step != step {
			continue
		}
		a.parts.set(part)
		switch s.mode {
		case ProgressJSON:
			event := Event{Event: EventPart, Step: step, Part: CleanLine(part.Name), State: part.State}
			if part.Detail != "" {
				event.Detail = new(CleanLine(part.Detail))
			}
			s.event(event)
		case ProgressPlain:
			s.logStep(a)
		}
		return
	}
}

// logParts writes down in a plain log what has changed.
func (s *Steps) logParts() {
	for i := range s.active {
		s.logStep(&s.active[i])
	}
}

func (s *Steps) logStep(a *activeStep) {
	p, now := &a.parts, s.now()
	if len(p.list) == 0 || now.Sub(a.began) < quietStart && !s.verbose {
		return
	}
	if len(p.list) <= fewParts {
		for _, part := range p.list {
			line := partLine(s.glyphs, part)
			// That nothing is known of it yet is no news.
			if part.State == step.PartWaiting && part.Detail == "" || p.logged[part.Name] == line {
				continue
			}
			p.logged[part.Name], p.loggedAt = line, now
			fmt.Fprintf(s.out, "  %s\n", line)
		}
	}
	count := p.count()
	for _, part := range p.list {
		if part.State == step.PartFailing {
			count += ", first " + part.Name + ": " + part.Detail
			break
		}
	}
	silent := min(now.Sub(p.loggedAt), now.Sub(a.began))
	if silent >= repeatAfter || len(p.list) > fewParts && count != p.counted && silent >= countAfter {
		p.counted, p.loggedAt = count, now
		fmt.Fprintf(s.out, "  %s %s: %s (%s)\n", s.glyphs.ellipsis, CleanLine(string(a.step)),
			strings.TrimSpace(count), now.Sub(a.began).Round(time.Second))
	}
}
