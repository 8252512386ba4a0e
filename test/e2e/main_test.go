package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// suite is what all tests of the package share: the built program, and stacks, of which each test has one for
// itself.
var suite struct {
	program string
	pool    *stack.Pool
	stacks  sync.Map // of the tests that run, by their names
	scenes  scenes
}

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if signal.Ignored(syscall.SIGHUP) {
		// The tests run under nohup. They go on ignoring it, and what they start does not.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
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
	mgmt, err := os.ReadFile(filepath.Join("testdata", "mgmt.yaml"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// A test waits more than it computes: as many run at once as there are stacks, unless the command line
	// says otherwise.
	flag.Parse()
	if err := parallel(stack.PoolSize()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	suite.pool = stack.NewPool(0, stack.Options{Flux: stack.FluxWhenInstalled, Progress: os.Stderr},
		func(ctx context.Context, s *stack.Stack) error {
			return s.SeedManagementCluster(ctx, mgmt)
		})
	defer suite.pool.Stop()
	defer suite.scenes.close()
	return m.Run()
}

// parallel sets how many tests run at once, if nobody did.
func parallel(n int) error {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(n))
}

// freshStack takes a fresh stack for a test, until its end. When the test asks again, as a benchmark does,
// the stack is made fresh again.
func freshStack(t testing.TB) *stack.Stack {
	t.Helper()
	return takeStack(t, (*stack.Stack).Reset)
}

// takeStack is freshStack for a stack in another state, which bring puts it into.
func takeStack(t testing.TB, bring func(*stack.Stack, context.Context) error) *stack.Stack {
	t.Helper()
	if taken, ok := suite.stacks.Load(t.Name()); ok {
		s := taken.(*stack.Stack)
		if err := bring(s, t.Context()); err != nil {
			t.Fatalf("resetting the stack: %v", err)
		}
		return s
	}
	s, giveBack, err := suite.pool.TakeAs(t.Context(), bring)
	if err != nil {
		t.Fatalf("getting a stack: %v", err)
	}
	suite.stacks.Store(t.Name(), s)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Report())
		}
		suite.stacks.Delete(t.Name())
		giveBack()
	})
	return s
}

// stackOf is the stack of a test's world, or of that of the test it is a part of.
func stackOf(t testing.TB) *stack.Stack {
	t.Helper()
	for name := t.Name(); name != ""; {
		if s, ok := suite.stacks.Load(name); ok {
			return s.(*stack.Stack)
		}
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
	}
	t.Fatal("the test has no world")
	return nil
}

// buildProgram builds the program as a user would, with Flux's manifests inside.
func buildProgram(ctx context.Context, target string) error {
	for _, args := range [][]string{
		{"go", "generate", "./pkg/fluxinstall"},
		{"go", "build", "-trimpath", "-ldflags",
			"-X github.com/eksa-gitops/eksa-gitops/internal/buildinfo.version=v0.0.0-e2e", "-o", target,
			"./cmd/eksa-gitops"},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		// as make build does, so that both share the build cache
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return nil
}
