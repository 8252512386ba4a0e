package github_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func TestHostKeys(t *testing.T) {
	t.Parallel()
	gh := world(t)
	s := owner(t, gh)
	published, err := s.HostKeys(t.Context())
	ok(t, err)
	if len(published) == 0 {
		t.Fatal("no keys")
	}
	for _, key := range published {
		if !strings.Contains(gh.KnownHosts(), " "+key+"\n") {
			t.Errorf("%q is not among\n%s", key, gh.KnownHosts())
		}
	}
	for body, want := range map[string]struct {
		class      error
		text, hint string
	}{
		`{"verifiable_password_authentication":true}`: {github.ErrNotFound,
			"reading GitHub's SSH host keys: not found: the server publishes none (GET /meta)",
			"check the name; what a token may not see looks to it as if it did not exist"},
		`{"ssh_keys":["evil.example.com ssh-ed25519 AAAA\u001b[31m"]}`: {github.ErrUnexpected,
			`reading GitHub's SSH host keys: unexpected answer: none of the keys that it publishes is of a known kind, such as "evil.example.com ssh-ed25519 AAAA[31m"`,
			""},
	} {
		off := gh.Break("GET /meta", githubtest.Respond(200, body))
		_, err := s.HostKeys(t.Context())
		s.fails(err, want.class, want.text, want.hint)
		off()
	}
}

// A server that publishes a key of a new kind is as good as before.
func TestHostKeys_unknownKind(t *testing.T) {
	t.Parallel()
	gh := world(t)
	known := publicKey(t, "host")
	gh.Break("GET /meta",
		githubtest.Respond(200, `{"ssh_keys":["ssh-mldsa65 AAAAC3NzaC1tbGRzYTY1","`+known+`"]}`))
	published, err := owner(t, gh).HostKeys(t.Context())
	ok(t, err)
	equal(t, "keys", published, []string{known})
}
