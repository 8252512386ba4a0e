package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// errInterrupted is the cause of a context that a signal ended, errUnread of one that ended because nobody
// reads the output any more.
var (
	errInterrupted = errors.New("interrupted")
	errUnread      = fmt.Errorf("nobody reads the output: %w", errInterrupted)
)

// Main runs the program on the process's own arguments, streams and environment and returns its exit code
// (docs/exit-codes.md).
func Main() int {
	// Standard error is the program's. What libraries have to say is in the errors that they return.
	log.SetOutput(io.Discard)
	fluxinstall.DiscardLogs()
	ctx, interrupt, stop := interruptible(context.Background())
	defer stop()
	streams := ui.SystemStreams(os.Getenv)
	unread := func() { interrupt(errUnread) }
	streams.Out, streams.Err = &pipe{streams.Out, unread}, &pipe{streams.Err, unread}
	d := newDeps(os.Args[1:], streams, withoutSecrets(os.LookupEnv, os.Unsetenv))
	d.environ = os.Environ()
	return runTree(ctx, d, newRootCmd(d))
}

// pipe is an output of the process that tells when its reader has gone.
type pipe struct {
	io.Writer
	unread func()
}

func (p *pipe) Write(data []byte) (int, error) {
	n, err := p.Writer.Write(data)
	if errors.Is(err, syscall.EPIPE) {
		p.unread()
	}
	return n, err
}

// secretVariables hold credentials themselves, not the names of files with them.
var secretVariables = []string{tokenVariable, passphraseVariable, clusterPassphraseVariable}

// withoutSecrets takes the credentials out of the process's environment and gives a lookup that still knows
// them: what this process starts, such as the credential plugin that a kubeconfig names, inherits none of
// them.
func withoutSecrets(lookup func(string) (string, bool),
	unset func(string) error) func(string) (string, bool) {
	kept := map[string]string{}
	for _, name := range secretVariables {
		if value, ok := lookup(name); ok {
			kept[name] = value
			// It fails only for a name that cannot be one.
			_ = unset(name)
		}
	}
	return func(name string) (string, bool) {
		if value, ok := kept[name]; ok {
			return value, true
		}
		return lookup(name)
	}
}

// interruptible returns a context that ends with errInterrupted at the first SIGINT, SIGTERM or SIGHUP (the
// terminal has gone), and a function that ends it for another cause. A second SIGINT or SIGTERM ends the
// process at once, as a user who presses Ctrl-C twice expects; a second SIGHUP, which a shell and a kernel
// send both, does not. Under nohup SIGHUP goes on meaning nothing.
//
// SIGPIPE would end the process in the middle of whatever it does; it is caught, so that the write fails
// instead, and not ignored, as what this process starts would then ignore it, too.
func interruptible(parent context.Context) (ctx context.Context, interrupt context.CancelCauseFunc,
	stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals, hangups, pipes := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangups, syscall.SIGHUP)
	}
	done := make(chan struct{})
	crash.Loose(ctx, func() {
		select {
		case <-signals:
		case <-hangups:
		case <-done:
			return
		}
		signal.Stop(signals)
		cancel(errInterrupted)
	})
	return ctx, cancel, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// Run runs one command line and returns its exit code. It is Main without the process.
func Run(ctx context.Context, args []string, streams ui.Streams, lookupEnv func(string) (string, bool)) int {
	d := newDeps(args, streams, lookupEnv)
	return runTree(ctx, d, newRootCmd(d))
}

// runTree runs the command of root that the command line names.
func runTree(ctx context.Context, d *deps, root *cobra.Command) int {
	root.SetArgs(d.args)
	cmd, err := execute(ctx, root)
	cause := context.Cause(ctx)
	if errors.Is(cause, errUnread) {
		if broken := new(interruptedError); errors.As(err, &broken) && broken.resume != "" {
			printError(d.streams.Err, err) // it may be the other stream that nobody reads
		}
		return int(exitUnread)
	}
	if lost := d.out.lost(); lost != nil {
		if err == nil || errors.Is(err, lost.err) {
			err = lost
		} else {
			printError(d.streams.Err, lost) // what else is wrong decides on the exit code
		}
	}
	if err == nil {
		return int(exitDone)
	}
	if errors.Is(cause, errInterrupted) && !errors.As(err, new(*reportedError)) {
		err = &interruptedError{err: err}
	}
	code := exitCodeOf(err)
	if !d.out.used() {
		if writeErr := crash.Guarded(func() error { return d.printRefused(cmd, err, code) }); writeErr !=
			nil {
			err = errors.Join(err, writeErr)
		}
	}
	if broken := crash.In(err); broken != nil {
		printPanic(d, broken)
		return int(code)
	}
	printError(d.streams.Err, err)
	if code == exitUsage {
		printLines(d.streams.Err, "hint", cmd.CommandPath()+" --help shows how it is used")
		if len(d.settings) > 0 {
			printLines(d.streams.Err, "hint",
				"besides the command line, these settings apply: "+strings.Join(d.settings, ", "))
		}
	}
	return int(code)
}
