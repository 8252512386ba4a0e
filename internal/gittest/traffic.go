package gittest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// packStart is the beginning of every pack file of version 2, the only one that git sends.
var packStart = []byte("PACK\x00\x00\x00\x02")

// meter counts what one exchange moves. It counts before it passes data on, so that a client that has seen
// the end of an exchange finds it counted.
type meter struct {
	repo    *Repo
	service Service
	http    bool

	mu       sync.Mutex
	tail     []byte // end of what was sent, to find packStart across writes
	head     []byte // first bytes received, to tell commands from a flush
	sent     int64
	received int64
	counted  bool
}

// flushPacket is what a client that wants nothing sends.
const flushPacket = "0000"

func (m *meter) addSent(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += int64(len(p))
	if m.service == Fetch && !m.counted {
		window := append(m.tail, p...)
		if bytes.Contains(window, packStart) {
			m.counted = true
			m.repo.count(func(c *Counts) {
				c.Fetches++
				if m.http {
					c.OverHTTP++
				}
			})
		}
		m.tail = append([]byte(nil), window[max(0, len(window)-len(packStart)+1):]...)
	}
	m.repo.count(func(c *Counts) { c.BytesSent += int64(len(p)) })
}

func (m *meter) addReceived(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received += int64(len(p))
	if m.service == Push && !m.counted && len(m.head) < len(flushPacket) {
		m.head = append(m.head, p[:min(len(p), len(flushPacket)-len(m.head))]...)
		if len(m.head) == len(flushPacket) && string(m.head) != flushPacket {
			m.counted = true
			m.repo.count(func(c *Counts) { c.Pushes++ })
		}
	}
	m.repo.count(func(c *Counts) { c.BytesReceived += int64(len(p)) })
}

// hasReceived says whether the client has sent anything yet.
func (m *meter) hasReceived() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.received > 0
}

// errDropped ends a transfer that a fault cuts.
var errDropped = errors.New("connection dropped by a fault")

// source is what the client sends: metered, and cut after a number of bytes when limit is not negative.
type source struct {
	from  io.Reader
	meter *meter
	limit int64
	drop  func()
}

func (s *source) Read(p []byte) (int, error) {
	if s.limit == 0 {
		s.drop()
		return 0, errDropped
	}
	if s.limit > 0 && int64(len(p)) > s.limit {
		p = p[:s.limit]
	}
	n, err := s.from.Read(p)
	s.meter.addReceived(p[:n])
	if s.limit > 0 {
		s.limit -= int64(n)
	}
	return n, err
}

// sink is what the client gets: metered, swallowed while mute says so, and cut after a number of bytes when
// limit is not negative.
type sink struct {
	to    io.Writer
	meter *meter
	limit int64
	drop  func()
	mute  func() bool
}

func (s *sink) Write(p []byte) (int, error) {
	if s.mute != nil && s.mute() {
		return len(p), nil
	}
	out := p
	if s.limit >= 0 && int64(len(out)) >= s.limit {
		out = out[:s.limit]
	}
	s.meter.addSent(out)
	n, err := s.to.Write(out)
	if s.limit >= 0 {
		s.limit -= int64(n)
		if s.limit == 0 && err == nil {
			s.drop()
			return n, errDropped
		}
	}
	return n, err
}

// limits returns how many bytes may be received and sent before the fault cuts the connection; -1 is any
// number.
func (a *armedFault) limits(service Service) (received, sent int64) {
	switch {
	case !a.is(DropAfter):
		return -1, -1
	case service == Push:
		return a.Bytes, -1
	default:
		return -1, a.Bytes
	}
}

// hookDeclined is the status that git gives to references that a pre-receive hook refused.
const hookDeclined = "pre-receive hook declined"

// report is how the answer of receive-pack is changed on its way: the result of unpacking, the status of each
// reference and the words beside. It says with which status git ended ("" for ok) and what was said in side
// band 2 before, and is told what the client sees.
type report struct {
	words  string                                       // said before the report, where there is a side band
	unpack string                                       // in place of ok
	status func(ref, reason, words string) (new string) // "" is ok
}

// reportFor is how the report of a push is changed by a verdict and a fault, nil when neither does.
func reportFor(v Verdict, fault *armedFault) *report {
	if fault.is(FailReport) {
		return &report{words: fault.Words, unpack: fault.Unpack, status: func(string, string, string) string {
			return fault.Text
		}}
	}
	if v.Declined == nil {
		return nil
	}
	return &report{status: func(ref, reason, words string) string {
		if reason == hookDeclined {
			return v.Declined(ref, words)
		}
		return reason
	}}
}

// reportWriter changes the report in what receive-pack answers: a stream of pkt-lines, in which the report is
// either plain or wrapped in side band 1 (gitprotocol-pack(5), "Report Status").
type reportWriter struct {
	report
	to      io.Writer
	pending []byte
	said    strings.Builder // in side band 2, so far
}

func (w *reportWriter) Write(p []byte) (int, error) {
	w.pending = append(w.pending, p...)
	for {
		packet, rest, ok := cutPacket(w.pending)
		if !ok {
			return len(p), nil
		}
		w.pending = rest
		if _, err := w.to.Write(w.rewrite(packet)); err != nil {
			return 0, err
		}
	}
}

// cutPacket splits the first pkt-line, length included, off a buffer. What is no pkt-line is returned whole.
func cutPacket(buf []byte) (packet, rest []byte, ok bool) {
	if len(buf) < 4 {
		return nil, buf, false
	}
	size, err := strconv.ParseUint(string(buf[:4]), 16, 16)
	switch {
	case err != nil:
		return buf, nil, true
	case size < 4:
		return buf[:4], buf[4:], true
	case len(buf) < int(size):
		return nil, buf, false
	}
	return buf[:size], buf[size:], true
}

func (w *reportWriter) rewrite(packet []byte) []byte {
	if len(packet) <= 4 {
		return packet
	}
	payload := packet[4:]
	switch payload[0] {
	case 1:
	case 2:
		w.said.Write(payload[1:])
		return packet
	default:
		return w.rewriteLine(packet)
	}
	var out []byte
	if w.words != "" {
		out = pktLine("\x02" + w.words + "\n")
		w.words = ""
	}
	lines := []byte{1}
	inner := payload[1:]
	for {
		p, rest, ok := cutPacket(inner)
		if !ok {
			break
		}
		lines, inner = append(lines, w.rewriteLine(p)...), rest
	}
	return append(out, pktLine(string(append(lines, inner...)))...)
}

// rewriteLine handles one line of the report: "unpack RESULT", "ok REF" or "ng REF REASON".
func (w *reportWriter) rewriteLine(packet []byte) []byte {
	if len(packet) <= 4 {
		return packet
	}
	kind, rest, _ := strings.Cut(strings.TrimSuffix(string(packet[4:]), "\n"), " ")
	ref, reason, _ := strings.Cut(rest, " ")
	switch {
	case kind == "unpack" && w.unpack != "":
		return pktLine("unpack " + w.unpack + "\n")
	case kind != "ng" && kind != "ok":
		return packet
	}
	if status := w.status(ref, reason, w.said.String()); status != "" {
		return pktLine("ng " + ref + " " + status + "\n")
	}
	return pktLine("ok " + ref + "\n")
}

func pktLine(s string) []byte { return fmt.Appendf(nil, "%04x%s", len(s)+4, s) }

// refusingHooks is a directory of hooks in which every push is declined without a word, for a server that
// fails before it has taken one.
func (s *Server) refusingHooks() (string, error) {
	dir := filepath.Join(s.dir, "refusing-hooks")
	s.mu.Lock()
	defer s.mu.Unlock()
	return dir, writeScript(filepath.Join(dir, "pre-receive"), "#!/bin/sh\nexit 1\n")
}

// pushEnv is what a fault adds to the environment of receive-pack.
func (s *Server) pushEnv(fault *armedFault) ([]string, error) {
	if !fault.is(FailReport) || fault.Arrives {
		return nil, nil
	}
	dir, err := s.refusingHooks()
	return []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.hooksPath", "GIT_CONFIG_VALUE_0=" + dir}, err
}
