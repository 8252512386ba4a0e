package eksctl

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// Limits of what is kept of the child's output.
const (
	maxLine   = 64 << 10 // bytes; what is longer is broken
	tailLines = 12       // shown when the child fails
)

// output takes what the child prints, makes lines of it, hides the secrets and the control characters in
// them, and passes them on. It is safe for use by several goroutines.
type output struct {
	redact *redact.Redactor
	log    io.Writer
	line   func(string) // may be nil

	mu     sync.Mutex
	buffer []byte
	tail   []string
	logErr error // of the first line that could not be written to the log
}

// Write implements [io.Writer]. It never fails: a child must not die of a full disk here.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buffer = append(o.buffer, p...)
	for {
		// A carriage return ends a line, too: progress bars.
		i := bytes.IndexAny(o.buffer, "\r\n")
		if i < 0 {
			break
		}
		o.emit(o.redact.Text(string(o.buffer[:i])))
		o.buffer = o.buffer[i+1:]
	}
	for len(o.buffer) > maxLine {
		ready, rest := o.redact.Prefix(string(o.buffer))
		if ready == "" {
			break // one secret that is longer than a line
		}
		o.emit(ready)
		o.buffer = []byte(rest)
	}
	return len(p), nil
}

// flush passes on what has come without a line end.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.buffer) > 0 {
		o.emit(o.redact.Text(string(o.buffer)))
		o.buffer = nil
	}
}

// note adds a line of this program's own.
func (o *output) note(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.emit(line)
}

// emit passes on one line that holds no secrets. The caller holds the lock.
func (o *output) emit(line string) {
	line = strings.TrimRight(ui.Clean(line), " \t")
	if line == "" {
		return
	}
	if _, err := fmt.Fprintln(o.log, line); err != nil && o.logErr == nil {
		o.logErr = err
	}
	if o.tail = append(o.tail, line); len(o.tail) > tailLines {
		o.tail = o.tail[1:]
	}
	if o.line != nil {
		o.line(line)
	}
}
