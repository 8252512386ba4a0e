package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	gh "github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// The classes of failures. An [*Error] matches exactly one of them through errors.Is.
var (
	// ErrAuthentication: the token is missing, malformed, unknown, revoked or expired (HTTP 401).
	ErrAuthentication = errors.New("authentication refused")
	// ErrPermission: the token is good but lacks a right; see [Error].NeededPermission.
	ErrPermission = errors.New("permission denied")
	// ErrSSO: the organization demands that the token be authorized for single sign-on; see [Error].SSOURL.
	ErrSSO = errors.New("single sign-on authorization missing")
	// ErrNotFound: there is no such thing, or the token cannot see it; GitHub does not tell these apart.
	ErrNotFound = errors.New("not found")
	// ErrRateLimited: a rate limit is used up for longer than could be waited; see [Error].Reset.
	ErrRateLimited = errors.New("rate limit exceeded")
	// ErrUnavailable: no usable answer, or server errors, until the last try. Later the same request may succeed.
	ErrUnavailable = errors.New("unavailable")
	// ErrUntrusted: the server's certificate cannot be verified.
	ErrUntrusted = errors.New("certificate not trusted")
	// ErrPolicy: a setting of the repository, organization or enterprise forbids it, whoever asks.
	ErrPolicy = errors.New("forbidden by policy")
	// ErrConflict: it clashes with something that exists, such as a key in use elsewhere.
	ErrConflict = errors.New("conflict")
	// ErrUnexpected: an answer that GitHub's documentation does not foresee for a correct request.
	ErrUnexpected = errors.New("unexpected answer")
)

// Detail is one entry of the errors that GitHub lists in an answer.
type Detail struct{ Resource, Field, Code, Message string }

// Error is a request that GitHub refused, did not answer, or answered with what cannot be used. No text in it holds the token or
// control characters.
type Error struct {
	Op        string // what was attempted: "reading repository acme/fleet"
	Method    string
	Path      string // of the URL, without host and query; empty when no request was made
	Status    int    // HTTP status; 0 without an answer
	Message   string // GitHub's own words, or what is wrong with the answer
	Errors    []Detail
	RequestID string // GitHub's, for its support
	// NeededPermission is what the token lacks, in GitHub's words, such as "Administration: write"; of ErrPermission only.
	NeededPermission string
	// AcceptedPermissions and AcceptedScopes are the headers X-Accepted-GitHub-Permissions and X-Accepted-OAuth-Scopes.
	AcceptedPermissions, AcceptedScopes string
	SSOURL                              string        // where to authorize the token
	RetryAfter                          time.Duration // how long the server asks to wait
	Reset                               time.Time     // when a rate limit is fresh again

	class     error
	cause     error
	hint      string
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

// Hint says what to do next.
func (e *Error) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	switch e.class {
	case ErrAuthentication:
		return "the token in " + TokenVariable + " is unknown to GitHub, revoked or expired: make a new one and export it"
	case ErrPermission:
		if e.NeededPermission != "" {
			return "the token in " + TokenVariable + " needs " + e.NeededPermission
		}
		return "the token in " + TokenVariable + " lacks a right for this"
	case ErrSSO:
		if e.SSOURL != "" {
			return "authorize the token in " + TokenVariable + " for the organization's single sign-on: " + e.SSOURL
		}
		return "authorize the token in " + TokenVariable + " for the organization's single sign-on, in GitHub's settings of personal access tokens (Configure SSO)"
	case ErrNotFound:
		return "check the name; what a token may not see looks to it as if it did not exist"
	case ErrRateLimited:
		return "run the same command again after " + e.Reset.UTC().Format("15:04:05 MST") + "; all programs that use the same account share its limit"
	case ErrUnavailable:
		if e.Status != 0 {
			return "GitHub has trouble; see its status page, then run the same command again"
		}
		return "check the network, DNS and the proxy settings (HTTPS_PROXY, NO_PROXY), then run the same command again"
	case ErrUntrusted:
		return "if the server or a proxy in between has a certificate of a private authority, name that authority with --ca-file"
	}
	return ""
}

// classify turns what go-github returns into an Error.
func (c *Client) classify(op operation, response *gh.Response, err error) *Error {
	e := &Error{Op: op.name, class: ErrUnexpected}
	if response == nil || response.Response == nil {
		c.classifyUnanswered(e, err)
	} else {
		c.classifyAnswer(e, op, response.Response, err)
	}
	e.Message, e.Path, e.NeededPermission, e.SSOURL = c.text(e.Message), c.text(e.Path), c.text(e.NeededPermission), c.text(e.SSOURL)
	return e
}

func (c *Client) classifyAnswer(e *Error, op operation, response *http.Response, err error) {
	header := response.Header
	e.Status = response.StatusCode
	if response.Request != nil {
		e.Method, e.Path = response.Request.Method, response.Request.URL.Path
	}
	e.RequestID = c.text(header.Get("X-GitHub-Request-Id"))
	e.AcceptedPermissions = c.text(header.Get("X-Accepted-GitHub-Permissions"))
	e.AcceptedScopes = c.text(header.Get("X-Accepted-OAuth-Scopes"))
	e.Message, e.Errors = wordsOf(err)
	for i, d := range e.Errors {
		e.Errors[i] = Detail{Resource: c.text(d.Resource), Field: c.text(d.Field), Code: c.text(d.Code), Message: c.text(d.Message)}
	}
	e.RetryAfter = c.advised(header)
	lower := strings.ToLower(e.Message)
	switch {
	case e.Status == http.StatusUnauthorized:
		e.class = ErrAuthentication
	case isRateLimit(e.Status, header, lower):
		e.class, e.transient, e.noEffect = ErrRateLimited, true, true
		if e.RetryAfter == 0 {
			// GitHub asks to wait for a minute at least when it names no time.
			e.RetryAfter = time.Minute
		}
		e.Reset = c.clock.Now().Add(e.RetryAfter)
	case e.Status == http.StatusForbidden:
		c.classifyForbidden(e, op, header, lower)
	case e.Status == http.StatusNotFound && !op.needs.isZero():
		// GitHub hides what a token may not administer.
		e.class = ErrPermission
		e.NeededPermission = neededOf(op.needs, header)
	case e.Status == http.StatusNotFound:
		e.class = ErrNotFound
	case e.Status == http.StatusUnavailableForLegalReasons:
		e.class = ErrPolicy
	case e.Status == http.StatusConflict:
		e.class = ErrConflict
	case e.Status == http.StatusUnprocessableEntity:
		classifyInvalid(e, lower)
	case e.Status == http.StatusRequestTimeout, e.Status >= 500:
		e.class, e.transient = ErrUnavailable, true
		if e.Message == "" {
			e.Message = "GitHub answers " + http.StatusText(e.Status)
		}
	case e.Status < 300:
		e.Message = "the answer is not what GitHub's API gives"
		e.hint = "check that the API's URL is right (an enterprise server has it at https://HOST/api/v3/) and that no proxy or sign-in page answers in its place"
		e.cause = decodingError(err)
	}
}

// isRateLimit knows GitHub's limits by all their marks: go-github v53 recognises a secondary limit by an address of the documentation
// that is no longer sent.
func isRateLimit(status int, header http.Header, message string) bool {
	if status == http.StatusTooManyRequests {
		return true
	}
	return status == http.StatusForbidden && (header.Get("X-RateLimit-Remaining") == "0" || header.Get("Retry-After") != "" ||
		strings.Contains(message, "rate limit"))
}

// classifyForbidden tells the reasons of a 403 apart.
func (c *Client) classifyForbidden(e *Error, op operation, header http.Header, message string) {
	sso := header.Get("X-GitHub-SSO")
	switch {
	case strings.HasPrefix(sso, "required"), strings.Contains(message, "saml enforcement"):
		e.class = ErrSSO
		if _, link, ok := strings.Cut(sso, "url="); ok {
			e.SSOURL = link
		}
	case strings.Contains(message, "archived"):
		e.class = ErrPolicy
		e.hint = "an administrator can take the repository out of the archive in its settings"
	case strings.Contains(message, "login attempts exceeded"):
		// Even a good token is refused for a while after several bad ones.
		e.class = ErrAuthentication
		e.hint = "GitHub saw too many bad credentials and refuses good ones too for some minutes: wait, then run the same command again"
	case strings.Contains(message, "forbids access via") && strings.Contains(message, "lifetime"):
		e.class = ErrPolicy
		e.hint = "the organization limits how long a token may live: make one that expires sooner"
	case strings.Contains(message, "forbids access via"):
		e.class = ErrPolicy
		e.hint = "the organization does not take this kind of token: use another kind, or ask an owner of the organization (Personal access tokens, in its settings)"
	case strings.Contains(message, "ip allow list"):
		e.class = ErrPolicy
		e.hint = "the organization's IP allow list does not hold the address that this machine is seen with: run the command from an allowed network"
	default:
		e.class = ErrPermission
		e.NeededPermission = neededOf(op.needs, header)
	}
}

// classifyInvalid tells the reasons of a 422 apart.
func classifyInvalid(e *Error, message string) {
	switch {
	case strings.Contains(message, "deploy keys are disabled"):
		e.class = ErrPolicy
		e.hint = deployKeysDisabledHint
	case strings.Contains(message, "key is already in use"):
		e.class = ErrConflict
		e.hint = "GitHub takes each SSH key once only, and this one belongs to another repository or to a user: make a new key for the cluster"
	case strings.Contains(message, "name already exists"):
		e.class = ErrConflict
	}
}

const deployKeysDisabledHint = "an owner of the organization can allow deploy keys (organization settings, Deploy keys); " +
	"without them, --token-auth lets the cluster read over HTTPS with a token or a GitHub App of its own"

// classifyUnanswered is about a request that ended without a whole answer.
func (c *Client) classifyUnanswered(e *Error, err error) {
	e.class = ErrUnavailable
	var outer *url.Error
	if errors.As(err, &outer) {
		e.Method = strings.ToUpper(outer.Op)
		if u, parseErr := url.Parse(outer.URL); parseErr == nil {
			e.Path = u.Path
		}
		// The URL stays out of the text: the operation says what was meant.
		err = outer.Err
	}
	e.cause = err
	e.Message = err.Error()
	var redirect *redirectError
	var proxy *proxyError
	var cut *cutOffError
	var dns *net.DNSError
	switch {
	case errors.As(err, &redirect), errors.As(err, new(*oversizeError)):
		e.class = ErrUnexpected
		e.hint = "check that the API's URL is right, and that it is GitHub that answers there"
	case errors.As(err, &proxy):
		e.transient, e.noEffect, e.hint = proxy.status >= 500, true, proxy.hint()
	case classifyTLS(e, c.base.Host, err):
	case errors.As(err, &dns) && dns.IsNotFound:
		// A name that does not exist is not going to exist in a moment.
		e.noEffect = true
		e.Message = fmt.Sprintf("there is no host %s: %v", dns.Name, err)
	case errors.As(err, &cut):
		e.Status, e.transient = cut.status, true
	default:
		e.transient, e.noEffect = true, neverSent(err)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			e.Message = "the connection was closed without an answer"
		}
	}
}

// neverSent says whether a request surely did not reach the server: the connection could not be made.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// wordsOf takes GitHub's own words out of an error of go-github.
func wordsOf(err error) (string, []Detail) {
	var answer *gh.ErrorResponse
	var rate *gh.RateLimitError
	var abuse *gh.AbuseRateLimitError
	var otp *gh.TwoFactorAuthError
	switch {
	case errors.As(err, &rate):
		return rate.Message, nil
	case errors.As(err, &abuse):
		return abuse.Message, nil
	case errors.As(err, &otp):
		answer = (*gh.ErrorResponse)(otp)
	case !errors.As(err, &answer):
		return "", nil
	}
	words := []string{answer.Message}
	var details []Detail
	for _, one := range answer.Errors {
		detail := Detail{Resource: one.Resource, Field: one.Field, Code: one.Code, Message: one.Message}
		details = append(details, detail)
		text := detail.Message
		if text == "" && detail.Field != "" {
			text = detail.Field + " is " + detail.Code
		}
		if text != "" && !strings.Contains(answer.Message, text) {
			words = append(words, text)
		}
	}
	return strings.TrimPrefix(strings.Join(words, ": "), ": "), details
}

// decodingError keeps of an error of the JSON decoder what may be shown.
func decodingError(err error) error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &mismatch) {
		return err
	}
	return nil
}

// neededOf says what a token lacks, by its kind as the answer shows it: GitHub names the permission to fine-grained and installation
// tokens, and lists the scopes of a classic one.
func neededOf(n need, header http.Header) string {
	if accepted := permissionWords(header.Get("X-Accepted-GitHub-Permissions")); accepted != "" {
		if wanted, writes := strings.CutSuffix(n.permission, ": write"); writes && accepted == quoted(wanted+": read") {
			// The endpoint only reads, but what it is read for is to write.
			return quoted(n.permission)
		}
		return accepted
	}
	if scopes, classic := scopesOf(header); classic {
		if n.scope != "" && !hasScope(scopes, n.scope) {
			return "the scope " + quoted(n.scope)
		}
		if n.role != "" {
			return n.role + " for its user"
		}
		return ""
	}
	if n.permission == "" {
		return ""
	}
	return quoted(n.permission)
}

func quoted(s string) string { return `"` + s + `"` }

// permissionWords turns "administration=write,contents=read; members=read" into the words that GitHub's pages have for it: sets of
// permissions, any of which would do.
func permissionWords(header string) string {
	var sets []string
	for set := range strings.SplitSeq(clean(header), ";") {
		var words []string
		for one := range strings.SplitSeq(set, ",") {
			name, level, _ := strings.Cut(strings.TrimSpace(one), "=")
			if name == "" {
				continue
			}
			name = strings.ReplaceAll(name, "_", " ")
			words = append(words, quoted(strings.ToUpper(name[:1])+name[1:]+": "+level))
		}
		if len(words) > 0 {
			sets = append(sets, strings.Join(words, " and "))
		}
	}
	return strings.Join(sets, " or ")
}

// longestText bounds what is shown of a server's text, in runes.
const longestText = 500

// clean takes control characters and invisible ones out of a text that came from outside, and bounds it.
func clean(text string) string { return bound(printable(text)) }

func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text))
}

func bound(text string) string {
	if runes := []rune(text); len(runes) > longestText {
		return string(runes[:longestText]) + "…"
	}
	return text
}

// text is clean for an error: should a server or proxy have repeated the token, it is taken out, before a cut could leave half of it.
func (c *Client) text(s string) string {
	return bound(strings.ReplaceAll(printable(s), c.reveal(), secret.Value{}.String()))
}
