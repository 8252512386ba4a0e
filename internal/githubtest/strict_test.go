package githubtest_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// recorder is a TB that keeps what Verify reports.
type recorder struct {
	*testing.T
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// send makes a request by hand; headers are name, value pairs on top of correct ones.
func send(t *testing.T, gh *githubtest.Server, token, method, url, body string,
	headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "strict-test")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "token "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := gh.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet")
	token := gh.AddClassicToken("alice", "repo")
	for name, tc := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		violation          string
	}{
		"unknown path": {"GET", "repos/acme/fleet/stargazers", "", nil, 404, "unknown path"},
		"unknown method": {"PUT", "repos/acme/fleet", "", nil, 404,
			"unknown method; the path knows GET, PATCH"},
		"no accept": {"GET", "user", "", []string{"Accept", ""}, 200,
			"no Accept header, want application/vnd.github+json"},
		"wrong accept": {"GET", "user", "", []string{"Accept", "text/html"}, 200,
			`Accept "text/html", want application/vnd.github+json`},
		"no user agent": {"GET", "user", "", []string{"User-Agent", ""}, 403, "no User-Agent header"},
		"default agent": {"GET", "user", "", []string{"User-Agent", "Go-http-client/1.1"}, 200,
			`User-Agent "Go-http-client/1.1" does not name the program`},
		"version": {"GET", "user", "", []string{"X-GitHub-Api-Version", "2001-01-01"}, 400,
			`X-GitHub-Api-Version "2001-01-01" is not supported`},
		"query":   {"GET", "repos/acme/fleet?per_page=1", "", nil, 200, `unknown query parameter "per_page"`},
		"field":   {"POST", "user/repos", `{"name":"a","privat":true}`, nil, 201, `unknown field "privat"`},
		"type":    {"POST", "user/repos", `{"name":7}`, nil, 422, `field "name" is no string`},
		"missing": {"POST", "user/repos", `{"private":true}`, nil, 422, `missing field "name"`},
		"no json": {"POST", "user/repos", `name=a`, nil, 400,
			"body is no JSON object: invalid character 'a' in literal null (expecting 'u')"},
		"content type": {"POST", "user/repos", `{"name":"b"}`, []string{"Content-Type", "text/plain"}, 201,
			`Content-Type "text/plain", want application/json`},
		"body where no one": {"GET", "user", `{"x":1}`, nil, 200, "unexpected body"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, text := send(t, gh, token, tc.method, gh.APIURL()+tc.path, tc.body, tc.headers...)
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tc.status, text)
			}
			path, _, _ := strings.Cut(tc.path, "?")
			want := githubtest.Violation{Request: tc.method + " /" + path, Problem: tc.violation}
			if got := gh.TakeViolations(); !slices.Equal(got, []githubtest.Violation{want}) {
				t.Errorf("violations %q, want %q", got, want)
			}
		})
	}
	send(t, gh, token, "GET", gh.APIURL()+"nothing", "")
	r := &recorder{T: t}
	gh.Verify(r)
	if want := []string{"requests that GitHub would not understand:\n" +
		"  GET /nothing: unknown path"}; !slices.Equal(r.errors, want) {
		t.Errorf("verify %q", r.errors)
	}
	gh.TakeViolations()
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	gh := world(t)
	gh.AddRepo("acme/fleet", githubtest.Public())
	token := gh.AddClassicToken("alice", "repo")
	for _, base := range []string{gh.APIURL(), gh.RootAPIURL()} {
		resp, text := send(t, gh, token, "GET", base+"repos/acme/fleet", "")
		if !strings.Contains(text, `"url":"`+base+`repos/acme/fleet"`) {
			t.Errorf("urls do not begin with %s: %s", base, text)
		}
		for name, want := range map[string]string{
			"X-GitHub-Media-Type": "github.v3; format=json", "X-GitHub-Api-Version-Selected": "2022-11-28",
			"X-RateLimit-Resource": "core", "X-Accepted-OAuth-Scopes": "repo",
			"Content-Type": "application/json; charset=utf-8",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if resp.Header.Get("X-GitHub-Request-Id") == "" {
			t.Error("no request id")
		}
		again, text := send(t, gh, token, "GET", base+"repos/acme/fleet", "", "If-None-Match",
			resp.Header.Get("ETag"))
		if again.StatusCode != 304 || text != "" ||
			again.Header.Get("X-RateLimit-Used") != resp.Header.Get("X-RateLimit-Used") {
			t.Errorf("not modified: %d %q, used %s",
				again.StatusCode, text, again.Header.Get("X-RateLimit-Used"))
		}
	}
	head, text := send(t, gh, token, "HEAD", gh.APIURL()+"users/alice", "")
	if head.StatusCode != 200 || text != "" || head.Header.Get("X-OAuth-Scopes") != "repo" {
		t.Errorf("HEAD: %d %q", head.StatusCode, text)
	}
	anonymous, _ := send(t, gh, "", "GET", gh.APIURL()+"repos/acme/fleet", "")
	if anonymous.StatusCode != 200 {
		t.Errorf("anonymous: %d", anonymous.StatusCode)
	}
	_, text = send(t, gh, "bad", "GET", gh.APIURL()+"user", "")
	if want := `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}` +
		"\n"; text != want {
		t.Errorf("error body %s", text)
	}
}
