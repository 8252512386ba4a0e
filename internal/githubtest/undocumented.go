package githubtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
)

// undocumented is an answer of GitHub's whose status its description of the operation does not list.
type undocumented struct {
	method, path string // as in the description; "" for any
	status       int
	message      string // the beginning of it
	reason       string // where GitHub says or does it all the same
}

// Pages of GitHub's documentation that hold for every operation.
const (
	practices       = "https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api"
	troubleshooting = "https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api"
	authentication  = "https://docs.github.com/rest/authentication/authenticating-to-the-rest-api"
	versioning      = "https://docs.github.com/rest/about-the-rest-api/api-versions"
	limits          = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
	repository      = "/repos/{owner}/{repo}"
)

// exceptions are all answers that are not documented with their operation. A test goes through them: each is
// given by some operation, and none is documented by all.
var exceptions = []undocumented{
	{status: 301, message: "Moved Permanently", reason: practices + "#follow-redirects"},
	{status: 307, message: "Temporary Redirect", reason: practices + "#follow-redirects"},
	{status: 304, reason: practices + "#use-conditional-requests-if-appropriate"},
	{status: 400, message: "Problems parsing JSON", reason: troubleshooting + "#invalid-json"},
	{status: 401, message: "Requires authentication", reason: authentication},
	{status: 403, message: "Resource not accessible by",
		reason: troubleshooting + "#resource-not-accessible"},
	{status: 403, message: "Resource protected by organization SAML enforcement.", reason: authentication},
	{status: 403, message: "Repository access blocked",
		reason: "https://github.com/PyGithub/PyGithub/issues/1015"},
	{status: 451, message: "Repository access blocked",
		reason: "https://github.com/github/rest-api-description/issues/3314"},
	{status: 404, message: "Not Found", reason: troubleshooting + "#404-not-found-for-an-existing-resource"},

	{method: "GET", path: repository + "/rules/branches/{branch}", status: 403, message: "Upgrade to GitHub",
		reason: "https://github.com/F-U-S-E-E/FuseDevelopmentGroup/issues/58"},
	{method: "GET", path: repository + "/branches/{branch}/protection", status: 403,
		message: "Upgrade to GitHub", reason: "https://github.com/iterative/cml/issues/1229"},
	{status: 403, message: "Repository was archived so is read-only.",
		reason: "https://docs.github.com/repositories/archiving-a-github-repository/archiving-repositories"},
}

func (u undocumented) covers(n description.Name, status int, message string) bool {
	return (u.method == "" || u.method == n.Method) && (u.path == "" || u.path == n.Path) &&
		u.status == status && strings.HasPrefix(message, u.message)
}

// checkAnswer holds an answer against the descriptions; injected faults are none of GitHub's.
func (s *Server) checkAnswer(c *call, status int, body []byte) {
	if c.route == nil || status == 0 {
		return
	}
	var e struct{ Message string }
	json.Unmarshal(body, &e) // a list has no message
	name := c.route.operation()
	var excused []undocumented
	problems := description.Agreed(c.operations(), func(o *description.Operation) []string {
		list := o.CheckResponse(status, c.header.Get("Content-Type"), body)
		if o.Documents(status) {
			return list
		}
		for _, u := range exceptions {
			if u.covers(name, status, e.Message) {
				excused = append(excused, u)
				return list
			}
		}
		return append(list, fmt.Sprintf("status %d (%s) is not documented", status, e.Message))
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.excused = append(s.excused, excused...)
	for _, p := range problems {
		s.mistakes = append(s.mistakes, Violation{name.Method + " " + name.Path, p})
	}
}
