package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/proxy"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// classify turns what go-github returns into an Error.
func (c *Client) classify(op operation, response *gh.Response, err error) *Error {
	e := &Error{Op: op.name, class: ErrUnexpected}
	if response == nil || response.Response == nil {
		c.classifyUnanswered(e, err)
	} else {
		c.classifyAnswer(e, op, response.Response, err)
	}
	// Only now, when nothing is read from the words any more.
	for i, d := range e.Errors {
		e.Errors[i] = Detail{Resource: c.text(d.Resource), Field: c.text(d.Field), Code: c.text(d.Code),
			Message: c.text(d.Message)}
	}
	e.Message, e.Path, e.NeededPermission, e.SSOURL = c.text(e.Message), c.text(e.Path),
		c.text(e.NeededPermission), c.text(e.SSOURL)
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
	e.RetryAfter = c.advised(header)
	lower := strings.ToLower(e.Message)
	switch {
	case e.Status == http.StatusUnauthorized:
		e.class = ErrAuthentication
	case isRateLimit(e.Status, header, lower):
		c.limit(e)
	case e.Status == http.StatusForbidden:
		c.classifyForbidden(e, op, header, lower)
	case e.Status == http.StatusNotFound && !op.needs.isZero():
		// GitHub hides what a token may not administer.
		e.class = ErrPermission
		e.NeededPermission = neededOf(op.needs, header)
	case e.Status == http.StatusNotFound:
		e.class = ErrNotFound
	case e.Status == http.StatusUnavailableForLegalReasons:
		e.class, e.hint = ErrPolicy, blockedHint
	case e.Status == http.StatusConflict:
		e.class = ErrConflict
	case e.Status == http.StatusUnprocessableEntity:
		classifyInvalid(e, lower)
	case e.Status == http.StatusRequestTimeout, e.Status >= 500:
		e.class, e.transient = ErrUnavailable, true
		if e.Message == "" {
			e.Message = "GitHub answers " + http.StatusText(e.Status)
		}
	case e.Status == http.StatusGone, e.Status == http.StatusBadRequest && saysVersion(lower):
		e.hint = "the server no longer speaks a version of its API that this program knows: use a newer " +
			"eksa-gitops"
	case e.Status < 300:
		e.Message = "the answer is not what GitHub's API returns"
		e.hint = "check that the API's URL is right (an enterprise server has it at https://HOST/api/v3/) " +
			"and that no proxy or sign-in page answers in its place"
		e.cause = decodingError(err)
	}
}

// isRateLimit knows GitHub's limits by all their marks: go-github v53 recognises a secondary limit by an
// address of the documentation that is no longer sent. That nothing remains is no mark: it is also said with
// the last answer of the hour, whatever that is.
func isRateLimit(status int, header http.Header, message string) bool {
	if status == http.StatusTooManyRequests {
		return true
	}
	return status == http.StatusForbidden && (header.Get("Retry-After") != "" ||
		strings.Contains(message, "rate limit") || strings.Contains(message, "abuse detection"))
}

// limit makes a failure that of a rate limit.
func (c *Client) limit(e *Error) {
	e.class, e.transient, e.noEffect = ErrRateLimited, true, true
	if e.RetryAfter == 0 {
		// GitHub asks to wait for a minute at least when it names no time.
		e.RetryAfter = time.Minute
	}
	e.Reset = c.clock.Now().Add(e.RetryAfter)
}

// A reason for which GitHub answers 403 and that is not a right of the token's. GitHub has no codes for them,
// only words, which are in no list of its documentation; those here are from answers that its users have
// shown, and near variants of them.
type reason struct {
	words [][]string // in lower case; the reason is meant when a message holds all of one row
	class error
	hint  hint.Hint
}

var reasons = []reason{
	{[][]string{{"archived"}}, ErrPolicy,
		"an administrator can take the repository out of the archive in its settings"},
	// Even a good token is refused for a while after several bad ones.
	{[][]string{{"login attempts exceeded"}}, ErrAuthentication, "GitHub saw too many bad credentials and " +
		"refuses good ones too for some minutes: wait, then " + hint.Again.Hint()},
	{[][]string{{"forbids access via", "lifetime"}}, ErrPolicy,
		"the organization limits how long a token may live: make one that expires sooner"},
	{[][]string{{"forbids access via"}}, ErrPolicy, "the organization does not accept this kind of token: " +
		"use another kind, or ask an owner of the organization (Personal access tokens, in its settings)"},
	{[][]string{{"ip allow list"}}, ErrPolicy, "the organization's IP allow list does not contain the " +
		"address of this machine: " + hint.Otherwise.Hint() + " from an allowed network"},
	{[][]string{{"access restrictions"}}, ErrPolicy, "an owner of the organization has to approve the " +
		"application that the token belongs to, or use a personal access token"},
	{[][]string{{"two-factor"}, {"2fa"}}, ErrPolicy, "the organization demands two-factor authentication: " +
		"enable it for the account of the token, or use another account's"},
	{[][]string{{"installation", "suspended"}}, ErrAuthentication, "the installation of the GitHub App is " +
		"suspended: an owner of the account can end that in the settings of its installed GitHub Apps"},
	{[][]string{{"suspended"}, {"account", "disabled"}, {"account", "locked"}, {"account", "flagged"}},
		ErrAuthentication,
		"the account that the token belongs to is blocked: its owner has to turn to GitHub's support, or " +
			"to the administrator of an enterprise server; or use another account's token"},
	{[][]string{{"upgrade to github"}, {"upgrade your"}, {"your plan"}, {"current plan"}, {"paid plan"},
		{"billing plan"}},
		ErrPlan, "the account's plan at GitHub does not include this for a private repository"},
	{[][]string{{"access blocked"}}, ErrPolicy, blockedHint},
	{[][]string{{"migrat"}}, ErrPolicy,
		hint.Text("the repository is locked while it is being moved: %s when that is over", hint.Again)},
	{[][]string{{"disabled"}, {"not enabled"}, {"must be enabled"}, {"not available"}}, ErrPolicy,
		"it is switched off for this repository or organization: an administrator can switch it on in the " +
			"settings"},
}

const blockedHint = "GitHub itself has blocked the repository: its owner has to turn to GitHub's support"

// reasonOf finds the reason in a message of GitHub's; nil when it is none of those known.
func reasonOf(message string) *reason {
	for i := range reasons {
		for _, row := range reasons[i].words {
			missing := func(word string) bool { return !strings.Contains(message, word) }
			if !slices.ContainsFunc(row, missing) {
				return &reasons[i]
			}
		}
	}
	return nil
}

// Words with which GitHub says that a right is missing.
var rightsWords = []string{
	"not accessible by", "admin rights", "admin access", "permission", "must have", "must be a", "you need",
	"need at least", "not authorized", "not allowed", "scope",
}

// classifyForbidden tells the reasons of a 403 apart.
func (c *Client) classifyForbidden(e *Error, op operation, header http.Header, message string) {
	sso := header.Get("X-GitHub-SSO")
	if strings.HasPrefix(sso, "required") || strings.Contains(message, "saml enforcement") {
		e.class = ErrSSO
		if _, link, ok := strings.Cut(sso, "url="); ok {
			e.SSOURL = link
		}
		return
	}
	if known := reasonOf(message); known != nil {
		e.class, e.hint = known.class, known.hint
		return
	}
	e.class = ErrPermission
	says := func(word string) bool { return strings.Contains(message, word) }
	if e.rights = message == "forbidden" || slices.ContainsFunc(rightsWords, says); e.rights {
		e.NeededPermission = neededOf(op.needs, header)
		return
	}
	if header.Get("X-RateLimit-Remaining") == "0" {
		c.limit(e)
		return
	}
	if e.rights = message == ""; e.rights {
		e.NeededPermission = neededOf(op.needs, header)
		return
	}
	// Nobody knows what these words mean, so that no right is named as the one that is missing.
	e.hint = "GitHub's own words are all that is known of the reason"
	if needed := neededOf(op.needs, header); needed != "" {
		e.hint += hint.Text("; a token needs %s for this", needed)
	}
}

// classifyInvalid tells the reasons of a 422 apart.
func classifyInvalid(e *Error, message string) {
	switch {
	case strings.Contains(message, "deploy keys are disabled"):
		e.class = ErrPolicy
		e.hint = deployKeysDisabledHint
	case strings.Contains(message, "visibility can't be"):
		e.class = ErrPolicy
		e.hint = "the organization does not let this user make private repositories: have an owner create " +
			"the repository, and " + hint.Again.Hint()
	case strings.Contains(message, "key is already in use"):
		e.class = ErrConflict
		e.hint = "GitHub accepts each SSH key only once, and this one belongs to another repository or to " +
			"a user: make a new key for the cluster"
	case strings.Contains(message, "name already exists"):
		e.class = ErrConflict
	}
}

const deployKeysDisabledHint = "an owner of the organization can allow deploy keys (organization settings, " +
	"Deploy keys); " +
	"or use spec.git instead of spec.github, with the SSH key of a user who may only read the repository"

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
	var refused *proxy.RefusedError
	var cut *cutOffError
	var dns *net.DNSError
	switch {
	case errors.As(err, &redirect), errors.As(err, new(*oversizeError)):
		e.class = ErrUnexpected
		e.hint = "check that the API's URL is right, and that it is GitHub that answers there"
	case errors.As(err, new(*proxyAddressError)):
		e.noEffect, e.hint = true, "write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
	case errors.As(err, &refused):
		e.transient, e.noEffect, e.hint = refused.Status >= 500, true, proxyHint(refused.Status)
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

// neededOf says what a token lacks, by its kind as the answer shows it: GitHub names the permission to
// fine-grained and installation tokens, and lists the scopes of a classic one.
func neededOf(n need, header http.Header) string {
	if accepted := permissionWords(header.Get("X-Accepted-GitHub-Permissions")); accepted != "" {
		if wanted, writes := strings.CutSuffix(n.permission, ": write"); writes &&
			accepted == quoted(wanted+": read") {
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

// permissionWords turns "administration=write,contents=read; members=read" into the words that GitHub's pages
// have for it: sets of permissions, any of which would do.
func permissionWords(header string) string {
	var sets []string
	for set := range strings.SplitSeq(string(clean(header)), ";") {
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
