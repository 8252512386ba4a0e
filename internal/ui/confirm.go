package ui

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// Confirm asks a question on the terminal and says whether the answer was one of the accepted ones; case
// counts in none of them. Like [AskSecret] it uses the terminal itself and gives [ErrNoTerminal] without a
// person there. When ctx ends its cause is returned.
func Confirm(ctx context.Context, streams Streams, question string, accepted ...string) (bool, error) {
	if !streams.InTTY && !streams.ErrTTY {
		return false, ErrNoTerminal
	}
	in, out, err := openTerminal()
	if err != nil {
		return false, ErrNoTerminal
	}
	defer out.Close() // on Unix it is the same file as in
	fmt.Fprint(out, Clean(question)+" ")
	type answer struct {
		text string
		err  error
	}
	answered := crash.Go(func() answer {
		defer in.Close()
		text, err := bufio.NewReader(in).ReadString('\n')
		return answer{text, err}
	})
	select {
	case given := <-answered:
		a := given.Value()
		// The end of the input is an answer too: no.
		if a.err != nil {
			fmt.Fprintln(out)
		}
		text := strings.TrimSpace(a.text)
		for _, yes := range accepted {
			if strings.EqualFold(text, yes) {
				return true, nil
			}
		}
		return false, nil
	case <-ctx.Done():
		// The reader stays behind until the process ends.
		fmt.Fprintln(out)
		return false, context.Cause(ctx)
	}
}
