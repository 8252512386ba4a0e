//go:build unix

package stack_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// victim is set in the environment of a test binary that is to start a stack
// and be killed.
const victim = "EKSA_GITOPS_STACK_TEST_VICTIM"

func beVictim(ctx context.Context) int {
	s, err := stack.Start(ctx, stack.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.Dir())
	<-ctx.Done() // never
	return 0
}

func TestStack_killedTestLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties the life of processes to ours")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	temp := t.TempDir()
	command.Env = append(os.Environ(), victim+"=1", "TMPDIR="+temp)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(line)
	if filepath.Dir(dir) != temp {
		t.Fatalf("the stack is in %s, want it in %s", dir, temp)
	}
	stack.RemoveAbandoned(temp)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the directory of a stack that runs was removed: %v", err)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // "killed"
	// Zombies of killed processes have no command line any more.
	eventually(t, func() bool {
		stack.RemoveAbandoned(temp)
		return leftOver(dir) == nil
	})
}
