//go:build unix

package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processes starts the programs of one stack and kills them together. Each
// runs in a process group of its own with its output in a file.
type processes struct {
	logs string // directory of the output files

	mu      sync.Mutex // guards running and over
	running map[*process]struct{}
	over    chan struct{} // closed by killAll, which makes another
	keepers sync.WaitGroup

	starts chan func()
}

// process is one running program.
type process struct {
	name string
	log  string // path of its output
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; valid once done is closed
}

// newProcesses begins a set of processes. Close ends it.
//
// The kernel's "kill me when my parent dies" is bound to the *thread* that
// forked, so one thread, kept until close, does all the forking.
func newProcesses(logs string) *processes {
	p := &processes{logs: logs, running: map[*process]struct{}{}, over: make(chan struct{}),
		starts: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range p.starts {
			start()
		}
	}()
	return p
}

// start runs a program. Its output is appended to <logs>/<name>.log.
func (p *processes) start(name string, command Command, env []string, args ...string) (*process, error) {
	path := filepath.Join(p.logs, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// Not CommandContext: a process ends by kill, together with its group.
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = log, log, env, p.logs
	cmd.SysProcAttr = processAttributes()
	started := make(chan error, 1)
	p.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	child := &process{name: name, log: path, cmd: cmd, done: make(chan struct{})}
	p.mu.Lock()
	p.running[child] = struct{}{}
	p.mu.Unlock()
	go func() {
		child.err = cmd.Wait()
		p.mu.Lock()
		delete(p.running, child)
		p.mu.Unlock()
		close(child.done)
	}()
	return child, nil
}

// keep starts a program, and starts it again whenever it ends by itself, as a
// kubelet does with the programs of a control plane: some give up when the API
// server is slow to answer.
func (p *processes) keep(name string, command Command, env []string, args ...string) error {
	child, err := p.start(name, command, env, args...)
	if err != nil {
		return err
	}
	p.mu.Lock()
	over := p.over
	p.mu.Unlock()
	p.keepers.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-child.done:
			}
			select {
			case <-over:
				return
			case <-time.After(restartPause):
			}
			note(child)
			if again, err := p.start(name, command, env, args...); err == nil {
				child = again
			}
		}
	})
	return nil
}

// note writes into the log of a program that it ended.
func note(child *process) {
	log, err := os.OpenFile(child.log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s ended (%v) and is started again\n", child.name, child.err)
}

// restartPause is the time before a program that ended is started again.
const restartPause = 200 * time.Millisecond

// killAll ends every process of the set, at once, and waits until they are
// gone.
func (p *processes) killAll() {
	p.mu.Lock()
	close(p.over)
	p.over = make(chan struct{})
	p.mu.Unlock()
	p.keepers.Wait() // what they started last is running now
	p.mu.Lock()
	running := make([]*process, 0, len(p.running))
	for child := range p.running {
		running = append(running, child)
	}
	p.mu.Unlock()
	for _, child := range running {
		child.signal(unix.SIGKILL)
	}
	for _, child := range running {
		<-child.done
	}
}

// close kills all and ends the set. Nothing may be started after it.
func (p *processes) close() {
	p.killAll()
	close(p.starts)
}

// kill ends the process and its group and waits until it is gone.
func (c *process) kill() {
	c.signal(unix.SIGKILL)
	<-c.done
}

// signal goes to the whole group. A process that is gone already is no error:
// that is what the callers want it to be.
func (c *process) signal(s syscall.Signal) {
	select {
	case <-c.done:
	default:
		_ = unix.Kill(-c.cmd.Process.Pid, s)
	}
}

// alive reports whether the process still runs.
func (c *process) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// ended explains why a process is no longer there.
func (c *process) ended() error {
	how := "exited"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s ended (%s); the end of its log:\n%s", c.name, how, tail(c.log, 15))
}

// tail returns the last lines of a file, "" when there is none.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// reservation holds a loopback port: bound with SO_REUSEPORT and never
// listening, so that a program which sets the same option can listen there,
// now and again after a restart, and nobody else gets the port in between.
type reservation struct {
	fd   int
	port int
}

func reservePort() (*reservation, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("reserving a port: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reserving a port: %w", err), unix.Close(fd))
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reserving a port: %w", err), unix.Close(fd))
	}
	return &reservation{fd: fd, port: address.(*unix.SockaddrInet4).Port}, nil
}

func (r *reservation) release() { _ = unix.Close(r.fd) }

// removeAbandoned removes the directories of stacks whose process is gone:
// each holds a lock in its directory for as long as it lives.
func removeAbandoned(parent string) {
	dirs, err := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		lock, err := tryLock(filepath.Join(dir, "lock"))
		if err != nil {
			continue // in use, or of another user
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}

const dirPrefix = "eksa-gitops-stack-"

// newDirectory makes the directory of a stack and takes its lock.
func newDirectory(ctx context.Context) (dir string, unlock func(), err error) {
	parent := os.TempDir()
	removeAbandoned(parent)
	// Made under another name, so that nobody takes it for an abandoned one
	// before it is locked.
	unready, err := os.MkdirTemp(parent, ".new-"+dirPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("making the stack's directory: %w", err)
	}
	unlock, err = lockFile(ctx, filepath.Join(unready, "lock"))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(unready))
	}
	dir = filepath.Join(parent, strings.TrimPrefix(filepath.Base(unready), ".new-"))
	if err := os.Rename(unready, dir); err != nil {
		unlock()
		return "", nil, errors.Join(err, os.RemoveAll(unready))
	}
	return dir, unlock, nil
}
