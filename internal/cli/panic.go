package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// execute runs the command that the command line names. A panic of it is its error, once all that was
// deferred has run, and so is one of a goroutine that nobody waits for, which ends ctx.
func execute(ctx context.Context, root *cobra.Command) (cmd *cobra.Command, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx = crash.WithHandler(ctx, func(e *crash.Error) { end(e) })
	cmd = root
	err = crash.Guarded(func() (err error) {
		cmd, err = root.ExecuteContextC(ctx)
		return err
	})
	if loose := crash.In(context.Cause(ctx)); loose != nil && crash.In(err) == nil {
		err = loose
	}
	return cmd, err
}

// printPanic tells of a panic in one line: whose fault it is, and what to report. The trace is in a file, or
// on standard error before the line with --verbose and where no file can be written.
func printPanic(d *deps, e *crash.Error) {
	trace := d.redactor.Text(fmt.Sprintf("%+v\n%s\n\n%s\n\n%s",
		buildinfo.Read(fluxmanifests.Version), d.commandLine(), e.Error(), e.Stack))
	report := "the trace above"
	file := ""
	if !d.global.verbose {
		// Without one the trace is shown, as with --verbose.
		file, _ = localfile.Keep(d.getenv("TMPDIR"), "eksa-gitops-trace-*.txt", []byte(trace+"\n"))
	}
	if file != "" {
		report = file
	} else {
		fmt.Fprintln(d.streams.Err, ui.Clean(trace))
	}
	printLines(d.streams.Err, "error",
		fmt.Sprintf("this is a defect of eksa-gitops, please report it with %s: %s",
			report, oneLine(e.Error())))
}

// oneLine puts the lines of a text behind each other.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
