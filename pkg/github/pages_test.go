package github_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

func TestDeployKeys_allPages(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet")
	for i := range 230 {
		repo.AddDeployKey(fmt.Sprint("key ", i), publicKey(t, fmt.Sprint(i)), i%2 == 0)
	}
	s := owner(t, gh)
	list, err := s.DeployKeys(t.Context(), fleet())
	ok(t, err)
	equal(t, "keys, requests", []int{len(list), len(gh.Requests())}, []int{230, 3})
	last := list[229]
	equal(t, "last", []any{last.Title, last.PublicKey, last.ReadOnly, last.ID != 0},
		[]any{"key 229", publicKey(t, "229"), false, true})
	// A key on the last page is found.
	changed, err := s.EnsureDeployKey(t.Context(), fleet(),
		github.DeployKey{Title: "x", PublicKey: publicKey(t, "228"), ReadOnly: true})
	ok(t, err)
	equal(t, "changed, mutations", []any{changed, len(gh.Mutations())}, []any{false, 0})
}

// A list whose next page is one that was read already, or that has no end, is read for a bounded time.
func TestDeployKeys_endlessList(t *testing.T) {
	t.Parallel()
	for next, requests := range map[string]int{"1": 1, "2": 2, "-1": 1, "51": 1, "9223372036854775807": 1} {
		gh := world(t)
		gh.AddRepo("acme/fleet", files())
		link := http.Header{"Link": {`<https://api.example.com/keys?page=` + next + `>; rel="next"`}}
		gh.Break("GET /repos/acme/fleet/keys", githubtest.RespondWith(200, link, "[]"))
		gh.Break("GET /repos/acme/fleet/rules/branches/main", githubtest.RespondWith(200, link, "[]"))
		s := owner(t, gh)
		_, err := s.DeployKeys(t.Context(), fleet())
		ok(t, err)
		equal(t, "requests with next "+next, len(gh.Requests()), requests)
		_, err = s.Protection(t.Context(), fleet(), "main")
		ok(t, err)
		equal(t, "requests with next "+next, len(gh.Requests()), 2*requests+1)
	}
}

// GitHub answers lists with several Link lines, the first of which may be about the API's version. All pages
// are read.
func TestDeployKeys_linkLines(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet", files())
	for i := range 101 {
		repo.AddDeployKey(fmt.Sprint(i), publicKey(t, fmt.Sprint(i)), true)
	}
	gh.Around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(
				&linkFirst{w, `<https://docs.github.com/rest>; rel="deprecation"; type="text/html"`}, r)
		})
	})
	keys, err := owner(t, gh).DeployKeys(t.Context(), fleet())
	ok(t, err)
	equal(t, "keys", len(keys), 101)
}

// linkFirst puts a Link line before the others.
type linkFirst struct {
	http.ResponseWriter
	line string
}

func (l *linkFirst) WriteHeader(status int) {
	if links := l.Header().Values("Link"); len(links) > 0 {
		l.Header()["Link"] = append([]string{l.line}, links...)
	}
	l.ResponseWriter.WriteHeader(status)
}
