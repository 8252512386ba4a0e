package github_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// A 403 that is about the token as such, not about one of its rights: no permission is named that would not
// help.
func TestTokenRefusal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body  string
		class error
		text  string
		hint  string
	}{
		"after several bad ones": {`{"message":"Maximum number of login attempts exceeded. Please try again later.","documentation_url":"https://docs.github.com/rest"}`,
			github.ErrAuthentication, "authentication refused (HTTP 403): Maximum number of login attempts " +
				"exceeded. Please try again later.", "GitHub saw too many bad credentials and refuses good " +
				"ones too for some minutes: wait, then run the same command again"},
		"lives too long": {`{"message":"The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is greater than 366 days."}`,
			github.ErrPolicy, "forbidden by policy (HTTP 403): The 'acme' organization forbids access via " +
				"a fine-grained personal access tokens if the token's lifetime is greater than 366 days.",
			"the organization limits how long a token may live: make one that expires sooner"},
		"single sign-on, without an address": {`{"message":"Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization."}`,
			github.ErrSSO,
			"single sign-on authorization missing (HTTP 403): Resource protected by organization SAML " +
				"enforcement. You must grant your Personal Access token access to this organization.",
			"authorize the token in EKSA_GITHUB_TOKEN for the organization's single sign-on, in GitHub's " +
				"settings of personal access tokens (Configure SSO)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gh := world(t)
			gh.Break("* /repos/**", githubtest.Respond(403, tc.body))
			s := connect(t, gh, gh.AddFineGrainedToken("alice", githubtest.FineGrained{Owner: "acme"}))
			_, err := s.Repository(t.Context(), fleet())
			e := s.fails(err, tc.class, "reading repository acme/fleet: "+tc.text, tc.hint)
			equal(t, "permission, waits", []any{e.NeededPermission, len(s.clock.waits())}, []any{"", 0})
		})
	}
}

// A token that is good at first and revoked between two calls.
func TestTokenRefusal_revokedMeanwhile(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet")
	s := owner(t, gh)
	access, err := s.CheckAccess(t.Context(), github.AccessRequest{Ref: fleet(), NeedDeployKey: true})
	ok(t, err)
	equal(t, "ok", access.OK(), true)
	gh.RevokeToken(s.token)
	changed, err := s.EnsureDeployKey(t.Context(), fleet(), fluxKey(t))
	s.fails(err, github.ErrAuthentication,
		"reading the deploy keys of acme/fleet: authentication refused (HTTP 401): Bad credentials",
		"the token in EKSA_GITHUB_TOKEN is unknown to GitHub, revoked or expired: make a new one and "+
			"export it")
	equal(t, "changed, mutations", []any{changed, len(gh.Mutations())}, []any{false, 0})
}
