package ui

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/term"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// ErrNoTerminal says that there is nobody to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// AskSecret asks for a secret on the terminal and does not show what is typed. It uses the terminal itself, so that standard input may
// be a file. Without a person at a terminal the error is [ErrNoTerminal]. When ctx ends, the terminal is put back into order and the
// cause is returned.
func AskSecret(ctx context.Context, streams Streams, question string) (secret.Value, error) {
	if !streams.InTTY && !streams.ErrTTY {
		return secret.Value{}, ErrNoTerminal
	}
	in, out, err := openTerminal()
	if err != nil {
		return secret.Value{}, ErrNoTerminal
	}
	defer func() {
		in.Close()  //nolint:errcheck // nothing is lost
		out.Close() //nolint:errcheck // on Unix it is the same file
	}()
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return secret.Value{}, ErrNoTerminal
	}
	fmt.Fprint(out, Clean(question)+" ")
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		fmt.Fprintln(out)
		if a.err != nil {
			return secret.Value{}, fmt.Errorf("reading from the terminal: %w", a.err)
		}
		return secret.New(string(a.text)), nil
	case <-ctx.Done():
		// The reader stays behind until the process ends; only the echo has to come back.
		term.Restore(fd, before) //nolint:errcheck // nothing else can be done
		fmt.Fprintln(out)
		return secret.Value{}, context.Cause(ctx)
	}
}
