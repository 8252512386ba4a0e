package git

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/serverwords"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// ErrTransient matches, with errors.Is, every error after which the same call may succeed if it is made again
// a little later.
var ErrTransient = errors.New("transient")

// ErrNoChange says that the edits would leave the tree as it is. Nothing has to be pushed.
var ErrNoChange = errors.New("nothing to change")

// AuthError says that the server does not accept the credentials at all: a bad or expired token, an unknown
// key.
type AuthError struct {
	Remote string
	// Tried describes the SSH identities that were offered, in their order; empty over HTTPS.
	Tried []string
	// Skipped describes identities that were not offered, and why.
	Skipped []string
	// Server is what the server said, in lines; it may be empty.
	Server string
	// Anonymous says that no credentials were sent.
	Anonymous bool
}

func (e *AuthError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: authentication failed", e.Remote)
	switch {
	case strings.HasPrefix(e.Remote, "https:") && e.Anonymous:
		b.WriteString(": the server asks for credentials and there are none")
	case strings.HasPrefix(e.Remote, "https:"):
		b.WriteString(": the server does not accept the token")
	case len(e.Tried) == 0:
		b.WriteString(": there is no identity to offer")
	default:
		b.WriteString(": the server accepts none of the identities tried: " + strings.Join(e.Tried, ", "))
	}
	if len(e.Skipped) > 0 {
		b.WriteString("; not offered: " + strings.Join(e.Skipped, ", "))
	}
	return b.String() + serverwords.Said(e.Server)
}

// Hint is the next action.
func (e *AuthError) Hint() string {
	if strings.HasPrefix(e.Remote, "https:") {
		return "check that the token is complete, not expired or revoked, and authorized for the " +
			"organization (single sign-on)"
	}
	return "register the public key of one of these identities with the server, or give the key that is " +
		"registered"
}

// PermissionError says that the server knows who asks and does not allow it: a read-only key, a missing
// right.
type PermissionError struct {
	Remote string
	Write  bool   // it was a push
	Server string // what the server said, in lines
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s: permission denied to %s%s",
		e.Remote, readOrWrite(e.Write), serverwords.Said(e.Server))
}

// Hint is the next action.
func (e *PermissionError) Hint() hint.Hint {
	if remedy := serverwords.AccessRemedy(e.Server); remedy != "" {
		return remedy
	}
	if e.Write {
		return "use credentials that may write to the repository; a read-only deploy key cannot push"
	}
	return "use credentials that may read the repository"
}

func readOrWrite(write bool) string {
	if write {
		return "push"
	}
	return "read"
}

// NotFoundError says that there is no such repository, or that the credentials may not know of it.
type NotFoundError struct {
	Remote string
	Server string // what the server said, in lines
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s: repository not found%s", e.Remote, serverwords.Said(e.Server))
}

// Hint is the next action.
func (e *NotFoundError) Hint() string {
	return "check the URL; servers also say this when the credentials have no access to the repository"
}

// ConflictError says that the branch moved since it was fetched. Nothing was written: fetch again, build the
// commit anew, push.
type ConflictError struct {
	Remote string
	Branch string
	// Expected is the commit that the new one was built on, empty when the branch did not exist.
	Expected string
	// Actual is the branch's tip as far as it is known; empty when it is not, or when the branch is gone.
	Actual string
	Server string // what the server said, in lines; it may be empty
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: branch %s has changed since it was fetched%s",
		e.Remote, e.Branch, serverwords.Said(e.Server))
}

// Hint is the next action.
func (e *ConflictError) Hint() string {
	return "fetch again and repeat; somebody else pushed at the same time"
}

// RejectedError says that the server has a rule against the push: a hook, a protected branch. It never goes
// away by trying again.
type RejectedError struct {
	Remote string
	Branch string // empty when a whole session was refused
	Reason string // the server's reason for the branch, in one line
	Server string // what else the server said and is of use here, in lines
}

// Error is one line, unless the server said more than that. Then its lines stand between the first and the
// last, indented: what is put behind an error stays apart from them.
func (e *RejectedError) Error() string {
	what := "the server refused"
	if e.Branch != "" {
		what += " the push to " + e.Branch
	}
	if !strings.Contains(e.Server, "\n") {
		return fmt.Sprintf("%s: %s: %s%s", e.Remote, what, e.Reason, serverwords.Said(e.Server))
	}
	return fmt.Sprintf("%s: %s:\n  %s\nwith the status: %s",
		e.Remote, what, strings.ReplaceAll(e.Server, "\n", "\n  "), e.Reason)
}

// Hint is the next action.
func (e *RejectedError) Hint() hint.Hint {
	words := e.Reason + "\n" + e.Server
	if remedy := serverwords.AccessRemedy(words); remedy != "" && e.Branch == "" {
		return remedy
	}
	if remedy := serverwords.Remedy(words); remedy != "" {
		return remedy
	}
	if e.Server == "" && e.Branch != "" {
		return "the server's own rule decides, and it does not say more: ask who runs the server"
	}
	return "the server's own rule decides: read its words above, or ask who runs the server"
}

// UnreachableError says that the server could not be talked to: no connection, a broken one, silence, or a
// failure of its own.
type UnreachableError struct {
	Remote string
	Reason string
	// RetryAfter is what the server asked for; zero when it did not.
	RetryAfter time.Duration
	// Permanent says that trying again does not help, as with a host name that does not exist or a
	// certificate that is not trusted.
	Permanent bool
	// OutcomeUnknown says that a push was sent and neither its result nor the branch could be read. Pushing
	// the same commit again, or fetching and repeating, is safe.
	OutcomeUnknown bool
	// Next is the next action; empty stands for the usual one.
	Next hint.Hint
}

func (e *UnreachableError) Error() string {
	unknown := ""
	if e.OutcomeUnknown {
		unknown = "; whether the push arrived is not known"
	}
	return fmt.Sprintf("%s: %s%s", e.Remote, e.Reason, unknown)
}

// Hint is the next action.
func (e *UnreachableError) Hint() hint.Hint {
	switch {
	case e.Next != "":
		return e.Next
	case e.OutcomeUnknown:
		return hint.Text("%s: it looks at the branch first", hint.Again)
	}
	return "check the network, the proxy settings and the server, and try again"
}

// Temporary says whether trying again may help.
func (e *UnreachableError) Temporary() bool { return !e.Permanent }

// Is makes errors.Is(err, ErrTransient) true for what may go away.
func (e *UnreachableError) Is(target error) bool { return target == ErrTransient && !e.Permanent }

// ProtocolError says that what answered does not speak Git, or speaks it in a way that is not understood: a
// captive portal, a damaged repository, a format that is not supported.
type ProtocolError struct {
	Remote string
	Reason string
}

func (e *ProtocolError) Error() string { return fmt.Sprintf("%s: %s", e.Remote, e.Reason) }

// Hint is the next action.
func (e *ProtocolError) Hint() string {
	return "check that the URL is that of a Git repository, and that no proxy or log-in page answers in " +
		"its place"
}

// RedirectError says that the server sends clients to another host. It is not followed: the credentials are
// for the first one.
type RedirectError struct {
	Remote string
	Target string // the other address, without its query
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: the server redirects to another host, %s, where the credentials are not sent",
		e.Remote, e.Target)
}

// Hint is the next action.
func (e *RedirectError) Hint() string { return "if that is right, give the new address" }

// LimitError says that there is more of something in a repository than this program takes.
type LimitError struct {
	Remote string
	What   string
	Limit  int64
	Unit   string // bytes when empty
}

func (e *LimitError) Error() string {
	if e.Unit != "" {
		return fmt.Sprintf("%s: %s has more than the limit of %d %s", e.Remote, e.What, e.Limit, e.Unit)
	}
	return fmt.Sprintf("%s: %s is larger than the limit of %d bytes", e.Remote, e.What, e.Limit)
}

// Hint is the next action.
func (e *LimitError) Hint() string {
	return "a repository for clusters needs a small part of that: take out what is too large, or use a " +
		"repository of its own for the clusters"
}

// PathError says that a path cannot be used in this repository.
type PathError struct {
	Path string // the path that was asked for
	// Entry is the part of the path that is in the way, empty when the path itself is not allowed.
	Entry  string
	Mode   Mode // what Entry is
	Reason string
}

func (e *PathError) Error() string {
	if e.Entry == "" {
		return fmt.Sprintf("path %q: %s", e.Path, e.Reason)
	}
	return fmt.Sprintf("path %q: %q in the repository is %s", e.Path, e.Entry, e.Mode.phrase())
}

// Hint is the next action.
func (e *PathError) Hint() string {
	if e.Entry == "" {
		return ""
	}
	return fmt.Sprintf("move %s away in the repository, or choose another path", e.Entry)
}

// TreeLimitError says that a directory of a repository, with all that is in it, is larger than what is looked
// at. Nothing was read of it.
type TreeLimitError struct {
	// Dir is the directory that is too large, as it is in the repository; "/" is the root.
	Dir   string
	What  string // what there is too much of
	Limit int64
}

func (e *TreeLimitError) Error() string {
	return fmt.Sprintf("directory %q in the repository has more than %d %s, counted with all that is below "+
		"it", e.Dir, e.Limit, e.What)
}

// Hint is the next action.
func (e *TreeLimitError) Hint() string {
	if e.Dir == "/" {
		return "a repository for clusters needs a small part of that: see who put them there, and take " +
			"them out"
	}
	return "see who put it there with git log -- " + text.ShellWord(e.Dir) +
		", and take it out, or move it to another repository"
}
