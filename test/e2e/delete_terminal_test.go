//go:build linux

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is the program with a person's terminal as its standard streams.
type terminal struct {
	t      testing.TB
	master *os.File
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
	closed chan struct{} // nobody writes to the terminal any more
}

// startOnTerminal starts the program on a terminal of its own (pty(7)).
func (w *world) startOnTerminal(args ...string) *terminal {
	w.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		w.t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	w.t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		w.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer slave.Close()
	term := &terminal{t: w.t, master: master, cmd: exec.CommandContext(w.t.Context(), suite.program, args...),
		closed: make(chan struct{})}
	term.cmd.Dir = w.dir
	for name, value := range w.env {
		if name != "TERM" {
			term.cmd.Env = append(term.cmd.Env, name+"="+value)
		}
	}
	term.cmd.Env = append(term.cmd.Env, "TERM=xterm")
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(term.closed)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			term.mu.Lock()
			term.screen.Write(buffer[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term
}

func (p *terminal) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// answer waits for a question and types.
func (p *terminal) answer(question, text string) {
	p.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !strings.Contains(p.shown(), question) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the question %q does not come:\n%s", question, p.shown())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end and returns what was shown.
func (p *terminal) ends(code int) string {
	p.t.Helper()
	_ = p.cmd.Wait()
	<-p.closed
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("exit code %d, want %d:\n%s", got, code, p.shown())
	}
	return p.shown()
}

// On a terminal the command shows what will go and asks; only y and the name are a yes.
func TestDelete_asks(t *testing.T) {
	w := newFleet(t, "dev")
	for _, no := range []string{"\n", "n\n", "test\n", "\x04"} {
		before := w.mark()
		p := w.startOnTerminal("delete", "cluster", "dev")
		p.answer("Delete cluster dev? Type its name, or y:", no)
		shown := p.ends(130)
		for _, text := range []string{
			"Cluster dev (namespace default, Kubernetes 1.33) will be deleted, with all its machines:",
			"object  Cluster default/dev", "delete  " + devFiles[0],
			"not confirmed; nothing has been changed"} {
			if !strings.Contains(shown, text) {
				t.Errorf("%q is not shown:\n%s", text, shown)
			}
		}
		before.writesNothing()
	}
	before := w.mark()
	p := w.startOnTerminal("delete", "cluster", "dev")
	p.answer("Type its name, or y:", "\x03")
	p.ends(130)
	before.writesNothing()

	p = w.startOnTerminal("delete", "cluster", "dev")
	p.answer("Type its name, or y:", "dev\n")
	if shown := p.ends(0); !strings.Contains(shown, "Cluster dev is gone.") {
		t.Errorf("shown:\n%s", shown)
	}
	if hasCluster(t, "dev") {
		t.Error("dev is still there")
	}
	// Nothing to do is nothing to ask.
	p = w.startOnTerminal("delete", "cluster", "dev")
	if shown := p.ends(0); !strings.Contains(shown, "Nothing to do: cluster dev is gone.") {
		t.Errorf("shown:\n%s", shown)
	}
	p = w.startOnTerminal("delete", "cluster", "mgmt")
	p.answer("Detach management cluster mgmt? Type its name, or y:", "y\n")
	if shown := p.ends(0); !strings.Contains(shown, "Management cluster mgmt is detached from Git.") {
		t.Errorf("shown:\n%s", shown)
	}
	w.detached()
}
