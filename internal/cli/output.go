package cli

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// output is standard output. It remembers the first write that did not succeed, whoever made it: what was
// printed is the result of a command, and one that cannot be read is none.
type output struct {
	to io.Writer

	mu      sync.Mutex
	written bool
	err     error
}

func (o *output) Write(data []byte) (int, error) {
	n, err := o.to.Write(data)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written = true
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// used says whether anything was written, whether that succeeded or not.
func (o *output) used() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written
}

// lost is the error of an output that could not be written; nil when all of it was, or when its reader has
// had enough.
func (o *output) lost() *unwrittenError {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil || errors.Is(o.err, syscall.EPIPE) {
		return nil
	}
	return &unwrittenError{err: o.err}
}

// unwrittenError says that the result of a command could not be written to standard output.
type unwrittenError struct{ err error }

func (e *unwrittenError) Error() string {
	return fmt.Sprintf("the output could not be written: %v", e.err)
}
func (e *unwrittenError) Unwrap() error { return e.err }
func (e *unwrittenError) Hint() string {
	return "make room where the output goes, or send it elsewhere, and run the same command again"
}
