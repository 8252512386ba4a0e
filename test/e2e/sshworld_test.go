package e2e_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// sshWorld is a world whose repository is on an OpenSSH server. The operator has a key that may push, the
// cluster one that may not.
type sshWorld struct {
	*world
	git               *gittest.Server
	ssh               *gittest.OpenSSH
	operator, cluster *gittest.Key
	operatorFile      string
	clusterFile       string
	knownHosts        string // path
	url               string // of the repository, where it is not the server's own
}

func newSSHWorld(t testing.TB) *sshWorld {
	t.Helper()
	return newSSHWorldWith(t, gittest.OpenSSHOptions{})
}

func newSSHWorldWith(t testing.TB, options gittest.OpenSSHOptions) *sshWorld {
	t.Helper()
	return withSSH(t, newWorld(t), options)
}

// withSSH gives a world an OpenSSH server in the place of GitHub.
func withSSH(t testing.TB, on *world, options gittest.OpenSSHOptions) *sshWorld {
	t.Helper()
	w := &sshWorld{world: on, git: gittest.Start(t), operator: gittest.NewKey(t, gittest.ECDSA256),
		cluster: gittest.NewKey(t, gittest.ECDSA384)}
	if err := gittest.EnsureOpenSSH(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	options.AuthorizedKeys, options.ReadOnlyKeys = []string{w.operator.AuthorizedKey()},
		[]string{w.cluster.AuthorizedKey()}
	w.ssh, err = w.git.StartOpenSSH(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	// Keys lie outside the working directory, which is searched for secrets afterwards.
	dir := t.TempDir()
	if w.operatorFile, err = w.operator.File(dir); err != nil {
		t.Fatal(err)
	}
	if w.clusterFile, err = w.cluster.File(dir); err != nil {
		t.Fatal(err)
	}
	w.gitServer, w.clusterKeyFile = w.git, w.clusterFile
	w.knownHosts = filepath.Join(dir, "known_hosts")
	w.know(w.ssh.KnownHosts())
	for name := range w.env {
		if strings.Contains(name, "GITHUB") {
			delete(w.env, name)
		}
	}
	w.env["EKSA_GIT_PRIVATE_KEY"], w.env["EKSA_GIT_KNOWN_HOSTS"] = w.operatorFile, w.knownHosts
	for _, file := range []string{"mgmt.yaml", "dev.yaml"} {
		w.write(file, w.spec(file))
	}
	return w
}

// know sets the content of the known-hosts file.
func (w *sshWorld) know(lines string) {
	w.t.Helper()
	if err := os.WriteFile(w.knownHosts, []byte(lines), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// spec is a file of testdata with the generic Git provider in the place of GitHub.
func (w *sshWorld) spec(name string) string {
	const github = "  github:\n    personal: true\n    owner: alice\n    repository: fleet\n"
	return spec(w.t, name, github,
		"  git:\n    repositoryUrl: "+cmp.Or(w.url, w.ssh.URL("acme/fleet"))+"\n    sshKeyAlgorithm: ecdsa\n")
}

// sshMark remembers how much has happened at the Git server and in the cluster.
type sshMark struct {
	world  *sshWorld
	pushes int
	mark
}

func (w *sshWorld) mark() sshMark {
	return sshMark{w, w.ssh.Counts("acme/fleet").Pushes, w.world.mark()}
}

func (m sshMark) writesNothing() {
	m.world.t.Helper()
	if pushes := m.world.ssh.Counts("acme/fleet").Pushes - m.pushes; pushes != 0 {
		m.world.t.Errorf("the Git server saw %d pushes, want none", pushes)
	}
	m.mark.writesNothing()
}

// startAgent runs a real ssh-agent that holds a key, and returns its socket.
func (w *sshWorld) startAgent(keyFile string) string {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "agent") // the path of a socket may have about 100 characters only
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(w.t.Context(), "ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	add := func() error {
		cmd := exec.CommandContext(w.t.Context(), "ssh-add", keyFile)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("ssh-add: %w: %s", err, out)
		}
		return nil
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := add()
		if err == nil {
			return socket
		}
		if time.Now().After(deadline) {
			w.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the agent makes its socket in its own time
	}
}

// runOnTerminal runs the program on a terminal of its own, answers one question, and returns all that the
// terminal showed.
func (w *sshWorld) runOnTerminal(code int, question, answer string, args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), suite.program, args...)
	cmd.Dir = w.dir
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	terminal, err := pty.Start(cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	defer terminal.Close()
	var shown bytes.Buffer
	asked := false
	chunk := make([]byte, 4096)
	for {
		n, err := terminal.Read(chunk)
		shown.Write(chunk[:n])
		if !asked && strings.Contains(shown.String(), question) {
			asked = true
			if _, err := terminal.WriteString(answer); err != nil {
				w.t.Fatal(err)
			}
		}
		if err != nil {
			break // EIO: the program is gone
		}
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		w.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Errorf("exit code %d, want %d:\n%s", got, code, shown.String())
	}
	if !asked {
		w.t.Errorf("the program did not ask %q:\n%s", question, shown.String())
	}
	w.outputs.Write(shown.Bytes())
	w.inspect(args, shown.Bytes(), nil)
	return shown.String()
}
