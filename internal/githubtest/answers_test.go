package githubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// caller asks a server for everything, by one token.
type caller struct {
	t     *testing.T
	s     *Server
	base  string // without a final slash
	token string
	// headers are sent besides those that every request needs.
	headers map[string]string
	// succeeded are the operations that were answered with 2xx.
	succeeded map[description.Name]bool
	made      int
}

// send makes one request and returns the answer.
func (c *caller) send(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, "https://github.test"+c.base+path,
		strings.NewReader(body))
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("User-Agent", "answers-test")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.s.Handler().ServeHTTP(w, r)
	return w
}

// everything asks for every operation about a repository and its owner's accounts, in the repository's
// present state.
func (c *caller) everything(repo *Repo, fullName string) {
	c.t.Helper()
	for i := range c.s.routes {
		route := &c.s.routes[i]
		c.made++
		body := ""
		fill := map[string]string{"username": "alice", "org": "acme", "branch": "main", "ref": "heads/main",
			"path": "README.md", "key_id": "1", "pull_number": "1"}
		switch n := route.operation(); n.Method + " " + strings.TrimPrefix(n.Path, repository) {
		case "POST /user/repos", "POST /orgs/{org}/repos":
			body = fmt.Sprintf(`{"name":"made%d","private":true}`, c.made)
		case "PATCH ":
			body = `{"description":"new"}`
		case "POST /keys":
			body = fmt.Sprintf(`{"title":"t","key":%q,"read_only":true}`, publicKey(c.t))
		case "GET /keys/{key_id}", "DELETE /keys/{key_id}":
			fill["key_id"] = strconv.FormatInt(repo.AddDeployKey("k", publicKey(c.t), true), 10)
		case "DELETE /git/refs/{ref}":
			if repo.git.Head("main") != "" {
				fill["ref"] = fmt.Sprintf("heads/gone%d", c.made)
				repo.git.Git("update-ref", "refs/"+fill["ref"], repo.git.Head("main"))
			}
		case "POST /pulls":
			if repo.git.Head("main") != "" {
				repo.git.Commit(gittest.Change{Branch: topic(repo, c.made),
					Files: map[string]string{fmt.Sprintf("f%d", c.made): "1"}})
			}
			body = fmt.Sprintf(`{"title":"T","head":"topic%d","base":"main"}`, c.made)
		case "PATCH /pulls/{pull_number}":
			body = `{"title":"new"}`
		case "PUT /pulls/{pull_number}/merge":
			body = `{"merge_method":"squash"}`
		}
		if strings.Contains(route.pattern, "/pulls/{pull_number}") {
			fill["pull_number"] = strconv.Itoa(len(repo.Pulls()))
			if route.method == "GET" && strings.HasSuffix(route.pattern, "/merge") && len(repo.Pulls()) > 0 {
				fill["pull_number"] = "1"
			}
		}
		path := strings.Replace(route.pattern, repository, "/repos/"+fullName, 1)
		for name, value := range fill {
			path = strings.NewReplacer("{"+name+"}", value, "{"+name+"+}", value).Replace(path)
		}
		answer := c.send(route.method, path, body)
		if answer.Code < 300 {
			c.succeeded[route.operation()] = true
		}
		if tag := answer.Header().Get("ETag"); tag != "" && route.pattern == repository {
			c.send(route.method, path, "", "If-None-Match", tag)
		}
		if route.method == "PATCH" && route.pattern == repository {
			c.send(route.method, path, "{")
			c.s.TakeViolations()
		}
	}
}

func topic(repo *Repo, n int) string {
	name := fmt.Sprintf("topic%d", n)
	repo.git.Git("update-ref", "refs/heads/"+name, repo.git.Head("main"))
	return name
}

func publicKey(t *testing.T) string {
	t.Helper()
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(gittest.NewKey(t, gittest.ED25519).AuthorizedKey()))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

// Every operation, asked by every kind of token about repositories in every state, is answered as GitHub
// describes it, on github.com in both versions of the API and on enterprise servers. What is answered
// otherwise is an exception with a reason, and every one is needed.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var excused []undocumented
	t.Cleanup(func() {
		for _, u := range exceptions {
			if !slices.Contains(excused, u) || u.reason == "" {
				t.Errorf("the exception %+v is needed nowhere, or has no reason", u)
			}
		}
	})
	for name, where := range map[string]struct {
		base    string
		headers map[string]string
	}{
		"github.com, 2022-11-28": {"", nil},
		"github.com, 2026-03-10": {"", map[string]string{"X-GitHub-Api-Version": version2026}},
		"enterprise":             {enterprisePrefix, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Start(t)
			s.SetCreationLag(Lag{}) // its 404 is that of any repository that is not there
			s.AddUser("alice", "bob", "carol", "dave", "eve")
			s.AddOrg("acme", OrgOwner("alice", "eve"), OrgMember("bob"), PendingMember("carol"),
				OrgPlan(PlanPaid))
			succeeded := map[description.Name]bool{}
			ask := func(token string, repo *Repo, fullName string) {
				t.Helper()
				(&caller{t: t, s: s, base: where.base, token: token, headers: where.headers,
					succeeded: succeeded, made: int(s.id())}).everything(repo, fullName)
			}
			everyObject(s, ask)
			// the rest decides about statuses only, which are the same everywhere
			if name == "github.com, 2022-11-28" {
				everyState(s, ask)
				everyToken(s, ask)
			}
			for _, n := range Operations() {
				if !succeeded[n] {
					t.Errorf("%s %s never succeeds", n.Method, n.Path)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			excused = append(excused, s.excused...)
		})
	}
}

func answersRepo(s *Server, name string) *Repo {
	return s.AddRepo(name, Files(map[string]string{"README.md": "hi\n", "a/b": "1"}), Grant("bob", Push),
		Grant("dave", Pull))
}

// everyObject asks as an owner for whatever there is.
func everyObject(s *Server, ask func(token string, repo *Repo, fullName string)) {
	owner := s.AddClassicToken("alice", "repo", "admin:org", "user")
	fleet := answersRepo(s, "acme/fleet")
	ask(owner, fleet, "acme/fleet")
	fleet.Protect("main", Protection{RequirePullRequest: true, Approvals: 1, StatusChecks: []string{"ci"},
		EnforceAdmins: true, RequireSignatures: true})
	fleet.AddRuleset(Ruleset{Branches: []string{"~ALL"}, RequirePullRequest: true, Approvals: 1,
		StatusChecks: []string{"ci"}, BlockForcePushes: true, BlockCreation: true, BlockDeletions: true,
		RequireSignatures: true, LinearHistory: true, MessagePattern: "^[A-Z]"})
	ask(owner, fleet, "acme/fleet")
}

// everyState asks as an owner about repositories in every state.
func everyState(s *Server, ask func(token string, repo *Repo, fullName string)) {
	owner := s.AddClassicToken("alice", "repo")
	for state, change := range map[string]func(*Repo){
		"archived": (*Repo).Archive, "disabled": (*Repo).Disable,
		"blocked":     func(r *Repo) { r.Block(BlockedForTerms) },
		"takendown":   func(r *Repo) { r.Block(BlockedForTakedown) },
		"transferred": func(r *Repo) { r.Transfer("alice") },
		"branch":      func(r *Repo) { r.RenameBranch("main", "trunk") },
		"public":      func(r *Repo) { r.SetPrivate(false) },
	} {
		r := answersRepo(s, "acme/"+state)
		change(r)
		ask(owner, r, "acme/"+state)
	}
	ask(owner, s.AddRepo("acme/empty"), "acme/empty")
	ask(owner, answersRepo(s, "alice/free"), "alice/free")
	ask(owner, s.Repo("acme/fleet"), "acme/none")
}

// everyToken asks by every kind of token about a repository with rules.
func everyToken(s *Server, ask func(token string, repo *Repo, fullName string)) {
	all := Permissions{"contents": "write", "administration": "write", "pull_requests": "write",
		"members": "read", "organization_administration": "read"}
	fleet := s.Repo("acme/fleet")
	owner := s.AddClassicToken("alice", "repo")
	for _, token := range []string{
		"", "ghp_unknown",
		s.AddClassicToken("alice"), s.AddClassicToken("bob", "repo"), s.AddClassicToken("dave", "repo"),
		s.AddClassicToken("carol", "repo", "read:org"),
		s.AddFineGrainedToken("alice", FineGrained{Owner: "acme", Permissions: all}),
		s.AddFineGrainedToken("alice", FineGrained{Owner: "acme"}),
		s.AddInstallationToken("acme", Installation{Permissions: all}), s.AddInstallationToken("acme",
			Installation{}),
	} {
		ask(token, fleet, "acme/fleet")
	}
	s.AddOrg("acme", EnforceSSO(), DeployKeysDisabled(), MembersCannotCreate(),
		PrivateRepositoriesForbidden())
	ask(owner, fleet, "acme/fleet")
	ask(s.AddClassicToken("bob", "repo"), fleet, "acme/fleet")
	s.AuthorizeSSO(owner, "acme")
	ask(owner, fleet, "acme/fleet")
	s.SetRateLimit(60, 0, time.Now().Add(time.Hour))
	ask(owner, fleet, "acme/fleet")
	s.SetRateLimit(5000, 5000, time.Time{})
	s.Suspend("eve")
	ask(s.AddClassicToken("eve", "repo"), fleet, "acme/fleet")
}

// What an operation refuses with a status that GitHub does not document, or answers with an object that lacks
// something, fails the test that asked.
func TestVerify_mistakes(t *testing.T) {
	t.Parallel()
	s, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.AddUser("alice")
	for i := range s.routes {
		switch r := &s.routes[i]; r.pattern {
		case "/meta":
			r.handle = func(c *call) *reply { return c.fail(http.StatusTeapot, "No coffee") }
		case "/user":
			r.handle = func(c *call) *reply {
				o := c.profile(c.actor.user, true)
				delete(o, "plan")
				delete(o, "login")
				o["id"] = "one"
				return &reply{http.StatusOK, o}
			}
		}
	}
	c := &caller{t: t, s: s, token: s.AddClassicToken("alice", "repo")}
	for range 2 {
		c.send("GET", "/meta", "")
		c.send("GET", "/user", "")
	}
	got := &mistakes{T: t}
	s.Verify(got)
	want := `answers of the test server that GitHub does not give:
  GET /meta: status 418 (No coffee) is not documented
  GET /user: /id: value must be an integer
  GET /user: /login: property "login" is missing`
	if got.text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.text.String(), want)
	}
	off := s.Break("GET /meta", Respond(418, "no JSON"))
	s.mistakes = nil
	c.send("GET", "/meta", "")
	off()
	if len(s.mistakes) != 0 {
		t.Errorf("an injected fault is a mistake: %v", s.mistakes)
	}
}

// mistakes is a TB that keeps what Verify reports.
type mistakes struct {
	*testing.T
	text bytes.Buffer
}

func (m *mistakes) Errorf(format string, args ...any) { fmt.Fprintf(&m.text, format, args...) }

// What is recorded are the operations that are served, no more and no less.
func TestRecordedOperations(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("description/" + description.GitHub + "." +
		description.FirstVersion + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f description.File
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	var recorded, served []string
	for path, methods := range f.Paths {
		for method := range methods {
			recorded = append(recorded, strings.ToUpper(method)+" "+path)
		}
	}
	for _, n := range Operations() {
		served = append(served, n.Method+" "+n.Path)
	}
	slices.Sort(recorded)
	slices.Sort(served)
	if !slices.Equal(recorded, served) {
		t.Errorf("recorded\n%s\nserved\n%s", strings.Join(recorded, "\n"), strings.Join(served, "\n"))
	}
}

// What the check of a request and its answer costs.
func BenchmarkCheck(b *testing.B) {
	for name, base := range map[string]string{"github.com": "", "enterprise": enterprisePrefix} {
		b.Run(name, func(b *testing.B) {
			s := Start(b)
			s.AddUser("alice")
			s.AddRepo("alice/fleet")
			token := s.AddClassicToken("alice", "repo")
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet,
					"https://github.test"+base+"/repos/alice/fleet", nil)
				r.Header.Set("Accept", "application/vnd.github+json")
				r.Header.Set("User-Agent", "benchmark")
				r.Header.Set("Authorization", "Bearer "+token)
				s.Handler().ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
