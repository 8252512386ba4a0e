package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// suite is what all tests of the package share: the built program and one stack, which a test brings back to fresh when it begins.
var suite struct {
	program string
	stack   *stack.Stack
}

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "eksa-gitops-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// A built program can be given, such as one of a release.
	suite.program = os.Getenv("EKSA_GITOPS_E2E_PROGRAM")
	if suite.program == "" {
		suite.program = filepath.Join(dir, "eksa-gitops")
		if err := buildProgram(ctx, suite.program); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	suite.stack, err = stack.Start(ctx, stack.Options{Flux: stack.FluxWhenInstalled, Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer suite.stack.Stop()
	return m.Run()
}

// buildProgram builds the program as a user would, with Flux's manifests inside.
func buildProgram(ctx context.Context, target string) error {
	for _, args := range [][]string{
		{"go", "generate", "./pkg/fluxinstall"},
		{"go", "build", "-trimpath", "-ldflags", "-X github.com/eksa-gitops/eksa-gitops/internal/buildinfo.version=v0.0.0-e2e", "-o", target, "./cmd/eksa-gitops"},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does, so that both share the build cache
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return nil
}
