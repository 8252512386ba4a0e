package gittest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// The name under which an SSH connection keeps the key that it was opened with.
const keyExtension = "gittest-key"

func (s *Server) serveSSH(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		untrack, ok := s.track(conn)
		if !ok {
			conn.Close() // the server is closing
			return
		}
		go func() {
			defer untrack()
			s.serveSSHConn(conn)
		}()
	}
}

func (s *Server) sshConfig() *ssh.ServerConfig {
	var once sync.Once
	var rejected bool
	config := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-gittest",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			name, known := s.authorizer.KnowsKey(key)
			if !known || (s.sshUser != "" && meta.User() != s.sshUser) {
				return nil, errors.New("unknown key or user")
			}
			// One connection offers a key twice, and may offer several: it is struck as a whole.
			once.Do(func() {
				rejected = s.faults.take(func(f Fault) bool {
					return f.Kind == RejectAuth && f.Repo == "" && f.Service == AnyService
				}) != nil
			})
			if rejected {
				return nil, errors.New("rejected by a fault")
			}
			return &ssh.Permissions{Extensions: map[string]string{
				keyExtension: base64.StdEncoding.EncodeToString(key.Marshal()),
				"name":       name,
			}}, nil
		},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.hostKeys {
		config.AddHostKey(k)
	}
	return config
}

func (s *Server) serveSSHConn(conn net.Conn) {
	// A client that never finishes the handshake must not hold the connection for ever.
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return
	}
	server, channels, requests, err := ssh.NewServerConn(conn, s.sshConfig())
	if err != nil {
		return
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	go ssh.DiscardRequests(requests)
	var running sync.WaitGroup
	defer running.Wait()
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "only sessions are served") // the client may be gone
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			continue
		}
		session := &sshSession{server: s, conn: conn, perms: server.Permissions, channel: channel}
		running.Go(func() { session.serve(ctx, requests) })
	}
	cancel()
}

// sshSession is one channel of a connection: one command.
type sshSession struct {
	server   *Server
	conn     net.Conn
	perms    *ssh.Permissions
	channel  ssh.Channel
	protocol string // GIT_PROTOCOL
}

// serve reads the session's requests until the client closes it, and runs the first command beside.
func (c *sshSession) serve(ctx context.Context, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	started := false
	for req := range requests {
		ok := false
		var run func() int
		switch req.Type {
		case "env":
			var kv struct{ Name, Value string }
			if ssh.Unmarshal(req.Payload, &kv) == nil && kv.Name == "GIT_PROTOCOL" {
				c.protocol, ok = kv.Value, true
			}
		case "exec":
			var payload struct{ Command string }
			if ssh.Unmarshal(req.Payload, &payload) == nil && !started {
				ok, run = true, func() int { return c.exec(ctx, payload.Command) }
			}
		case "shell":
			if !started {
				ok, run = true, c.greet
			}
		}
		if req.WantReply {
			req.Reply(ok, nil) // the client may be gone
		}
		if run != nil {
			started = true
			running.Go(func() { c.finish(run()) })
		}
	}
	cancel()
}

func (c *sshSession) finish(status int) {
	// The client may be gone, or a fault may have cut the connection.
	c.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
	c.channel.Close()
}

// say writes a message where ssh clients show it.
// the client may be gone
func (c *sshSession) say(text string) { io.WriteString(c.channel.Stderr(), text+"\n") }

func (c *sshSession) greet() int {
	c.say("Hi " + c.perms.Extensions["name"] +
		"! You've successfully authenticated, but GitHub does not provide shell access.")
	return 1
}

// The command that git sends over SSH; the path is quoted for a shell.
var gitCommandLine = regexp.MustCompile(`^git[- ](upload-pack|receive-pack) '?/?(.*?)'?$`)

func (c *sshSession) exec(ctx context.Context, command string) int {
	match := gitCommandLine.FindStringSubmatch(command)
	if match == nil {
		c.say("Invalid command: '" + command + "'\n  You appear to be using ssh to clone a git:// URL.")
		return 1
	}
	service := Fetch
	if match[1] == "receive-pack" {
		service = Push
	}
	key, err := c.key()
	if err != nil {
		c.say("ERROR: " + err.Error())
		return 1
	}
	access := Access{Key: key, Repo: strings.TrimSuffix(strings.Trim(match[2], "/"), ".git"),
		Write: service == Push}
	verdict := Verdict{Outcome: NotFound}
	if checkRepoName(access.Repo) == nil {
		verdict = c.server.authorizer.Authorize(access)
	}
	if verdict.Repo != "" {
		access.Repo = verdict.Repo
	}
	repo := c.server.Repo(access.Repo)
	if verdict.Outcome == Allow && repo == nil {
		verdict.Outcome = NotFound
	}
	if verdict.Outcome != Allow {
		c.say("ERROR: " + verdict.message(access))
		return 1
	}
	repo.count(func(n *Counts) { n.Sessions++ })
	return c.transfer(ctx, service, repo, verdict)
}

func (c *sshSession) key() (ssh.PublicKey, error) {
	wire, err := base64.StdEncoding.DecodeString(c.perms.Extensions[keyExtension])
	if err != nil {
		return nil, err
	}
	return ssh.ParsePublicKey(wire)
}

// transfer runs one git service between the client and the repository, through the faults that are switched
// on.
func (c *sshSession) transfer(ctx context.Context, service Service, repo *Repo, v Verdict) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	drop := func() {
		c.conn.Close() // that is the point
		cancel()
	}
	fault := c.server.faults.take(func(f Fault) bool {
		return f.Kind != RejectAuth && f.matches(service, repo.Name())
	})
	switch {
	case fault.is(Hang):
		wait(ctx, fault.off, 0)
		drop()
		return 1
	case fault.is(Delay):
		wait(ctx, fault.off, fault.Delay)
	case fault.is(Garbage):
		io.WriteString(c.channel, fault.Text) // the client may be gone
		return 0
	}
	m := &meter{repo: repo, service: service}
	maxReceived, maxSent := fault.limits(service)
	in := &source{from: c.channel, meter: m, limit: maxReceived, drop: drop}
	out := &sink{to: c.channel, meter: m, limit: maxSent, drop: drop}
	if fault.is(LoseReply) {
		// What comes before the client has said what it wants is the list of references.
		out.mute = m.hasReceived
	}
	status := c.run(ctx, service, repo, v, fault, in, out)
	if fault.is(LoseReply) {
		drop()
	}
	return status
}

func (c *sshSession) run(ctx context.Context, service Service, repo *Repo, v Verdict, fault *armedFault,
	in io.Reader, out io.Writer) int {
	env := isolatedEnv(filepath.Join(c.server.dir, "home"), "GIT_PROTOCOL="+c.protocol)
	faulty, err := c.server.pushEnv(fault)
	if err != nil {
		c.say(fmt.Sprintf("ERROR: %v", err))
		return 1
	}
	cmd := gitCommand(ctx, c.server.dir, slices.Concat(env, v.Env, faulty), service.command(), repo.Dir())
	cmd.Stdout, cmd.Stderr = out, c.channel.Stderr()
	if changed := reportFor(v, fault); service == Push && changed != nil {
		cmd.Stdout = &reportWriter{report: *changed, to: out}
	}
	// A pipe of our own: Wait would otherwise wait for the client to end its side, which it does after it has
	// seen our end.
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.say(fmt.Sprintf("ERROR: %v", err))
		return 1
	}
	go func() {
		io.Copy(stdin, in) // git may end before it has read everything
		stdin.Close()
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		return 1
	}
}
