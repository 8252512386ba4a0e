package githubtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// apiFault is a fault in the API that is switched on.
type apiFault struct {
	method  string // * for any
	path    string
	skip    int
	times   int
	seen    int
	latency time.Duration
	off     chan struct{}

	status   int                                                  // in place of that of respond
	respond  func(*Server, http.Header) (status int, body string) // in place of the effect
	close    bool
	lose     bool
	truncate bool
}

// Effect is what a fault does, or when.
type Effect func(*apiFault)

// Skip leaves the first n matching requests alone.
func Skip(n int) Effect { return func(f *apiFault) { f.skip = n } }

// Times strikes n requests; without it, all.
func Times(n int) Effect { return func(f *apiFault) { f.times = n } }

// Respond answers with a status and a body, without the request having an effect.
func Respond(status int, body string) Effect { return RespondWith(status, nil, body) }

// RespondWith is Respond with headers.
func RespondWith(status int, header http.Header, body string) Effect {
	return func(f *apiFault) {
		f.respond = func(_ *Server, h http.Header) (int, string) {
			for name, values := range header {
				h[name] = values
			}
			return status, body
		}
	}
}

// Status changes the status of an effect that answers: GitHub's limits come with 403 or 429.
func Status(status int) Effect { return func(f *apiFault) { f.status = status } }

// RedirectTo answers with 307 and another place, which may be on another host.
func RedirectTo(url string) Effect {
	return RespondWith(http.StatusTemporaryRedirect, http.Header{"Location": {url}},
		`{"message":"Temporary Redirect","url":"`+url+`","documentation_url":"https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"}`)
}

// CloseConnection drops the connection without an answer and without the request having an effect.
func CloseConnection() Effect { return func(f *apiFault) { f.close = true } }

// LoseReply lets the request have its effect and then drops the connection.
func LoseReply() Effect { return func(f *apiFault) { f.lose = true } }

// Truncate lets the request have its effect and sends half of the answer's body.
func Truncate() Effect { return func(f *apiFault) { f.truncate = true } }

// Latency delays the request before anything else. It ends early when the fault is switched off.
func Latency(d time.Duration) Effect { return func(f *apiFault) { f.latency = d } }

// PrimaryRateLimit answers as when the hour's budget is used up, until reset from now. Nothing is counted.
func PrimaryRateLimit(reset time.Duration) Effect {
	return func(f *apiFault) {
		f.respond = func(s *Server, h http.Header) (int, string) {
			h.Set("X-RateLimit-Remaining", "0")
			h.Set("X-RateLimit-Used", h.Get("X-RateLimit-Limit"))
			h.Set("X-RateLimit-Reset", strconv.FormatInt(s.now().Add(reset).Unix(), 10))
			return http.StatusForbidden, errorBody(http.StatusForbidden, primaryLimitMessage, primaryLimitDoc)
		}
	}
}

// SecondaryRateLimit answers as when requests come too fast, with a Retry-After in whole seconds. The address
// of the documentation in the answer is the present one, by which older clients, such as go-github v53, do
// not recognise the limit.
func SecondaryRateLimit(retryAfter time.Duration) Effect {
	return func(f *apiFault) {
		f.respond = func(_ *Server, h http.Header) (int, string) {
			h.Set("Retry-After", strconv.Itoa(int(retryAfter.Round(time.Second)/time.Second)))
			return http.StatusForbidden, errorBody(http.StatusForbidden,
				"You have exceeded a secondary rate limit. Please wait a few minutes before you try "+
					"again. If you reach out to GitHub Support for help, please include the request ID.",
				primaryLimitDoc+"#about-secondary-rate-limits")
		}
	}
}

// AbuseDetection answers with the older form of SecondaryRateLimit, which comes without a Retry-After and
// with most of the budget left.
func AbuseDetection() Effect {
	return func(f *apiFault) {
		f.respond = func(*Server, http.Header) (int, string) {
			return http.StatusForbidden, errorBody(http.StatusForbidden, "You have triggered an "+
				"abuse detection mechanism. Please wait a few minutes before you try again.",
				docs+"/overview/resources-in-the-rest-api#abuse-rate-limits")
		}
	}
}

// Break switches a fault on until the returned function is called. The pattern is a method, or *, and a path
// without /api/v3, in which
// * is one segment and a final ** any rest: "POST /repos/*/*/keys". Faults switched on first strike first,
// one a request.
func (s *Server) Break(pattern string, effects ...Effect) (off func()) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		s.misuse("%q is no pattern: want METHOD /PATH", pattern)
	}
	f := &apiFault{method: method, path: path, off: make(chan struct{})}
	for _, e := range effects {
		e(f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, other := range s.faults {
			if other == f {
				close(f.off)
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
				return
			}
		}
	}
}

// Faulty says whether a fault is switched on, of the API or of Git, whether it has struck or not.
func (s *Server) Faulty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults) > 0 || s.git.Faulty()
}

// strike returns the fault that strikes a request, nil when none does.
func (s *Server) strike(method, path string) *apiFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if (f.method != "*" && f.method != method) || !pathMatches(f.path, path) {
			continue
		}
		f.seen++
		if f.seen > f.skip && (f.times == 0 || f.seen <= f.skip+f.times) {
			return f
		}
	}
	return nil
}

// pathMatches matches a path, segment by segment and regardless of case, since names on GitHub are.
func pathMatches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i, w := range want {
		if w == "**" {
			return true
		}
		if i >= len(have) || (w != "*" && !strings.EqualFold(w, have[i])) {
			return false
		}
	}
	return len(want) == len(have)
}
