package fluxinstall

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// KubeconfigError says that a kubeconfig cannot be used.
type KubeconfigError struct {
	Origin string
	Err    error
}

// Error names the kubeconfig's origin and what is wrong.
func (e *KubeconfigError) Error() string {
	// which may quote an address
	return fmt.Sprintf("the kubeconfig of %s cannot be used: %s", e.Origin, redact.Text(e.Err.Error()))
}

// Unwrap returns the cause.
func (e *KubeconfigError) Unwrap() error { return e.Err }

// Hint names the ways to give another one.
func (e *KubeconfigError) Hint() hint.Hint {
	return hint.Text("name the management cluster's kubeconfig with %s or KUBECONFIG, and a context in it "+
		"with %s", hint.Kubeconfig.Any("FILE"), hint.Context)
}

// UnreachableError says that the API server does not answer, or that it is not the one the kubeconfig speaks
// of.
type UnreachableError struct {
	Server, Origin string
	Err            error
}

// Error names the server, where its address came from, and the cause.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the API server %s (from %s) cannot be reached: %v", e.Server, e.Origin, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *UnreachableError) Hint() string {
	switch dns := new(net.DNSError); {
	case errors.As(e.Err, new(*tls.CertificateVerificationError)):
		return "the certificate is not the one the kubeconfig trusts: the cluster was created again, or " +
			"something in between answers; fetch a fresh kubeconfig"
	case errors.As(e.Err, &dns):
		return "the name " + dns.Name +
			" cannot be resolved from this machine: look at the kubeconfig's server address and at DNS"
	default:
		return "check that the cluster is up and this machine can reach it: kubectl get --raw /readyz, " +
			"with the same kubeconfig"
	}
}

// ForbiddenError says that the kubeconfig's user was refused: not known at all, or without a right.
type ForbiddenError struct {
	Server, Origin string
	// Verb, Resource and Group are the missing right, when the server named it. Namespace is where it is
	// missing; empty for the whole cluster.
	Verb, Resource, Group, Namespace string
	// Unknown says that the server does not know the user (HTTP 401).
	Unknown bool
	// Escalation says that the user has the right to write a role, but not to give away all that the role
	// contains.
	Escalation bool
	Err        error
}

// Error says who refused what.
func (e *ForbiddenError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("the API server %s does not accept the credentials of %s: %v",
			e.Server, e.Origin, e.Err)
	}
	return fmt.Sprintf("the API server %s refuses: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Hint names the missing right as a rule of a role.
func (e *ForbiddenError) Hint() string {
	switch {
	case e.Escalation:
		return "Flux is given cluster-admin, which only a user who has it can give: use a kubeconfig whose " +
			"user is bound to ClusterRole cluster-admin"
	case e.Unknown || e.Verb == "":
		return "use a kubeconfig whose user administers the cluster"
	case e.Namespace != "":
		return fmt.Sprintf("the user needs a Role in namespace %s with the rule: apiGroups [%q], resources "+
			"[%q], verbs [%q]", e.Namespace, e.Group, e.Resource, e.Verb)
	default:
		return fmt.Sprintf("the user needs a ClusterRole with the rule: apiGroups [%q], resources [%q], "+
			"verbs [%q]", e.Group, e.Resource, e.Verb)
	}
}

// RefusedError says that the API server does not take an object: it is invalid, or a webhook or policy of the
// cluster is against it. Sending it again does not help.
type RefusedError struct {
	Server string
	// Policy says that the object is well-formed and a rule of this cluster is against it: a webhook, an
	// admission policy, a quota.
	Policy bool
	Err    error
}

// Error gives the server's own words, which name the object.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the API server %s rejected the object: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Hint says what the refusal means, when that is known.
func (e *RefusedError) Hint() string {
	cause, _ := meaningOf(e.Err.Error())
	return cause
}

// UnavailableError says that the API server answers, but could not do what it was asked for in the time that
// is given to it: a part of it, or a webhook that it has to ask, does not work, or it has too much to do.
type UnavailableError struct {
	Server string
	Err    error
}

// Error gives the server's own words.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the API server %s cannot do this at present: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Hint says what that means, when it is known, and what to look at.
func (e *UnavailableError) Hint() hint.Hint {
	switch cause, next := meaningOf(e.Err.Error()); {
	case cause != "" && next != "":
		return hint.Text("%s: %s", cause, next)
	case cause != "":
		return hint.Plain(cause)
	}
	return hint.Text("%s when the API server is well: kubectl get --raw '/readyz?verbose'", hint.Again)
}

// ConflictError says that an object kept changing under every try to write it.
type ConflictError struct{ Err error }

// Error gives the server's own words, which name the object.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("somebody else writes the same object: %v", e.Err)
}

// Unwrap returns the cause.
func (e *ConflictError) Unwrap() error { return e.Err }

// Hint says that nothing is lost.
func (e *ConflictError) Hint() hint.Hint {
	return hint.Text("%s; if this stays, look for another tool or run that manages the object (kubectl get "+
		"... --show-managed-fields -o yaml)", hint.Again)
}

// The API server's sentences about rights (its RBAC authorizer and its guard against privilege escalation).
var (
	forbidden = regexp.MustCompile(
		`cannot (\S+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)
	escalation = regexp.MustCompile(`is attempting to grant RBAC permissions not currently held`)
)

// policy finds refusals that come as "forbidden" and yet are not about the user's rights.
var policy = regexp.MustCompile(
	`admission webhook "|ValidatingAdmissionPolicy '|exceeded quota|violates PodSecurity|violates "`)

// classify turns an error of the client library into one of the package's types. A context that ended keeps
// its own error, so that a time limit is told from a server that does not answer. What is classified already
// stays as it is.
func (c *Cluster) classify(ctx context.Context, err error) error {
	credentials := new(CredentialsError)
	switch {
	case errors.As(err, &credentials):
		return credentials // without the URL, which has nothing to do with it
	case err == nil || isTyped(err):
		return err
	case ctx.Err() != nil:
		return c.cutOff(ctx, nil)
	case apierrors.IsUnauthorized(err):
		return &ForbiddenError{Server: c.server, Origin: c.origin, Unknown: true, Err: err}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return terminating("of the object", err)
	case apierrors.IsForbidden(err) && !policy.MatchString(err.Error()):
		refused := &ForbiddenError{Server: c.server, Origin: c.origin,
			Escalation: escalation.MatchString(err.Error()), Err: err}
		if right := forbidden.FindStringSubmatch(err.Error()); right != nil {
			refused.Verb, refused.Resource, refused.Group, refused.Namespace = right[1], right[2],
				right[3], right[4]
		}
		return refused
	case apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err):
		return &RefusedError{Server: c.server, Policy: policy.MatchString(err.Error()), Err: err}
	case apierrors.IsConflict(err):
		return &ConflictError{Err: err}
	case isNetwork(err):
		return &UnreachableError{Server: c.server, Origin: c.origin, Err: innermost(err)}
	case apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err):
		return &UnavailableError{Server: c.server, Err: err}
	default:
		return err
	}
}

// isTyped says whether err is one of the package's types.
func isTyped(err error) bool {
	return errors.As(err, new(*UnreachableError)) || errors.As(err, new(*CredentialsError)) ||
		errors.As(err, new(*ForbiddenError)) || errors.As(err, new(*RefusedError)) ||
		errors.As(err, new(*ConflictError)) || errors.As(err, new(*UnavailableError)) ||
		errors.As(err, new(*NotReadyError))
}

// innermost leaves out the URL that the HTTP library puts around a network error; the server is named
// already.
func innermost(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// NotReadyError says that something did not become ready, and why, in words for a person.
type NotReadyError struct {
	Object  string    // kind namespace/name
	State   string    // what is wrong with it; "is not ready" when empty
	Reason  string    // the condition's reason
	Message string    // the object's own words
	Cause   string    // what that means, when it is known
	Next    hint.Hint // the command that shows more or helps
	// whom the message blames, if it does: a path in the repository, or another object as Kind/namespace/name
	Culprit string
	Err     error // why the wait ended; nil when waiting longer would not have helped

	final bool // waiting does not help: somebody has to act first
}

// CulpritIsFile says whether Culprit is a path in the repository rather than an object.
func (e *NotReadyError) CulpritIsFile() bool {
	return e.Culprit != "" && !culpritObject.MatchString(e.Culprit)
}

var culpritObject = regexp.MustCompile(`^[A-Z]\w+/[^/]+/[^/]+$`)

// Error puts the object and its own words first, the cause after.
func (e *NotReadyError) Error() string {
	text := e.Object + " " + cmp.Or(e.State, "is not ready")
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	if message := strings.TrimSpace(e.Message); message != "" {
		text += ": " + message
	}
	if e.Cause != "" {
		text += "; " + e.Cause
	}
	return text
}

// Words is Error without the object, for where that is named already.
func (e *NotReadyError) Words() string {
	message := strings.TrimSpace(e.Message)
	parts := make([]string, 0, 3)
	if e.Reason != "" && !strings.Contains(message, e.Reason) {
		parts = append(parts, e.Reason)
	}
	for _, part := range []string{message, e.Cause} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// Why waits have ended that go on only for some time.
var (
	errTerminating    = errors.New("it was not gone in time")
	errNotEstablished = errors.New("it was not established in time")
)

// terminating says that a namespace is in the way because it is being deleted.
func terminating(name string, err error) *NotReadyError {
	return &NotReadyError{
		Object: "Namespace " + name, Reason: "Terminating", Message: "it is being deleted",
		Cause: "what is in it has to go first; an object with a finalizer whose controller is gone blocks it",
		Next:  "kubectl get namespaces -o wide", Err: err,
	}
}

// isForbidden says whether the user, known to the server, lacks a right.
func isForbidden(err error) bool {
	refused := new(ForbiddenError)
	return errors.As(err, &refused) && !refused.Unknown
}

// Unwrap returns why the wait ended.
func (e *NotReadyError) Unwrap() error { return e.Err }

// Hint is the next command.
func (e *NotReadyError) Hint() hint.Hint { return e.Next }
