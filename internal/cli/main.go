package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// Main runs the program on the process's own arguments, streams and environment and returns its exit code (docs/exit-codes.md).
func Main() int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	return Run(ctx, os.Args[1:], ui.SystemStreams(os.Getenv), withoutSecrets(os.LookupEnv, os.Unsetenv))
}

// secretVariables hold credentials themselves, not the names of files with them.
var secretVariables = []string{tokenVariable, passphraseVariable, clusterPassphraseVariable}

// withoutSecrets takes the credentials out of the process's environment and gives a lookup that still knows them: what this process
// starts, such as the credential plugin that a kubeconfig names, inherits none of them.
func withoutSecrets(lookup func(string) (string, bool), unset func(string) error) func(string) (string, bool) {
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

// interruptible returns a context that ends with errInterrupted at the first SIGINT or SIGTERM. The second one ends the process at
// once, as a user who presses Ctrl-C twice expects.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			signal.Stop(signals)
			cancel(errInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// Run runs one command line and returns its exit code. It is Main without the process.
func Run(ctx context.Context, args []string, streams ui.Streams, lookupEnv func(string) (string, bool)) int {
	d := &deps{args: args, streams: streams, lookupEnv: lookupEnv}
	root := newRootCmd(d)
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return int(exitDone)
	}
	if cause := context.Cause(ctx); errors.Is(cause, errInterrupted) && !errors.As(err, new(*reportedError)) {
		err = &interruptedError{err: err}
	}
	code := exitCodeOf(err)
	printError(streams.Err, err)
	if code == exitUsage {
		fmt.Fprintf(streams.Err, "eksa-gitops: hint: %s --help shows how it is used\n", cmd.CommandPath())
	}
	return int(code)
}
