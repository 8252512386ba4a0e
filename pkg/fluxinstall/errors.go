package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// KubeconfigError says that a kubeconfig cannot be used.
type KubeconfigError struct {
	Origin string
	Err    error
}

// Error names the kubeconfig's origin and what is wrong.
func (e *KubeconfigError) Error() string {
	return fmt.Sprintf("the kubeconfig of %s cannot be used: %v", e.Origin, e.Err)
}

// Unwrap returns the cause.
func (e *KubeconfigError) Unwrap() error { return e.Err }

// Hint names the ways to give another one.
func (e *KubeconfigError) Hint() string {
	return "name the management cluster's kubeconfig with --kubeconfig FILE or KUBECONFIG, and a context in it with --context"
}

// UnreachableError says that the API server does not answer.
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

// Hint says how to look for oneself.
func (e *UnreachableError) Hint() string {
	return "check that the cluster is up and this machine can reach it: kubectl get --raw /readyz, with the same kubeconfig"
}

// ForbiddenError says that the kubeconfig's user was refused: not known at all, or without a right.
type ForbiddenError struct {
	Server, Origin string
	// Verb, Resource and Group are the missing right, when the server named it.
	Verb, Resource, Group string
	// Unknown says that the server does not know the user (HTTP 401).
	Unknown bool
	Err     error
}

// Error says who refused what.
func (e *ForbiddenError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("the API server %s does not accept the credentials of %s: %v", e.Server, e.Origin, e.Err)
	}
	return fmt.Sprintf("the API server %s refuses: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Hint names the missing right as a rule of a ClusterRole.
func (e *ForbiddenError) Hint() string {
	if e.Unknown || e.Verb == "" {
		return "use a kubeconfig whose user administers the cluster"
	}
	return fmt.Sprintf("the user needs a ClusterRole with the rule: apiGroups [%q], resources [%q], verbs [%q]", e.Group, e.Resource, e.Verb)
}

// forbidden reads the missing right out of the API server's sentence.
var forbidden = regexp.MustCompile(`cannot (\w+) resource "([^"]*)" in API group "([^"]*)"`)

// classify turns an error of the client library into one of the package's types. A context that ended keeps its own error, so that a
// time limit is told from a server that does not answer.
func (c *Cluster) classify(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case apierrors.IsUnauthorized(err):
		return &ForbiddenError{Server: c.server, Origin: c.origin, Unknown: true, Err: err}
	case apierrors.IsForbidden(err):
		refused := &ForbiddenError{Server: c.server, Origin: c.origin, Err: err}
		if right := forbidden.FindStringSubmatch(err.Error()); right != nil {
			refused.Verb, refused.Resource, refused.Group = right[1], right[2], right[3]
		}
		return refused
	case isNetwork(err):
		return &UnreachableError{Server: c.server, Origin: c.origin, Err: innermost(err)}
	default:
		return err
	}
}

// isNetwork says whether a request did not get an answer at all.
func isNetwork(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return false
	}
	return errors.As(err, new(*url.Error)) || errors.As(err, new(net.Error)) || errors.Is(err, context.DeadlineExceeded) ||
		strings.Contains(err.Error(), "connection refused")
}

// innermost leaves out the URL that the HTTP library puts around a network error; the server is named already.
func innermost(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// transient says whether the same request may succeed a moment later.
func transient(err error) bool {
	return errors.As(err, new(*UnreachableError)) || isNetwork(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsConflict(err)
}

// NotReadyError says that something did not become ready, and why, in words for a person.
type NotReadyError struct {
	Object  string // kind namespace/name
	Reason  string // the condition's reason
	Message string // the object's own words
	Cause   string // what that means, when it is known
	Next    string // the command that shows more or helps
	Err     error  // why the wait ended
}

// Error puts the object and its own words first, the cause after.
func (e *NotReadyError) Error() string {
	text := e.Object + " is not ready"
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Cause != "" {
		text += "; " + e.Cause
	}
	return text
}

// Unwrap returns why the wait ended.
func (e *NotReadyError) Unwrap() error { return e.Err }

// Hint is the next command.
func (e *NotReadyError) Hint() string { return e.Next }
