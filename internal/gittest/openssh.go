package gittest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// ErrNoOpenSSH says that the machine has no sshd.
var ErrNoOpenSSH = errors.New("no sshd on this machine; install it with: apt-get install openssh-server")

// OpenSSHOptions describe an OpenSSH server.
type OpenSSHOptions struct {
	// AuthorizedKeys are lines of an authorized_keys file. All of them may read and write all repositories,
	// as with a plain sshd.
	AuthorizedKeys []string
	// ReadOnlyKeys are such lines of keys that may only read, as a Git host's deploy keys: the forced command
	// refuses them to push.
	ReadOnlyKeys []string
	// HostKeys are the algorithms of the host keys; the default is ED25519 and ECDSA256.
	HostKeys []Algorithm
	// HostAuthority signs a certificate for each host key, which the server then shows to clients that ask
	// for certificates.
	HostAuthority ssh.Signer
	// ExtraConfig is put before the server's own sshd_config; sshd takes the first value of each keyword.
	ExtraConfig string
}

// OpenSSH is a listener whose connections are served by a real sshd, in its inetd mode: one process for each
// connection, so that nothing is left to stop but what a client holds open. Faults do not strike here.
type OpenSSH struct {
	server *Server
	dir    string
	sshd   string
	user   string
	ln     net.Listener
	keys   []ssh.PublicKey
	cancel context.CancelFunc
}

// findSSHD looks where distributions put sshd, which is not on an ordinary user's PATH.
func findSSHD() (string, error) {
	if path, err := exec.LookPath("sshd"); err == nil {
		return filepath.Abs(path)
	}
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", ErrNoOpenSSH
}

// EnsureOpenSSH installs Debian's openssh-server when the machine has no sshd. Only root can; for anybody
// else, and where there is no apt-get, the error is [ErrNoOpenSSH]. The package's own service is not started.
func EnsureOpenSSH(ctx context.Context) error {
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		// Test programs run side by side. One of them installs; the others have to wait until it is done, as
		// sshd does not work before.
		cmd := exec.CommandContext(ctx, "flock", "/var/lib/dpkg", "sh", "-c", installOpenSSH)
		// RUNLEVEL=1 makes invoke-rc.d leave the service alone on machines without a service manager.
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("installing openssh-server: %w\n%s", err, out)
		}
	}
	_, err := findSSHD()
	return err
}

// The package lists of a fresh image are empty or old.
const installOpenSSH = `
for sshd in sshd /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd; do
	command -v $sshd && exit
done
install() { apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 openssh-server; }
install || { apt-get update && install; }
`

// The command that sshd runs in place of what the client asks for: it turns a repository's name into its path
// and runs git with an isolated configuration. Traces of git's child processes are what Sessions are read
// from.
const forcedCommand = `#!/bin/sh
set -f
service=${SSH_ORIGINAL_COMMAND%%%% *}
repo=${SSH_ORIGINAL_COMMAND#* }
repo=${repo#\'}; repo=${repo%%\'}; repo=${repo#/}; repo=${repo%%.git}
case $service in
git-upload-pack | git-receive-pack) ;;
*) echo "only git is served here" >&2; exit 128 ;;
esac
case $repo in
'' | *..* | *[!A-Za-z0-9._/-]*) echo "ERROR: Repository not found." >&2; exit 128 ;;
esac
if [ ! -d "%[1]s/repos/$repo.git" ]; then echo "ERROR: Repository not found." >&2; exit 128; fi
if [ "$service-$GITTEST_ACCESS" = git-receive-pack-read ]; then echo "ERROR: %[4]s" >&2; exit 128; fi
export PATH='%[2]s' HOME="%[1]s/home" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
export GIT_TRACE2_EVENT="%[3]s/traces/$$"
printf '%%s %%s\n' "$service" "$repo" >"%[3]s/sessions/$$"
exec git "${service#git-}" "%[1]s/repos/$repo.git"
`

// StartOpenSSH serves the repositories through sshd for the user that runs the test, root or not. Root
// installs one where it is missing ([EnsureOpenSSH]); for others it fails with [ErrNoOpenSSH] then. The
// server is closed with the Server, or earlier by its Close.
func (s *Server) StartOpenSSH(ctx context.Context, opts OpenSSHOptions) (*OpenSSH, error) {
	if err := EnsureOpenSSH(ctx); err != nil {
		return nil, err
	}
	sshd, err := findSSHD()
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("starting sshd: %w", err)
	}
	dir, err := os.MkdirTemp(s.dir, "openssh-")
	if err != nil {
		return nil, fmt.Errorf("starting sshd: %w", err)
	}
	o := &OpenSSH{server: s, dir: dir, sshd: sshd, user: me.Username}
	if err := o.configure(opts); err != nil {
		return nil, fmt.Errorf("configuring sshd: %w", err)
	}
	if out, err := exec.CommandContext(ctx, sshd, "-t", "-f", o.file("sshd_config")).CombinedOutput(); err !=
		nil {
		return nil, fmt.Errorf("checking sshd's configuration: %w: %s", err, out)
	}
	var lc net.ListenConfig
	if o.ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("starting sshd: %w", err)
	}
	life, cancel := context.WithCancel(s.ctx)
	o.cancel = cancel
	s.mu.Lock()
	s.closers = append(s.closers, o.Close)
	s.mu.Unlock()
	go o.serve(life)
	return o, nil
}

func (o *OpenSSH) file(name string) string { return filepath.Join(o.dir, name) }

func (o *OpenSSH) configure(opts OpenSSHOptions) error {
	for _, d := range []string{"traces", "sessions"} {
		if err := os.Mkdir(o.file(d), 0o700); err != nil {
			return err
		}
	}
	if os.Geteuid() == 0 {
		// Where sshd confines its unprivileged half. A service manager makes it; by hand nobody does.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	config := strings.Builder{}
	config.WriteString(opts.ExtraConfig + "\n")
	algorithms := opts.HostKeys
	if len(algorithms) == 0 {
		algorithms = []Algorithm{ED25519, ECDSA256}
	}
	for _, a := range algorithms {
		private, err := generate(a)
		if err != nil {
			return err
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			return err
		}
		path := o.file("host_" + string(a))
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return err
		}
		o.keys = append(o.keys, signer.PublicKey())
		fmt.Fprintf(&config, "HostKey %q\n", path)
		if opts.HostAuthority != nil {
			if err := certify(signer.PublicKey(), opts.HostAuthority, path+"-cert.pub"); err != nil {
				return err
			}
			fmt.Fprintf(&config, "HostCertificate %q\n", path+"-cert.pub")
		}
	}
	command := o.file("git-only")
	fmt.Fprintf(&config, `AuthorizedKeysFile %q
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers %s
StrictModes no
UsePAM no
PidFile none
PrintMotd no
PrintLastLog no
PermitUserRC no
PermitTTY no
AllowTcpForwarding no
X11Forwarding no
AcceptEnv GIT_PROTOCOL
PermitUserEnvironment GITTEST_ACCESS
# A bash that sshd starts reads the .bashrc of the user who runs the tests, which may be slow, or wait for others: not one below another shell.
SetEnv SHLVL=1
LoginGraceTime 30
LogLevel VERBOSE
ForceCommand /bin/sh %q
`, o.file("authorized_keys"), o.user, command)
	return errors.Join(
		os.WriteFile(o.file("sshd_config"), []byte(config.String()), 0o600),
		os.WriteFile(o.file("authorized_keys"),
			[]byte(strings.Join(slices.Concat(opts.AuthorizedKeys, readOnly(opts.ReadOnlyKeys)), "\n")+"\n"),
			0o600),
		writeScript(command, fmt.Sprintf(forcedCommand, o.server.dir, os.Getenv("PATH"), o.dir, ReadOnlyKey)),
	)
}

// certify writes a certificate that a host key belongs to the loopback address.
func certify(key ssh.PublicKey, authority ssh.Signer, path string) error {
	certificate := &ssh.Certificate{
		Key: key, CertType: ssh.HostCert, KeyId: "gittest", ValidPrincipals: []string{"127.0.0.1"},
		ValidBefore: ssh.CertTimeInfinity,
	}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		return err
	}
	return os.WriteFile(path, ssh.MarshalAuthorizedKey(certificate), 0o600)
}

// readOnly marks lines of authorized_keys so that the forced command knows them.
func readOnly(lines []string) []string {
	var marked []string
	for _, line := range lines {
		marked = append(marked, `environment="GITTEST_ACCESS=read" `+line)
	}
	return marked
}

// SetAuthorizedKeys replaces the keys that may log in.
func (o *OpenSSH) SetAuthorizedKeys(keys ...string) {
	o.server.must(writeFile(o.file("authorized_keys"), strings.Join(keys, "\n")+"\n"))
}

func (o *OpenSSH) serve(ctx context.Context) {
	for {
		conn, err := o.ln.Accept()
		if err != nil {
			return
		}
		untrack, ok := o.server.track(conn)
		if !ok {
			conn.Close() // the server is closing
			return
		}
		go func() {
			defer untrack()
			o.serveConn(ctx, conn)
		}()
	}
}

// serveConn runs sshd on one connection until the connection or the server ends.
func (o *OpenSSH) serveConn(ctx context.Context, conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	socket, err := tcp.File()
	if err != nil {
		return
	}
	defer socket.Close()
	cmd := exec.CommandContext(ctx, o.sshd, "-i", "-f", o.file("sshd_config"), "-E", o.file("log"))
	cmd.Stdin, cmd.Stdout = socket, socket
	cmd.Env = isolatedEnv(filepath.Join(o.server.dir, "home"))
	cmd.WaitDelay = 2 * time.Second
	ownGroup(cmd)
	dieWithParent(cmd)
	kill := cmd.Cancel
	if kill != nil {
		// The command that sshd runs for the client has a session of its own, so the group is not all.
		cmd.Cancel = func() error {
			killTree(cmd.Process.Pid)
			return kill()
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return
	}
	cmd.Wait() // how a client ended is in the log
}

// Close stops listening and ends all sessions with their processes. It may be called more than once.
func (o *OpenSSH) Close() error {
	o.cancel()
	if err := o.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Addr is the host:port that the server listens on.
func (o *OpenSSH) Addr() string { return o.ln.Addr().String() }

// User is the name that clients must log in with: the user that runs the test.
func (o *OpenSSH) User() string { return o.user }

// URL is the URL under which a repository is served.
func (o *OpenSSH) URL(repo string) string {
	return "ssh://" + o.user + "@" + o.Addr() + "/" + repo + ".git"
}

// KnownHosts are lines for a known_hosts file, one for each host key.
func (o *OpenSSH) KnownHosts() string { return knownHosts(o.Addr(), o.keys) }

// HostKeys are the public host keys.
func (o *OpenSSH) HostKeys() []ssh.PublicKey { return append([]ssh.PublicKey(nil), o.keys...) }

// Client returns a git command that trusts this server's host keys.
func (o *OpenSSH) Client(c Credentials) *Client {
	client, err := o.server.NewClient(c, o.KnownHosts())
	o.server.must(err)
	return client
}

// Log is what sshd has logged so far.
func (o *OpenSSH) Log() string {
	log, err := os.ReadFile(o.file("log"))
	if !errors.Is(err, os.ErrNotExist) {
		o.server.must(err)
	}
	return string(log)
}

// Counts are the sessions of one repository so far, without bytes. They are read from what git traces: a
// fetch is a session that packed objects, a push one that unpacked some.
func (o *OpenSSH) Counts(repo string) Counts {
	var c Counts
	entries, err := os.ReadDir(o.file("sessions"))
	o.server.must(err)
	for _, e := range entries {
		session, err := os.ReadFile(filepath.Join(o.file("sessions"), e.Name()))
		o.server.must(err)
		_, name, _ := strings.Cut(strings.TrimSpace(string(session)), " ")
		if !strings.EqualFold(name, repo) {
			continue
		}
		c.Sessions++
		trace, err := os.ReadFile(filepath.Join(o.file("traces"), e.Name()))
		if err != nil {
			continue // git has not begun
		}
		switch {
		case startedChild(trace, "pack-objects"):
			c.Fetches++
		case startedChild(trace, "unpack-objects"), startedChild(trace, "index-pack"):
			c.Pushes++
		}
	}
	return c
}

// startedChild looks through the events of one git process for a child of that name.
func startedChild(trace []byte, name string) bool {
	for line := range strings.SplitSeq(string(trace), "\n") {
		var event struct {
			Event string   `json:"event"`
			Argv  []string `json:"argv"`
		}
		if json.Unmarshal([]byte(line), &event) != nil || event.Event != "child_start" {
			continue
		}
		for _, arg := range event.Argv[:min(len(event.Argv), 4)] {
			if arg == name {
				return true
			}
		}
	}
	return false
}
