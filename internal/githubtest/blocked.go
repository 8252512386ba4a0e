package githubtest

import (
	"net/http"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// Suspend takes a user's access away, for all their tokens and keys.
func (s *Server) Suspend(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[key(login)]
	if a == nil || a.org != nil {
		s.misuse("suspending %s: there is no such user", login)
		return
	}
	a.suspended = true
}

const suspendedMessage = "Sorry. Your account was suspended"

// suspendedGit is what Git shows: see https://github.com/github/site-policy/issues/1258.
const suspendedGit = "Your account is suspended. Please visit https://support.github.com for more " +
	"information."

// Block is why GitHub's staff has closed a repository.
type Block string

// The reasons for which repositories are blocked. A takedown is answered with 451, anything else with 403:
// see https://github.com/github/rest-api-description/issues/3314 and
// https://github.com/PyGithub/PyGithub/issues/1015.
const (
	BlockedForTerms    Block = "tos"
	BlockedForTakedown Block = "dmca"
)

// Block closes the repository to everybody.
func (r *Repo) Block(why Block) { r.locked(func() { r.blocked, r.blockedAt = why, r.server.now() }) }

const blockedGit = "Access to this repository has been disabled by GitHub staff.\nIf you are the " +
	"repository owner, you can contact support via https://support.github.com/contact for more information."

// blockReply is the answer to everything about a blocked repository. It names no page of documentation.
func (c *call) blockReply(r *Repo) *reply {
	status, page := http.StatusForbidden, "https://github.com/tos"
	if r.blocked == BlockedForTakedown {
		status, page = http.StatusUnavailableForLegalReasons, "https://github.com/github/dmca"
	}
	return &reply{status, object{"message": "Repository access blocked", "block": object{
		"reason": string(r.blocked), "created_at": r.blockedAt.UTC().Format(time.RFC3339), "html_url": page}}}
}

// Disable switches the repository off, as GitHub does when its owner does not pay: the API says so and Git
// refuses.
func (r *Repo) Disable() { r.locked(func() { r.disabled = true }) }

// closed is the verdict on Git in a repository that is closed to everybody; false when it is open. The text
// about a disabled one is that of https://github.com/Comfy-Org/ComfyUI/issues/11686.
func (r *Repo) closed() (gittest.Verdict, bool) {
	switch {
	case r.blocked != "":
		return gittest.Verdict{Outcome: gittest.Forbidden, Message: blockedGit}, true
	case r.disabled:
		return gittest.Verdict{Outcome: gittest.Forbidden, Message: "Repository '" + r.fullName() +
			"' is disabled.\nPlease ask the owner to check their account."}, true
	}
	return gittest.Verdict{}, false
}
