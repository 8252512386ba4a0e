package gittest

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Access is what a client asks for.
type Access struct {
	// Username and Password are those of HTTP basic authentication; both are empty when the client sent none.
	Username string
	Password string
	// Key is the public key that the client has proved to hold over SSH, nil over HTTPS.
	Key ssh.PublicKey
	// Repo is the repository as the client names it, without .git; it need not exist.
	Repo string
	// Write says that the client wants to push.
	Write bool
}

// Outcome is what becomes of an Access.
type Outcome int

// The outcomes. Over SSH all but Allow end the session with an error text.
const (
	Allow           Outcome = iota
	Unauthenticated         // 401 and a challenge
	Forbidden               // 403
	NotFound                // 404
)

// Verdict is an Authorizer's answer.
type Verdict struct {
	Outcome Outcome
	// Message is what git shows, after "remote: " over HTTPS and "ERROR: " over SSH. When empty, GitHub's
	// text for the outcome.
	Message string
	// Login is the name of who was recognised, as in "denied to LOGIN".
	Login string
	// Repo is the present name of a repository that was asked for by an old one. HTTPS clients are redirected
	// to it.
	Repo string
	// Env is added to the environment of the hooks, in the form KEY=value.
	Env []string
	// Declined gives the status that the client sees for a reference when the pre-receive hook declines a
	// push, instead of git's "pre-receive hook declined". It is told what the hook said, as far as the client
	// asked for a side band. It may be nil.
	Declined func(ref, words string) string
}

// Authorizer decides who may do what. Its methods are called at the same time from several sessions.
type Authorizer interface {
	// KnowsKey says whether the holder of the key may log in over SSH at all. The name is used in the
	// greeting.
	KnowsKey(key ssh.PublicKey) (name string, ok bool)
	// Authorize decides about one session.
	Authorize(Access) Verdict
}

// message returns the text for a verdict that is not Allow.
func (v Verdict) message(a Access) string {
	if v.Message != "" {
		return v.Message
	}
	switch v.Outcome {
	case Unauthenticated:
		if a.Password == "" {
			return "No anonymous write access."
		}
		return "Invalid username or token. Password authentication is not supported for Git operations."
	case Forbidden:
		return fmt.Sprintf("Permission to %s.git denied to %s.", a.Repo, v.Login)
	default:
		return "Repository not found."
	}
}

// ReadOnlyKey is GitHub's text when a read-only deploy key is used to push.
const ReadOnlyKey = "The key you are authenticating with has been marked as read only."

// Level is what an account may do.
type Level int

// The levels of an account.
const (
	Read Level = iota + 1
	Write
)

// Accounts are a small Authorizer: tokens and keys with a level on all repositories or on some.
type Accounts struct {
	mu        sync.Mutex
	tokens    map[string]account // by token
	keys      map[string]account // by wire format
	anonymous Level
}

type account struct {
	login string
	level Level
	repos []string // none: all
}

func newAccounts() *Accounts {
	return &Accounts{tokens: map[string]account{}, keys: map[string]account{}}
}

// AddToken lets a password in over HTTPS, under any user name, on the repositories named or on all.
func (a *Accounts) AddToken(token, login string, level Level, repos ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens[token] = account{login, level, repos}
}

// AddKey lets a key in over SSH on the repositories named or on all.
func (a *Accounts) AddKey(key ssh.PublicKey, login string, level Level, repos ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[string(key.Marshal())] = account{login, level, repos}
}

// AllowAnonymous gives a level to HTTPS clients without credentials.
func (a *Accounts) AllowAnonymous(level Level) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.anonymous = level
}

// KnowsKey implements [Authorizer].
func (a *Accounts) KnowsKey(key ssh.PublicKey) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc, ok := a.keys[string(key.Marshal())]
	return acc.login, ok
}

// Authorize implements [Authorizer].
func (a *Accounts) Authorize(access Access) Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	var acc account
	var known bool
	switch {
	case access.Key != nil:
		acc, known = a.keys[string(access.Key.Marshal())]
	case access.Password != "":
		acc, known = a.tokens[access.Password]
	case a.anonymous > 0:
		acc, known = account{level: a.anonymous}, true
	}
	if !known {
		return Verdict{Outcome: Unauthenticated}
	}
	v := Verdict{Login: acc.login}
	switch {
	case !acc.covers(access.Repo):
		v.Outcome = NotFound
	case access.Write && acc.level < Write && access.Key == nil && access.Password == "":
		v.Outcome = Unauthenticated
	case access.Write && acc.level < Write:
		v.Outcome = Forbidden
		if access.Key != nil {
			v.Message = ReadOnlyKey
		}
	}
	return v
}

func (a account) covers(repo string) bool {
	for _, r := range a.repos {
		if strings.EqualFold(r, repo) {
			return true
		}
	}
	return len(a.repos) == 0
}
