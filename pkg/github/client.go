package github

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// defaultAPIURL is the API of github.com.
const defaultAPIURL = "https://api.github.com/"

// RepoRef names a repository.
type RepoRef struct{ Owner, Name string }

// String is the form owner/name.
func (r RepoRef) String() string { return r.Owner + "/" + r.Name }

// SameAs compares names as GitHub does, regardless of case ("The name is not case sensitive",
// https://docs.github.com/en/rest/repos/repos#get-a-repository).
func (r RepoRef) SameAs(other RepoRef) bool { return strings.EqualFold(r.String(), other.String()) }

// NameError says that something cannot be a name on GitHub. No request was made.
type NameError struct{ What, Name string }

// Error names what and which.
func (e *NameError) Error() string {
	return fmt.Sprintf("%q cannot be the name of %s on GitHub", e.Name, e.What)
}

// Hint says what names look like.
func (e *NameError) Hint() string {
	if e.What == "a branch" {
		return "correct spec.branch"
	}
	return "letters, digits, hyphens, underscores and dots make a name of an owner or a repository"
}

// A name goes into the path of a URL as it is, so that everything with a meaning there has to stay out.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

func checkName(what, name string) error {
	if !namePattern.MatchString(name) || strings.Trim(name, ".") == "" {
		return &NameError{What: what, Name: string(clean(name))}
	}
	return nil
}

func (r RepoRef) check() error {
	if err := checkName("an owner", r.Owner); err != nil {
		return err
	}
	return checkName("a repository", r.Name)
}

// Clock tells the time and waits. The zero [Options] use the real one.
type Clock interface {
	Now() time.Time
	// Sleep waits for d, or until ctx is done and then returns its cause.
	Sleep(ctx context.Context, d time.Duration) error
}

// Options make a [Client]. Only Token is required.
type Options struct {
	// APIURL is the base of the REST API: https://api.github.com/ when empty, https://HOST/api/v3/ on an
	// enterprise server. It must be https, except for a loopback address.
	APIURL string
	Token  secret.Value
	// CAPEM holds certificate authorities to trust besides the system's. It cannot be combined with
	// HTTPTransport.
	CAPEM []byte
	// UserAgent introduces the program to the server, as "name/version".
	UserAgent string
	// OnRetry is told before a request is made again. It is called by one goroutine at a time and should
	// return at once.
	OnRetry func(RetryEvent)
	// OnSunset is told, once, when the server announces the end of the version of the API that is spoken with
	// it. It should return at once.
	OnSunset func(Sunset)
	// HTTPTransport carries the requests; when nil, one of our own with TLS 1.2 or later and the proxy of the
	// environment.
	HTTPTransport http.RoundTripper
	// Retry bounds how often and how long a request is tried again; zero fields have defaults.
	Retry RetryPolicy
	Clock Clock
}

// Client talks to one GitHub with one token.
type Client struct {
	http *http.Client
	base *url.URL
	// the token; a function, since fmt prints what an unexported field holds past a type's own Format
	reveal  func() string
	retry   RetryPolicy
	clock   Clock
	onRetry func(RetryEvent)
	telling sync.Mutex
}

// New makes a client. It makes no request. A token that is missing or cannot be one is a *[TokenError].
func New(options Options) (*Client, error) {
	if err := checkToken(options.Token); err != nil {
		return nil, err
	}
	base, err := parseBase(options.APIURL)
	if err != nil {
		return nil, err
	}
	next := options.HTTPTransport
	switch {
	case next == nil:
		if next, err = newTransport(options.CAPEM); err != nil {
			return nil, err
		}
	case len(options.CAPEM) > 0:
		return nil, errors.New("github: CAPEM and HTTPTransport exclude each other")
	}
	agent := options.UserAgent
	if agent == "" {
		agent = "eksa-gitops"
	}
	c := &Client{
		base: base, reveal: options.Token.Reveal, clock: options.Clock, onRetry: options.OnRetry,
		retry: options.Retry.withDefaults(),
	}
	if c.clock == nil {
		c.clock = systemClock{}
	}
	c.http = &http.Client{
		Transport: &apiTransport{next: next, base: base, reveal: options.Token.Reveal, userAgent: agent,
			timeout: c.retry.RequestTimeout, versions: newVersions(base.Path, options.OnSunset)},
		CheckRedirect: followOnHost(base),
	}
	return c, nil
}

// parseBase checks the URL of the API: the token is going to be sent there.
func parseBase(text string) (*url.URL, error) {
	if text == "" {
		text = defaultAPIURL
	}
	base, err := url.Parse(strings.TrimRight(text, "/") + "/")
	switch {
	case err != nil, base.Host == "":
		// The text stays out of the error: it may hold a password.
		return nil, errors.New("GitHub's API URL is not a URL")
	case base.User != nil:
		return nil, errors.New("GitHub's API URL must not contain credentials")
	case base.RawQuery != "", base.Fragment != "":
		return nil, fmt.Errorf("GitHub's API URL for %s must end with its path", base.Host)
	case base.Scheme == "https", base.Scheme == "http" && isLoopback(base.Hostname()):
		return base, nil
	}
	return nil, fmt.Errorf("GitHub's API URL for %s must begin with https://, for a token is sent there",
		clean(base.Host))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// api returns go-github for one request. Each request gets a new one: go-github keeps books of rate limits by
// the clock on the wall and refuses requests locally by them, while waiting for a limit is the business of
// this package.
func (c *Client) api() *gh.Client {
	api := gh.NewClient(c.http)
	api.BaseURL = c.base
	return api
}

// get reads a path of the API that go-github v53 has no method for, or not a right one.
func get(ctx context.Context, api *gh.Client, path string, into any) (*gh.Response, error) {
	request, err := api.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return api.Do(ctx, request, into)
}
