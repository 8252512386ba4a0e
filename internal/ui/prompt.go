package ui

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/term"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// ErrNoTerminal says that there is nobody to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// ErrInterrupted says that the person pressed Ctrl-C instead of answering.
var ErrInterrupted = errors.New("interrupted")

// AskSecret asks for a secret on the terminal and does not show what is typed. It uses the terminal itself,
// so that standard input may be a file. Without a person at a terminal the error is [ErrNoTerminal], after
// Ctrl-C [ErrInterrupted]. When ctx ends, the terminal is put back into order and the cause is returned.
func AskSecret(ctx context.Context, streams Streams, question string) (secret.Value, error) {
	if !streams.InTTY && !streams.ErrTTY {
		return secret.Value{}, ErrNoTerminal
	}
	in, out, err := openTerminal()
	if err != nil {
		return secret.Value{}, ErrNoTerminal
	}
	defer func() {
		in.Close()
		out.Close() // on Unix it is the same file
	}()
	// The terminal must be silent before the question is seen: who types ahead would see the secret.
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return secret.Value{}, ErrNoTerminal
	}
	defer term.Restore(fd, before) // nothing else can be done
	type answer struct {
		text string
		err  error
	}
	answered := crash.Go(func() answer {
		fmt.Fprint(out, Clean(question)+" ") // a prompt of the library's own would be broken at column 80
		text, err := term.NewTerminal(duplex{in, out}, "").ReadPassword("")
		return answer{text, err}
	})
	select {
	case given := <-answered:
		a := given.Value()
		switch {
		case errors.Is(a.err, io.EOF): // Ctrl-C and Ctrl-D
			fmt.Fprint(out, "\r\n")
			return secret.Value{}, ErrInterrupted
		case a.err != nil:
			return secret.Value{}, fmt.Errorf("reading from the terminal: %w", a.err)
		}
		return secret.New(a.text), nil
	case <-ctx.Done():
		// The reader stays behind until the process ends; only the terminal has to be put right.
		fmt.Fprint(out, "\r\n")
		return secret.Value{}, context.Cause(ctx)
	}
}

// duplex reads from one file and writes to another.
type duplex struct {
	io.Reader
	io.Writer
}
