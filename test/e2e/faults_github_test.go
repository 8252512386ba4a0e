package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// TestFaults_github: what goes wrong at GitHub's API while the deploy key is missing, so that there is
// something to read and something to write.
func TestFaults_github(t *testing.T) {
	w := newWorldIn(t, managed())
	const reading, writing = "GET /repos/alice/fleet", "POST /repos/*/*/keys"
	// at is a fault at a request.
	at := func(request string, effects ...githubtest.Effect) func(*testing.T, *world) func() {
		return func(_ *testing.T, w *world) func() {
			removeDeployKeys(w, "alice/fleet")
			return w.gh.Break(request, effects...)
		}
	}
	once := githubtest.Times(1)
	const (
		newOne  = "make a new one and export it"
		goOn    = "continue with: eksa-gitops create cluster -f mgmt.yaml"
		keyOp   = "registering a deploy key on alice/fleet: "
		readOp  = "reading repository alice/fleet: "
		invalid = `{"message":"Validation Failed","errors":[{"resource":"PublicKey","code":"custom","field":"key","message":"`
	)
	for _, f := range []fault{
		{name: "401", strike: at(reading, githubtest.Respond(401, `{"message":"Bad credentials"}`)), code: 4,
			writesNothing: true,
			tells: []string{readOp + "authentication refused (HTTP 401): Bad credentials", newOne,
				"nothing has been changed"}},
		{name: "401 half-way", strike: at(writing, githubtest.Respond(401, `{"message":"Bad credentials"}`)),
			code:  4,
			tells: []string{keyOp + "authentication refused (HTTP 401): Bad credentials", newOne, goOn}},
		{name: "403 permission", strike: at(writing, githubtest.RespondWith(403,
			http.Header{"X-Accepted-Github-Permissions": {"administration=write"}},
			`{"message":"Resource not accessible by personal access token"}`)),
			code:  4,
			tells: []string{keyOp + "permission denied (HTTP 403)", `needs "Administration: write"`, goOn}},
		{name: "403 single sign-on", strike: at(reading, githubtest.RespondWith(403, http.Header{
			"X-Github-Sso": {"required; url=https://github.com/orgs/acme/sso?authorization_request=x"}},
			`{"message":"Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization."}`)),
			code: 4, writesNothing: true, tells: []string{"single sign-on authorization missing (HTTP 403)",
				"https://github.com/orgs/acme/sso?authorization_request=x", "nothing has been changed"}},
		{name: "404 of what is there",
			strike: at("GET /repos/*/*/keys", githubtest.Respond(404, `{"message":"Not Found"}`), once),
			waits:  true, tells: []string{"GitHub does not show them yet; then try 2 of 6"}},
		{name: "409", strike: at(writing, githubtest.Respond(409, `{"message":"Conflict"}`), once),
			waits: true, tells: []string{keyOp + "conflict (HTTP 409)"}},
		{name: "422 policy", strike: at(writing,
			githubtest.Respond(422, invalid+`Deploy keys are disabled for this repository"}]}`)),
			code: 4, tells: []string{keyOp + "forbidden by policy (HTTP 422)",
				"an owner of the organization can allow deploy keys", goOn}},
		{name: "422 key in use",
			strike: at(writing, githubtest.Respond(422, invalid+`key is already in use"}]}`), once),
			waits:  true, tells: []string{keyOp + "conflict (HTTP 422)"}},
		{name: "429 with Retry-After",
			strike: at(writing, githubtest.SecondaryRateLimit(time.Second), githubtest.Status(429), once),
			waits:  true, tells: []string{"waiting 1.", keyOp + "rate limit exceeded (HTTP 429)"}},
		{name: "403 with Retry-After", strike: at(reading, githubtest.SecondaryRateLimit(time.Second), once),
			waits: true, tells: []string{"waiting 1.", readOp + "rate limit exceeded (HTTP 403)"}},
		{name: "429 with X-RateLimit-Reset",
			strike: at(reading, githubtest.PrimaryRateLimit(time.Second), githubtest.Status(429), once),
			waits:  true, tells: []string{readOp + "rate limit exceeded (HTTP 429)"}},
		{name: "403 with X-RateLimit-Reset",
			strike: at(writing, githubtest.PrimaryRateLimit(time.Second), once), waits: true,
			tells: []string{keyOp + "rate limit exceeded (HTTP 403)"}},
		{name: "a limit that ends too late", strike: at(reading, githubtest.PrimaryRateLimit(time.Hour)),
			code: 5, tells: []string{readOp + "rate limit exceeded (HTTP 403)",
				"run the same command again after ", goOn}},
		{name: "500", strike: at(reading, githubtest.Respond(500, ""), once), waits: true, tells: []string{
			readOp + "unavailable (HTTP 500): GitHub answers Internal Server Error; then try 2 of 6"}},
		{name: "502",
			strike: at(writing, githubtest.Respond(502, "<html>bad gateway</html>"), githubtest.Times(2)),
			waits:  true,
			tells:  []string{keyOp + "unavailable (HTTP 502): GitHub answers Bad Gateway; then try 3 of 6"}},
		{name: "503", strike: at("* /**", githubtest.Respond(503, `{"message":"Service unavailable"}`),
			githubtest.Times(2)),
			waits: true, tells: []string{"unavailable (HTTP 503): Service unavailable; then try 2 of 6"}},
		{name: "slow answer", strike: at(writing, githubtest.Latency(1500*time.Millisecond))},
		{name: "no answer", args: []string{"create", "cluster", "-f", "mgmt.yaml", "--on-gitops-failure=fail",
			"--timeout", "3s"},
			again:  []string{"create", "cluster", "-f", "mgmt.yaml"},
			strike: at(reading, githubtest.Latency(time.Hour)), code: 1, writesNothing: true, tells: []string{
				"checking the access to alice/fleet: no answer from GitHub yet: the time limit of 3s is over",
				"with a longer --timeout if need be"}},
		{name: "truncated answer to a read", strike: at(reading, githubtest.Truncate(), once), waits: true,
			tells: []string{readOp + "unavailable (HTTP 200): the answer was cut off"}},
		{name: "truncated answer to a write", strike: at(writing, githubtest.Truncate(), once), waits: true,
			tells: []string{keyOp + "unavailable (HTTP 201): the answer was cut off"}},
		{name: "closed connection", strike: at(reading, githubtest.CloseConnection(), once), waits: true,
			tells: []string{readOp + "unavailable: the connection was closed without an answer"}},
		{name: "lost reply", strike: at(writing, githubtest.LoseReply(), once), waits: true,
			tells: []string{keyOp + "unavailable: the connection was closed without an answer"}},
		{name: "redirect to another host", strike: at(reading, githubtest.RedirectTo("https://127.0.0.1:1/")),
			code: 5, tells: []string{"the API redirects to another host, 127.0.0.1:1, which is not " +
				"followed; the token was not sent there"}},
		{name: "unknown authority", strike: func(_ *testing.T, w *world) func() {
			file := w.env["EKSA_GITOPS_CA_FILE"]
			delete(w.env, "EKSA_GITOPS_CA_FILE")
			return func() { w.env["EKSA_GITOPS_CA_FILE"] = file }
		}, code: 3, writesNothing: true,
			tells: []string{"x509: certificate signed by unknown authority (certificate of CN=localhost, " +
				"issued by CN=gittest authority)", "--ca-file", "nothing has been changed"}},
	} {
		t.Run(f.name, func(t *testing.T) { f.try(t, w) })
	}
}
