package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// Request is a request to the API.
type Request struct {
	Method string
	Path   string // without /api/v3, unescaped
	Query  string
	Status int    // as the client saw it; 0 when it saw none
	User   string // login, "app[bot]" for an App, "" for nobody
	Body   string
	Time   time.Time
}

// String is the method, the path and the status.
func (r Request) String() string { return fmt.Sprintf("%s %s %d", r.Method, r.Path, r.Status) }

func (r Request) mutates() bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	default:
		return false
	}
}

// Mark is a point in time to count from.
type Mark struct {
	requests int
	fetches  int
	pushes   int
}

// Activity is what happened between a Mark and now.
type Activity struct {
	Requests  []Request
	Mutations []Request // POST, PUT, PATCH and DELETE, whatever became of them
	Fetches   int       // Git sessions that sent a pack, over all repositories
	Pushes    int       // Git sessions in which a client sent commands
}

// Mark returns the present point in time.
func (s *Server) Mark() Mark {
	fetches, pushes := s.gitCounts()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Mark{len(s.requests), fetches, pushes}
}

// Since returns what happened after a Mark. Repositories removed meanwhile are not counted.
func (s *Server) Since(m Mark) Activity {
	fetches, pushes := s.gitCounts()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Activity{Requests: append([]Request(nil), s.requests[m.requests:]...), Fetches: fetches - m.fetches,
		Pushes: pushes - m.pushes}
	for _, r := range a.Requests {
		if r.mutates() {
			a.Mutations = append(a.Mutations, r)
		}
	}
	return a
}

func (s *Server) gitCounts() (fetches, pushes int) {
	for _, r := range s.git.Repos() {
		c := r.Counts()
		fetches += c.Fetches
		pushes += c.Pushes
	}
	return fetches, pushes
}

// Requests are all requests to the API so far.
func (s *Server) Requests() []Request { return s.Since(Mark{}).Requests }

// Mutations are all requests so far that would change something, whatever became of them.
func (s *Server) Mutations() []Request { return s.Since(Mark{}).Mutations }

// GitRepos are the repositories that have Git content, by name.
func (s *Server) GitRepos() []*gittest.Repo { return s.git.Repos() }

// Violation is a request that GitHub's documentation does not allow.
type Violation struct {
	Request string // method and path
	Problem string
}

// String is the request and the problem.
func (v Violation) String() string { return v.Request + ": " + v.Problem }

// TakeViolations returns the violations so far and forgets them, for a test that means them.
func (s *Server) TakeViolations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.violations
	s.violations = nil
	return v
}

// Verify fails the test when there were violations, or answers that GitHub does not give, which are mistakes
// of this server; it lists them.
func (s *Server) Verify(tb TB) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range []struct {
		what  string
		items []Violation
	}{{"requests that GitHub would not understand", s.violations},
		{"answers of the test server that GitHub does not give", s.mistakes}} {
		var lines []string
		for _, v := range list.items {
			if line := "  " + v.String(); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			tb.Errorf("%s:\n%s", list.what, strings.Join(lines, "\n"))
		}
	}
}
