// Command stack builds, runs and removes the real stack by hand.
//
//	stack build    build the programs, when they are not built yet
//	stack up       run a stack until interrupted
//	stack clean    remove the built programs
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

const usage = `usage: stack build | up [-seed FILE] | clean

  build   build the programs of the stack, when they are not built yet
  up      run a stack until interrupted; -seed puts a management cluster into it
  clean   remove the built programs
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stack: error:", err)
		stop()
		os.Exit(1) // stop is called above
	}
}

func run(ctx context.Context, args []string) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "build":
		_, err := stack.Binaries(ctx, os.Stderr)
		return err
	case "up":
		return up(ctx, args[1:])
	case "clean":
		return stack.Clean()
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", command)
	}
}

func up(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	seed := flags.String("seed", "", "cluster file of a management cluster to begin with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if _, err := stack.Binaries(ctx, os.Stderr); err != nil {
		return err
	}
	began := time.Now()
	s, err := stack.Start(ctx, stack.Options{Flux: stack.FluxWhenInstalled, Progress: os.Stderr})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "stack: up after %s; Ctrl-C ends it. Logs are in %s/log. In another shell:\n",
		time.Since(began).Round(100*time.Millisecond), s.Dir())
	fmt.Printf("export KUBECONFIG=%s\n", s.Kubeconfig())
	if *seed != "" {
		if err := seedFrom(ctx, s, *seed); err != nil {
			fmt.Fprintln(os.Stderr, "stack: error:", err)
		}
	}
	<-ctx.Done()
	return s.Stop()
}

func seedFrom(ctx context.Context, s *stack.Stack, path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return s.SeedManagementCluster(ctx, file)
}
