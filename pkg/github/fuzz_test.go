package github_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// canned answers every request with the same.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: c.header.Clone(),
		Body: io.NopCloser(strings.NewReader(c.body)), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// Whatever a server answers: no panic, no endless loop, one class, and a text that is short, printable and
// without the token.
func FuzzAnswer(f *testing.F) {
	const token = "ghp_sentinel"
	f.Add(200, `{"name":"fleet","owner":{"login":"acme","type":"User"},"ssh_keys":["x"]}`, "repo",
		"contents=write; a", "required; url=https://x", "1", "0")
	f.Add(200, `[{"id":1,"key":"ssh-ed25519 AAAA","read_only":true,"type":"update"}]`, "", "", "", "", "")
	f.Add(403, `{"message":"Resource not accessible by integration","errors":["x",{"field":"a","code":"b"}]}`,
		"", "=;,", "partial-results", "Wed, 21 Oct 2099 07:28:00 GMT", "99999999999999")
	f.Add(422, `{"message":"ghp_sentinel \u001b[2J\u202e","errors":[{"message":"key is already in use"}]}`,
		"ghp_sentinel", "ghp_sentinel=x", "required; url=ghp_sentinel", "18446744073709551615", "-1")
	f.Add(200, "[{}]", "", "", "0", "", "2") // a list whose second page comes after its second page
	f.Add(301, "", "", "", "", "", "")
	f.Add(202, "{}", "", "", "", "", "")
	f.Add(451, `{"block":{"created_at":7}}`, "", "", "", "", "")
	f.Fuzz(func(t *testing.T, status int, body, scopes, permissions, sso, after, reset string) {
		if status < 200 || status > 599 {
			t.Skip("not a final answer")
		}
		header := http.Header{"X-Oauth-Scopes": {scopes}, "X-Accepted-Github-Permissions": {permissions},
			"X-Github-Sso": {sso}, "Retry-After": {after}, "X-Ratelimit-Reset": {reset},
			"X-Ratelimit-Remaining": {"0"}, "Location": {sso},
			"Link":                                   {`<https://x/?page=` + reset + `>; rel="next"`},
			"Github-Authentication-Token-Expiration": {reset}}
		client, err := github.New(github.Options{Token: secret.New(token),
			HTTPTransport: canned{status, header, body}, Clock: &fakeClock{now: time.Unix(1, 0)},
			Retry: github.RetryPolicy{Attempts: 2}})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		var errs []error
		collect := func(err error) { errs = append(errs, err) }
		_, err = client.Viewer(ctx)
		collect(err)
		_, err = client.Owner(ctx, "acme")
		collect(err)
		_, _, err = client.EnsureRepository(ctx, github.NewRepository{Ref: fleet(), Personal: status%2 == 0})
		collect(err)
		_, err = client.Protection(ctx, fleet(), "main")
		collect(err)
		_, err = client.EnsureDeployKey(ctx, fleet(),
			github.DeployKey{PublicKey: publicKey(t, "k"), Title: "t", Replace: true})
		collect(err)
		collect(client.DeleteDeployKey(ctx, fleet(), 7))
		_, err = client.HostKeys(ctx)
		collect(err)
		access, err := client.CheckAccess(ctx,
			github.AccessRequest{Ref: fleet(), Branch: "main", NeedDeployKey: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range access.Findings {
			checkText(t, token, finding.Message+finding.Hint.String()+finding.NeededPermission)
		}
		for _, err := range errs {
			if err == nil {
				continue
			}
			var e *github.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			checkText(t, token, err.Error())
			checkText(t, token, e.Hint().String()+e.Path+e.RequestID+e.NeededPermission+e.AcceptedPermissions+
				e.AcceptedScopes+e.SSOURL)
			matched := 0
			for _, class := range classes {
				if errors.Is(err, class) {
					matched++
				}
			}
			if matched != 1 {
				t.Fatalf("%v matches %d classes", err, matched)
			}
		}
	})
}

func checkText(t *testing.T, token, text string) {
	t.Helper()
	if strings.Contains(text, token) {
		t.Errorf("the token appears in %q", text)
	}
	if len([]rune(text)) > 4000 {
		t.Errorf("%d characters", len([]rune(text)))
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			t.Fatalf("%U in %q", r, text)
		}
	}
}
