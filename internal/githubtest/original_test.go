package githubtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// answer makes a request and gives its status and the message of its body, with the texts of errors[].
func answer(t *testing.T, gh *githubtest.Server, token, method, url, body string, headers ...string) string {
	t.Helper()
	resp, text := send(t, gh, token, method, url, body, headers...)
	var e struct {
		Message string
		Errors  []struct{ Resource, Code, Field, Message string }
	}
	json.Unmarshal([]byte(text), &e) // a list has no message
	line := fmt.Sprintf("%d %s", resp.StatusCode, e.Message)
	for _, x := range e.Errors {
		line += fmt.Sprintf(" [%s.%s %s: %s]", x.Resource, x.Field, x.Code, x.Message)
	}
	return strings.TrimSpace(line)
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %q\nwant %q", what, got, want)
	}
}

// fields decodes an object.
func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	o := map[string]any{}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return o
}

// A version that is to end says so on every answer, in a Link line of its own before that of the pages; one
// that has ended is gone.
func TestVersions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	gh, err := githubtest.New(t.Context(), githubtest.Options{Now: func() time.Time { return now }})
	ok(t, err)
	defer gh.Close()
	gh.AddUser("alice")
	repo := gh.AddRepo("alice/fleet")
	for i := range 2 {
		repo.AddDeployKey(fmt.Sprint(i), gittest.NewKey(t, gittest.ED25519).AuthorizedKey(), true)
	}
	token := gh.AddClassicToken("alice", "repo")
	const deprecation = `<https://docs.github.com/en/rest/about-the-rest-api/api-versions>; rel="deprecation"; type="text/html"`
	list := func(base, version string) (*http.Response, string) {
		return send(t, gh, token, "GET", base+"repos/alice/fleet/keys?per_page=1", "",
			"X-GitHub-Api-Version", version)
	}
	pages := func(base string) string {
		to := base + "repos/alice/fleet/keys?page=2&per_page=1"
		return fmt.Sprintf(`<%s>; rel="next", <%s>; rel="last"`, to, to)
	}
	for _, version := range []string{"", "2022-11-28"} {
		resp, _ := list(gh.RootAPIURL(), version)
		equal(t, "selected", resp.Header.Get("X-GitHub-Api-Version-Selected"), "2022-11-28")
		equal(t, "deprecation", resp.Header.Get("Deprecation"), "Tue, 10 Mar 2026 00:00:00 GMT")
		equal(t, "sunset", resp.Header.Get("Sunset"), "Fri, 10 Mar 2028 00:00:00 GMT")
		equal(t, "links", fmt.Sprintf("%q", resp.Header.Values("Link")),
			fmt.Sprintf("%q", []string{deprecation, pages(gh.RootAPIURL())}))
	}
	resp, _ := list(gh.RootAPIURL(), "2026-03-10")
	equal(t, "selected", resp.Header.Get("X-GitHub-Api-Version-Selected"), "2026-03-10")
	equal(t, "deprecation and sunset", resp.Header.Get("Deprecation")+resp.Header.Get("Sunset"), "")
	equal(t, "links", fmt.Sprintf("%q", resp.Header.Values("Link")),
		fmt.Sprintf("%q", []string{pages(gh.RootAPIURL())}))
	equal(t, "never a version",
		answer(t, gh, token, "GET", gh.RootAPIURL()+"user", "", "X-GitHub-Api-Version", "2021-01-01"),
		`400 "2021-01-01" is not a supported version.`)
	gh.TakeViolations()

	gh.AnnounceEnd("2022-11-28", now.AddDate(0, 1, 0))
	resp, _ = list(gh.APIURL(), "")
	equal(t, "an enterprise server's sunset", resp.Header.Get("Sunset"), "Wed, 30 Dec 2026 00:00:00 GMT")
	now = now.AddDate(0, 1, 0)
	for _, base := range []string{gh.RootAPIURL(), gh.APIURL()} {
		equal(t, "ended", answer(t, gh, token, "GET", base+"user", "", "X-GitHub-Api-Version", "2022-11-28"),
			`410 API version "2022-11-28" is no longer supported.`)
	}
	resp, _ = list(gh.RootAPIURL(), "")
	equal(t, "the oldest that is left", resp.Header.Get("X-GitHub-Api-Version-Selected"), "2026-03-10")
	if got := gh.TakeViolations(); len(got) != 0 {
		t.Errorf("violations %v", got)
	}
}

// The breaking changes of version 2026-03-10, as far as they concern what is served here.
func TestVersions_breakingChanges(t *testing.T) {
	t.Parallel()
	gh := world(t)
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}))
	repo.Git().Git("update-ref", "refs/heads/topic", repo.Git().Head("main"))
	repo.Git().Commit(gittest.Change{Branch: "topic", Files: map[string]string{"a": "2"}})
	token := gh.AddClassicToken("alice", "repo", "admin:org")
	_, text := send(t, gh, token, "POST", gh.RootAPIURL()+"repos/acme/fleet/pulls",
		`{"title":"T","head":"topic","base":"main"}`)
	if _, there := fields(t, text)["merge_commit_sha"]; !there {
		t.Fatalf("pull request %s", text)
	}
	for path, names := range map[string][]string{
		"rate_limit":               {"rate"},
		"repos/acme/fleet":         {"has_downloads", "use_squash_pr_title_as_default"},
		"orgs/acme":                {"secret_scanning_push_protection_custom_link_enabled"},
		"repos/acme/fleet/pulls/1": {"merge_commit_sha", "assignee"},
	} {
		for _, name := range names {
			for version, want := range map[string]bool{"2022-11-28": true, "2026-03-10": false} {
				_, text := send(t, gh, token, "GET", gh.RootAPIURL()+path, "",
					"X-GitHub-Api-Version", version)
				if _, got := fields(t, text)[name]; got != want {
					t.Errorf("%s of %s in %s: %v, want %v", name, path, version, got, want)
				}
			}
		}
	}
}

// A repository that was just created is not found by the first read, the first write and the first use of
// Git.
func TestCreationLag(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	token := gh.AddClassicToken("alice", "repo")
	create := func(name string) string {
		equal(t, "creation", answer(t,
			gh, token, "POST", gh.RootAPIURL()+"user/repos", `{"name":"`+name+`","auto_init":true}`),
			"201")
		return gh.RootAPIURL() + "repos/alice/" + name
	}
	key := func() string {
		return fmt.Sprintf(`{"title":"flux","key":%q,"read_only":true}`,
			gittest.NewKey(t, gittest.ED25519).AuthorizedKey())
	}
	ls := func(url string, c githubtest.Credential) error {
		_, err := gh.GitClient(c).Git(ctx, t.TempDir(), "ls-remote", url)
		return err
	}
	one := create("one")
	equal(t, "first read", answer(t, gh, token, "GET", one, ""), "404 Not Found")
	equal(t, "second read", answer(t, gh, token, "GET", one, ""), "200")
	equal(t, "first write", answer(t, gh, token, "POST", one+"/keys", key()), "404 Not Found")
	equal(t, "second write", answer(t, gh, token, "POST", one+"/keys", key()), "201")
	fails(t, ls(gh.GitURL()+"alice/one.git", githubtest.WithToken(token)), "remote: Repository not found.")
	ok(t, ls(gh.GitURL()+"alice/one.git", githubtest.WithToken(token)))

	gh.SetCreationLag(githubtest.Lag{Git: 2})
	two := create("two")
	equal(t, "read", answer(t, gh, token, "GET", two, ""), "200")
	equal(t, "write", answer(t, gh, token, "POST", two+"/keys", key()), "201")
	user := gittest.NewKey(t, gittest.ED25519)
	gh.AddSSHKey("alice", user.AuthorizedKey())
	fails(t, ls(gh.SSHURL()+"alice/two.git", githubtest.WithKey(user)), "ERROR: Repository not found.")
	fails(t, ls(gh.GitURL()+"alice/two.git", githubtest.WithToken(token)), "remote: Repository not found.")
	ok(t, ls(gh.SSHURL()+"alice/two.git", githubtest.WithKey(user)))

	gh.SetCreationLag(githubtest.Lag{})
	three := create("three")
	equal(t, "no lag", answer(t, gh, token, "GET", three, ""), "200")
	gh.AddRepo("alice/four")
	equal(t, "not created by the API",
		answer(t, gh, token, "GET", gh.RootAPIURL()+"repos/alice/four", ""), "200")
}

// A deploy key that is switched off, by itself or with all of the organization's, shows it and opens nothing.
func TestDeployKeys_disabled(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}))
	first, second := gittest.NewKey(t, gittest.ED25519), gittest.NewKey(t, gittest.ED25519)
	id := repo.AddDeployKey("first", first.AuthorizedKey(), true)
	repo.AddDeployKey("second", second.AuthorizedKey(), true)
	token := gh.AddClassicToken("alice", "repo")
	enabled := func() (list []bool) {
		_, text := send(t, gh, token, "GET", gh.RootAPIURL()+"repos/acme/fleet/keys", "")
		var keys []struct{ Enabled bool }
		ok(t, json.Unmarshal([]byte(text), &keys))
		for _, k := range keys {
			list = append(list, k.Enabled)
		}
		return list
	}
	ls := func(k *gittest.Key) error {
		_, err := gh.GitClient(githubtest.WithKey(k)).Git(ctx, t.TempDir(), "ls-remote",
			gh.SSHURL()+"acme/fleet.git")
		return err
	}
	equal(t, "keys", fmt.Sprint(enabled()), "[true true]")
	repo.DisableKey(id)
	equal(t, "keys", fmt.Sprint(enabled()), "[false true]")
	fails(t, ls(first), "Permission denied (publickey).")
	ok(t, ls(second))
	gh.AddOrg("acme", githubtest.DeployKeysDisabled())
	equal(t, "keys", fmt.Sprint(enabled()), "[false false]")
	fails(t, ls(second), "Permission denied (publickey).")
	equal(t, "a new key", answer(t, gh, token, "POST", gh.RootAPIURL()+"repos/acme/fleet/keys",
		fmt.Sprintf(`{"key":%q}`, gittest.NewKey(t, gittest.ED25519).AuthorizedKey())),
		"422 Validation Failed [PublicKey. custom: Deploy keys are disabled for this repository]")
}

func TestCreate_private(t *testing.T) {
	t.Parallel()
	gh := world(t)
	create := func(login, org, body string) string {
		return answer(t, gh, gh.AddClassicToken(login, "repo"), "POST",
			gh.RootAPIURL()+"orgs/"+org+"/repos", body)
	}
	const refused = "422 Repository creation failed. [Repository.visibility custom: Visibility can't be " +
		"private. Private repositories are not permitted for this organization.]"
	gh.AddOrg("acme", githubtest.MembersCannotCreatePrivate())
	equal(t, "member", create("bob", "acme", `{"name":"a","private":true}`), refused)
	equal(t, "member, public", create("bob", "acme", `{"name":"a"}`), "201")
	equal(t, "owner", create("alice", "acme", `{"name":"b","private":true}`), "201")
	gh.AddOrg("open", githubtest.OrgOwner("alice"), githubtest.PrivateRepositoriesForbidden())
	equal(t, "owner, forbidden", create("alice", "open", `{"name":"a","private":true}`), refused)
}

// What GitHub's staff or billing closed is refused in words of their own, by the API and by Git.
func TestBlocked(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	files := githubtest.Files(map[string]string{"a": "1"})
	terms, takedown, disabled := gh.AddRepo("acme/terms", files), gh.AddRepo("acme/takedown", files),
		gh.AddRepo("acme/disabled", files)
	terms.Block(githubtest.BlockedForTerms)
	takedown.Block(githubtest.BlockedForTakedown)
	disabled.Disable()
	token, key := gh.AddClassicToken("alice", "repo"), gittest.NewKey(t, gittest.ED25519)
	gh.AddSSHKey("alice", key.AuthorizedKey())
	git := func(url string, c githubtest.Credential) error {
		_, err := gh.GitClient(c).Git(ctx, t.TempDir(), "ls-remote", url)
		return err
	}
	for repo, want := range map[string]string{
		"terms":    `403 {"block":{"created_at":"*","html_url":"https://github.com/tos","reason":"tos"},"message":"Repository access blocked"}`,
		"takedown": `451 {"block":{"created_at":"*","html_url":"https://github.com/github/dmca","reason":"dmca"},"message":"Repository access blocked"}`,
	} {
		resp, text := send(t, gh, token, "GET", gh.RootAPIURL()+"repos/acme/"+repo, "")
		block, _ := fields(t, text)["block"].(map[string]any)
		at, _ := block["created_at"].(string)
		equal(t, repo,
			fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(strings.Replace(text, at, "*", 1))), want)
		fails(t, git(gh.GitURL()+"acme/"+repo+".git", githubtest.WithToken(token)),
			"remote: Access to this repository has been disabled by GitHub staff.", "403")
	}
	_, text := send(t, gh, token, "GET", gh.RootAPIURL()+"repos/acme/disabled", "")
	if fields(t, text)["disabled"] != true {
		t.Errorf("not disabled: %s", text)
	}
	fails(t, git(gh.SSHURL()+"acme/disabled.git", githubtest.WithKey(key)),
		"ERROR: Repository 'acme/disabled' is disabled.", "Please ask the owner to check their account.")
	fails(t, git(gh.GitURL()+"acme/disabled.git", githubtest.WithToken(token)),
		"remote: Repository 'acme/disabled' is disabled.", "403")

	gh.AddRepo("acme/fleet", files)
	gh.Suspend("alice")
	equal(t, "suspended", answer(t, gh, token, "GET", gh.RootAPIURL()+"user", ""),
		"403 Sorry. Your account was suspended")
	fails(t, git(gh.GitURL()+"acme/fleet.git", githubtest.WithToken(token)),
		"remote: Your account is suspended.", "403")
	fails(t, git(gh.SSHURL()+"acme/fleet.git", githubtest.WithKey(key)), "ERROR: Your account is suspended.")
}

// A repository is found under its former names, whether it was renamed or given to somebody else.
func TestMoved(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("alice/fleet", githubtest.Files(map[string]string{"a": "1"}))
	deploy := gittest.NewKey(t, gittest.ED25519)
	repo.AddDeployKey("flux", deploy.AuthorizedKey(), true)
	token := gh.AddClassicToken("alice", "repo")
	_, text := send(t, gh, token, "GET", gh.RootAPIURL()+"repos/alice/fleet", "")
	last := fmt.Sprintf("%srepositories/%.0f", gh.RootAPIURL(), fields(t, text)["id"])
	plain := gh.HTTPClient()
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	follow := func(method, path, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, gh.RootAPIURL()+path, strings.NewReader(body))
		ok(t, err)
		for name, value := range map[string]string{"Accept": "application/vnd.github+json",
			"User-Agent": "test", "Authorization": "Bearer " + token, "Content-Type": "application/json"} {
			req.Header.Set(name, value)
		}
		resp, err := plain.Do(req)
		ok(t, err)
		resp.Body.Close()
		return fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	for name, move := range map[string]func(){"renamed": func() { repo.Rename("estate") },
		"transferred": func() { repo.Transfer("acme") }} {
		move()
		key := fmt.Sprintf(`{"key":%q}`, gittest.NewKey(t, gittest.ED25519).AuthorizedKey())
		equal(t, name, follow("GET", "repos/alice/fleet", ""), "301 "+last)
		equal(t, name, follow("GET", "repos/alice/fleet/keys?per_page=1", ""), "301 "+last+"/keys?per_page=1")
		equal(t, name, follow("POST", "repos/alice/fleet/keys", key), "307 "+last+"/keys")
		equal(t, name, answer(t, gh, token, "GET", gh.RootAPIURL()+"repos/alice/fleet", ""), "200")
		for url, credential := range map[string]githubtest.Credential{
			gh.GitURL() + "alice/fleet.git": githubtest.WithToken(token),
			gh.SSHURL() + "alice/fleet.git": githubtest.WithKey(deploy),
		} {
			_, err := gh.GitClient(credential).Git(ctx, t.TempDir(), "ls-remote", url)
			ok(t, err)
		}
	}
	if got := gh.Repos(); !slices.Equal(got, []string{"acme/estate"}) &&
		!slices.Equal(got, []string{"acme/fleet"}) {
		t.Errorf("repositories %v", got)
	}
	gh.AddRepo("alice/fleet")
	equal(t, "the old name is taken",
		answer(t, gh, token, "GET", gh.RootAPIURL()+"repos/alice/fleet", ""), "200")
	_, text = send(t, gh, token, "GET", gh.RootAPIURL()+"repos/alice/fleet", "")
	equal(t, "the old name is taken", fmt.Sprint(fields(t, text)["full_name"]), "alice/fleet")
}

// The API redirects from a branch's former name, and from master to the default branch; Git knows the present
// name only.
func TestRenamedBranch(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	repo := gh.AddRepo("acme/fleet", githubtest.Public(), githubtest.Files(map[string]string{"a": "1"}))
	repo.Protect("main", githubtest.Protection{RequirePullRequest: true})
	c := client(t, gh, gh.AddClassicToken("alice", "repo"))
	head := repo.Git().Head("main")
	repo.RenameBranch("main", "trunk")
	repo.RenameBranch("trunk", "release/1")
	for _, name := range []string{"main", "trunk", "master", "release/1"} {
		b, _, err := c.Repositories.GetBranch(ctx, "acme", "fleet", name, true)
		ok(t, err)
		if b.GetName() != "release/1" || !b.GetProtected() {
			t.Errorf("%s is %v", name, b)
		}
	}
	_, _, err := c.Repositories.GetBranch(ctx, "acme", "fleet", "none", true)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a branch that never was: %v", err)
	}
	info, _, err := c.Repositories.Get(ctx, "acme", "fleet")
	ok(t, err)
	equal(t, "default branch", info.GetDefaultBranch(), "release/1")
	out, err := gh.GitClient().Git(ctx, t.TempDir(), "ls-remote", "--symref", gh.GitURL()+"acme/fleet.git")
	ok(t, err)
	equal(t, "references", out,
		"ref: refs/heads/release/1\tHEAD\n"+head+"\tHEAD\n"+head+"\trefs/heads/release/1\n")
}

// The abuse detection of old names no time to wait and leaves the budget alone.
func TestAbuseDetection(t *testing.T) {
	t.Parallel()
	gh := world(t)
	token := gh.AddClassicToken("alice", "repo")
	gh.Break("GET /user", githubtest.AbuseDetection(), githubtest.Times(1))
	_, resp, err := client(t, gh, token).Users.Get(t.Context(), "")
	var limited *github.AbuseRateLimitError
	if !errors.As(err, &limited) || resp.StatusCode != 403 || limited.Message !=
		"You have triggered an abuse detection mechanism. Please wait a few minutes before you try again." {
		t.Errorf("abuse detection: %v", err)
	}
	if resp.Header.Get("Retry-After") != "" ||
		resp.Rate != (github.Rate{Limit: 5000, Remaining: 4999, Reset: resp.Rate.Reset}) {
		t.Errorf("rate %v, header %v", resp.Rate, resp.Header)
	}
}
