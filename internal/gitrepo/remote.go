package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/repourl"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Remote is a repository on a server, and how to talk to it.
type Remote struct {
	// URL is https://host/path, ssh://[user@]host[:port]/path, or the scp form user@host:path. It holds no
	// password.
	URL string
	// Auth is how to log in: a [TokenAuth] for https, an [SSHAuth] for ssh. Over https it may be nil.
	Auth Auth
	// CAPEM are certificate authorities, in PEM, that are trusted for https besides the system's.
	CAPEM []byte
	// UserAgent is what servers see, such as eksa-gitops/1.0. A default stands for an empty one.
	UserAgent string
	// Limits bound what a server can make the program spend; zero values are the defaults.
	Limits Limits
	// Stats, when not nil, counts what is done with this remote.
	Stats *Stats
	// DialContext makes connections. When nil, connections are direct, or go through the proxy that the
	// environment names: HTTPS_PROXY and NO_PROXY for https, ALL_PROXY (SOCKS) and NO_PROXY for ssh.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Auth is a [TokenAuth] or an [SSHAuth].
type Auth interface{ scheme() string }

// TokenAuth logs in over HTTPS with basic authentication.
type TokenAuth struct {
	// Username may be anything for GitHub's tokens; when empty, git is sent.
	Username string
	Token    secret.Value
}

// SSHAuth logs in over SSH.
type SSHAuth struct {
	Identities *sshkeys.Identities
	KnownHosts *sshkeys.KnownHosts
}

func (TokenAuth) scheme() string { return "https" }
func (SSHAuth) scheme() string   { return "ssh" }

// Limits bound what a server can make the program spend. A zero field is its default.
type Limits struct {
	// Pack is the size in bytes of what one fetch may transfer. Default: 1 GiB.
	Pack int64
	// Object is the size in bytes of one commit or directory. Default: 16 MiB, a directory of some 400,000
	// entries.
	Object int64
	// File is the size in bytes of one file to read. Default: 16 MiB.
	File int64
	// Read is the size in bytes of all files that are read at once, each as often as it has a path. Default:
	// 256 MiB.
	Read int64
	// Objects is the number of objects of all fetches from one branch. Default: 750,000.
	Objects int64
	// Inflated is the size in bytes of all objects of one fetch, unpacked. Default: 16 GiB.
	Inflated int64
	// Connect is the time for a connection, its encryption and the log-in. Default: 30 s.
	Connect time.Duration
	// Idle is how long a server may be silent. Servers show signs of life while a hook runs. Default: 60 s.
	Idle time.Duration
}

const (
	defaultPackLimit     = 1 << 30
	defaultObjectLimit   = 16 << 20
	defaultReadLimit     = 256 << 20
	defaultObjectsLimit  = 750_000
	defaultFileLimit     = 16 << 20
	defaultInflatedLimit = 16 << 30
	defaultConnectLimit  = 30 * time.Second
	defaultIdleLimit     = 60 * time.Second
	defaultUserAgent     = "eksa-gitops"
)

// ofPacks are the limits that what is unpacked has to keep to.
func (l Limits) ofPacks() pack.Limits {
	return pack.Limits{Object: l.Object, File: l.File, Objects: l.Objects, Inflated: l.Inflated}
}

func (l Limits) withDefaults() Limits {
	set := func(field *int64, value int64) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Pack, defaultPackLimit)
	set(&l.Object, defaultObjectLimit)
	set(&l.File, defaultFileLimit)
	set(&l.Read, defaultReadLimit)
	set(&l.Objects, defaultObjectsLimit)
	set(&l.Inflated, defaultInflatedLimit)
	if l.Connect <= 0 {
		l.Connect = defaultConnectLimit
	}
	if l.Idle <= 0 {
		l.Idle = defaultIdleLimit
	}
	return l
}

// Stats counts what was done with a remote. It may be read at any time.
type Stats struct {
	sessions, fetches, pushes, sent, received, connections atomic.Int64
}

// Totals are the counts of a [Stats] at one moment.
type Totals struct {
	Connections int64 // connections made, log-in included
	// conversations with a git service, those that only read the list of references included
	Sessions      int64
	Fetches       int64 // transfers of objects to us
	Pushes        int64 // transfers of objects to the server
	BytesSent     int64 // Git payload, without the overhead of TLS, HTTP and SSH
	BytesReceived int64
}

// Totals returns the counts so far.
func (s *Stats) Totals() Totals {
	return Totals{
		Connections: s.connections.Load(), Sessions: s.sessions.Load(), Fetches: s.fetches.Load(),
		Pushes: s.pushes.Load(), BytesSent: s.sent.Load(), BytesReceived: s.received.Load(),
	}
}

// service is one of git's two services.
type service string

const (
	uploadPack  service = "git-upload-pack"
	receivePack service = "git-receive-pack"
)

// endpoint is a remote that has been checked, with its open connections.
type endpoint struct {
	name      string // the URL without credentials
	agent     string
	limits    Limits
	stats     *Stats
	transport transport
	secrets   redact.Redactor // what must not be shown, whatever the server sends back

	hostKey atomic.Pointer[string] // that the server has proved last, over SSH
}

// transport opens sessions with the services of one repository.
type transport interface {
	// open starts a session. The session must be closed.
	open(ctx context.Context, svc service) (session, error)
	// close gives up connections that are kept for further sessions.
	close()
}

// newEndpoint checks a remote without talking to it.
func newEndpoint(r Remote) (*endpoint, error) {
	e := &endpoint{agent: r.UserAgent, limits: r.Limits.withDefaults(), stats: r.Stats}
	if e.agent == "" {
		e.agent = defaultUserAgent
	}
	if strings.ContainsFunc(e.agent, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return nil, errors.New("the user agent has a space or a control character in it")
	}
	if e.stats == nil {
		e.stats = &Stats{}
	}
	scheme, _, _ := strings.Cut(r.URL, "://")
	var err error
	switch {
	case strings.EqualFold(scheme, "https"):
		err = e.useHTTPS(r)
	case strings.EqualFold(scheme, "http"):
		err = errors.New("the repository URL has the scheme http, over which credentials could be read by " +
			"anybody: use https")
	default:
		err = e.useSSH(r)
	}
	return e, err
}

func (e *endpoint) useHTTPS(r Remote) error {
	u, err := repourl.ParseHTTPS(r.URL)
	if err != nil {
		return err
	}
	auth := TokenAuth{}
	if r.Auth != nil {
		var ok bool
		if auth, ok = r.Auth.(TokenAuth); !ok {
			return fmt.Errorf("a repository over https needs a token, not %s credentials", r.Auth.scheme())
		}
	}
	e.name = u.String()
	e.transport, err = newHTTPSTransport(e, r, u, auth)
	if token := auth.Token.Reveal(); token != "" {
		e.secrets.Know(token, auth.user()+":"+token)
	}
	return err
}

func (a TokenAuth) user() string {
	if a.Username == "" {
		return "git"
	}
	return a.Username
}

func (e *endpoint) useSSH(r Remote) error {
	u, err := sshkeys.ParseURL(r.URL)
	if err != nil {
		return err
	}
	auth, ok := r.Auth.(SSHAuth)
	if !ok || auth.Identities == nil || auth.KnownHosts == nil {
		return errors.New("a repository over ssh needs a private key or an agent, and known hosts")
	}
	e.name = u.String()
	e.transport = newSSHTransport(e, r, u, auth)
	return nil
}

// RemoteURL is an address that has been read and checked.
type RemoteURL struct {
	Scheme string // https or ssh
	User   string // ssh only; git when the text names nobody
	Host   string // name or address without brackets, as given
	Port   int    // the scheme's default when the text names none
	Path   string // with a leading slash, or beginning with ~
	// Notice says how the text was read when it was in the scp form; empty otherwise.
	Notice string
	text   string
}

// String is the normal form, without credentials.
func (u *RemoteURL) String() string { return u.text }

// ParseRemoteURL reads an address in any of the forms that [Remote] takes. No error shows a password that the
// text may hold.
func ParseRemoteURL(text string) (*RemoteURL, error) {
	if scheme, _, _ := strings.Cut(text, "://"); strings.EqualFold(scheme, "https") {
		u, err := repourl.ParseHTTPS(text)
		if err != nil {
			return nil, err
		}
		port := 443
		if p := u.Port(); p != "" {
			port, _ = strconv.Atoi(p)
		}
		return &RemoteURL{Scheme: "https", Host: u.Hostname(), Port: port, Path: u.Path,
			text: u.String()}, nil
	}
	u, err := sshkeys.ParseURL(text)
	if err != nil {
		return nil, err
	}
	return &RemoteURL{Scheme: "ssh", User: u.User, Host: u.Host, Port: u.Port, Path: u.Path, Notice: u.Notice,
		text: u.String()}, nil
}
