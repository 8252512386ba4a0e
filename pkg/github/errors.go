package github

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// The classes of failures. An [*Error] matches exactly one of them through errors.Is.
var (
	// ErrAuthentication: the token is missing, malformed, unknown, revoked or expired (HTTP 401), or the
	// account behind it is blocked.
	ErrAuthentication = errors.New("authentication refused")
	// ErrPermission: the token is good but lacks a right; see [Error].NeededPermission.
	ErrPermission = errors.New("permission denied")
	// ErrSSO: the organization demands that the token be authorized for single sign-on; see [Error].SSOURL.
	ErrSSO = errors.New("single sign-on authorization missing")
	// ErrNotFound: there is no such thing, or the token cannot see it; GitHub does not tell these apart.
	ErrNotFound = errors.New("not found")
	// ErrRateLimited: a rate limit is used up for longer than could be waited; see [Error].Reset.
	ErrRateLimited = errors.New("rate limit exceeded")
	// ErrUnavailable: no usable answer, or server errors, until the last try. Later the same request may
	// succeed.
	ErrUnavailable = errors.New("unavailable")
	// ErrUntrusted: the server's certificate cannot be verified.
	ErrUntrusted = errors.New("certificate not trusted")
	// ErrPolicy: a setting of the repository, organization or enterprise forbids it, whoever asks.
	ErrPolicy = errors.New("forbidden by policy")
	// ErrPlan: what was asked for is not part of the account's plan, such as rules for the branches of a
	// private repository. Where it was read whether there is any, there is none.
	ErrPlan = errors.New("not part of the plan")
	// ErrConflict: it clashes with something that exists, such as a key in use elsewhere.
	ErrConflict = errors.New("conflict")
	// ErrUnexpected: an answer that GitHub's documentation does not foresee for a correct request.
	ErrUnexpected = errors.New("unexpected answer")
)

// Detail is one entry of the errors that GitHub lists in an answer.
type Detail struct{ Resource, Field, Code, Message string }

// Error is a request that GitHub refused, did not answer, or answered with what cannot be used. No text in it
// holds the token or control characters.
type Error struct {
	Op        string // what was attempted: "reading repository acme/fleet"
	Method    string
	Path      string // of the URL, without host and query; empty when no request was made
	Status    int    // HTTP status; 0 without an answer
	Message   string // GitHub's own words, or what is wrong with the answer
	Errors    []Detail
	RequestID string // GitHub's, for its support
	// NeededPermission is what the token lacks, in GitHub's words, such as "Administration: write"; of
	// ErrPermission only.
	NeededPermission string
	// AcceptedPermissions and AcceptedScopes are the headers X-Accepted-GitHub-Permissions and
	// X-Accepted-OAuth-Scopes.
	AcceptedPermissions, AcceptedScopes string
	SSOURL                              string        // where to authorize the token
	RetryAfter                          time.Duration // how long the server asks to wait
	Reset                               time.Time     // when a rate limit is fresh again

	class     error
	cause     error
	hint      hint.Hint
	rights    bool // GitHub's words say, of ErrPermission, that a right is missing
	transient bool // the same request may succeed in a moment
	noEffect  bool // the request surely changed nothing
}

// Error says what was attempted, the class of the failure, and GitHub's own words.
func (e *Error) Error() string {
	text := e.Op + ": " + e.class.Error()
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Is makes the error match its class.
func (e *Error) Is(target error) bool { return target == e.class }

// Unwrap returns the cause, such as a network error; nil when there was an answer.
func (e *Error) Unwrap() error { return e.cause }

// words are GitHub's own, of a refusal, to be put behind a sentence of ours; empty for what says nothing.
func (e *Error) words() string {
	if e.Status != http.StatusForbidden || e.Message == "" {
		return ""
	}
	return fmt.Sprintf(" (GitHub says: %s)", e.Message)
}

// Hint says what to do next.
func (e *Error) Hint() hint.Hint {
	if e.hint != "" {
		return e.hint
	}
	switch e.class {
	case ErrAuthentication:
		return "the token in " + TokenVariable +
			" is unknown to GitHub, revoked or expired: make a new one and export it"
	case ErrPermission:
		if e.NeededPermission != "" {
			return hint.Text("the token in %s needs %s", TokenVariable, e.NeededPermission)
		}
		return "the token in " + TokenVariable + " lacks a right for this"
	case ErrSSO:
		if e.SSOURL != "" {
			return hint.Text("authorize the token in %s for the organization's single sign-on: %s",
				TokenVariable, e.SSOURL)
		}
		return "authorize the token in " + TokenVariable + " for the organization's single sign-on, in " +
			"GitHub's settings of personal access tokens (Configure SSO)"
	case ErrNotFound:
		return "check the name; what a token may not see looks to it as if it did not exist"
	case ErrRateLimited:
		return hint.Text("%s after %s; all programs that use the same account share its limit", hint.Again,
			e.Reset.UTC().Format("15:04:05 MST"))
	case ErrUnavailable:
		if e.Status != 0 {
			return hint.Text("GitHub has trouble; see its status page, then %s", hint.Again)
		}
		return hint.Text("check the network, DNS and the proxy settings (HTTPS_PROXY, NO_PROXY), then %s",
			hint.Again)
	case ErrUntrusted:
		return "if the server or a proxy in between has a certificate of a private authority, name that " +
			"authority with " + hint.CAFile.Hint()
	}
	return ""
}
