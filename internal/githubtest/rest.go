package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

const (
	enterprisePrefix  = "/api/v3"
	enterpriseVersion = "3.19.1"

	docs                = "https://docs.github.com/rest"
	primaryLimitMessage = "API rate limit exceeded for user ID 1. If you reach out to GitHub Support for " +
		"help, please include the request ID."
	primaryLimitDoc = docs + "/overview/rate-limits-for-the-rest-api"
)

// call is one request to one endpoint.
type call struct {
	s *Server
	r *http.Request

	enterprise bool   // asked as an enterprise server, not as github.com
	version    string // of the API

	route  *route
	base   string // URL of the API as this client sees it, without a final slash
	path   string // without the base, unescaped
	params map[string]string
	query  url.Values
	raw    []byte
	body   map[string]any
	actor  actor
	header http.Header
}

// reply is an answer; a body that is a string is sent as it is.
type reply struct {
	status int
	body   any
}

// apiError is one entry of the errors array.
type apiError struct {
	Resource string `json:"resource,omitempty"`
	Code     string `json:"code,omitempty"`
	Field    string `json:"field,omitempty"`
	Message  string `json:"message,omitempty"`
}

type errorReply struct {
	Message string     `json:"message"`
	Errors  []apiError `json:"errors,omitempty"`
	Doc     string     `json:"documentation_url"`
	Status  string     `json:"status"`
}

func failure(status int, message, doc string, errs ...apiError) reply {
	if doc == "" {
		doc = docs
	}
	return reply{status, errorReply{message, errs, doc, strconv.Itoa(status)}}
}

func errorBody(status int, message, doc string) string {
	text, err := json.Marshal(failure(status, message, doc).body)
	if err != nil {
		return message
	}
	return string(text)
}

// fail answers with the endpoint's own page of documentation.
func (c *call) fail(status int, message string, errs ...apiError) *reply {
	doc := docs
	if c.route != nil && c.route.doc != "" {
		doc += "/" + c.route.doc
	}
	r := failure(status, message, doc, errs...)
	return &r
}

func (c *call) notFound() *reply { return c.fail(http.StatusNotFound, "Not Found") }

func (c *call) invalid(errs ...apiError) *reply {
	return c.fail(http.StatusUnprocessableEntity, "Validation Failed", errs...)
}

// violate records what is wrong with the request. The mutex is held.
func (c *call) violate(format string, args ...any) {
	c.s.violations = append(c.s.violations,
		Violation{c.r.Method + " " + c.path, fmt.Sprintf(format, args...)})
}

// serveAPI answers a request to the API, through the faults that are switched on.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	escaped, enterprise := strings.CutPrefix(r.URL.EscapedPath(), enterprisePrefix+"/")
	c := &call{s: s, r: r, enterprise: enterprise, base: "https://" + r.Host, header: http.Header{},
		query: r.URL.Query()}
	if r.TLS == nil { // by way of Handler
		c.base = "http://" + r.Host
	}
	if enterprise {
		escaped, c.base = "/"+escaped, c.base+enterprisePrefix
	}
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, seg := range segments {
		if plain, err := url.PathUnescape(seg); err == nil {
			segments[i] = plain
		}
	}
	c.path = "/" + strings.Join(segments, "/")
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		gittest.Abort(w)
	}
	c.raw = raw

	fault := s.strike(r.Method, c.path)
	if fault != nil && fault.latency > 0 {
		timer := time.NewTimer(fault.latency)
		select {
		case <-timer.C:
		case <-fault.off:
		case <-r.Context().Done():
		}
		timer.Stop()
	}
	status, body := c.answer(segments, fault)
	s.checkAnswer(c, status, body)
	lost := fault != nil && (fault.close || fault.lose)
	s.record(c, status, lost)
	if lost {
		gittest.Abort(w)
	}
	for name, values := range c.header {
		w.Header()[name] = values
	}
	if fault != nil && fault.truncate {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		w.Write(body[:len(body)/2]) // it is cut anyway
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified {
		w.Write(body) // the client may be gone
	}
}

func (s *Server) record(c *call, status int, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lost {
		status = 0
	}
	s.requests = append(s.requests, Request{
		Method: c.r.Method, Path: c.path, Query: c.r.URL.RawQuery, Status: status, User: c.actor.login(),
		Body: string(c.raw), Time: s.now(),
	})
}

// answer gives the status and the body; headers go to c.header.
func (c *call) answer(segments []string, fault *apiFault) (int, []byte) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.header.Set("Server", "GitHub.com")
	c.header.Set("Content-Type", "application/json; charset=utf-8")
	c.header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	if c.enterprise {
		c.header.Set("X-GitHub-Enterprise-Version", enterpriseVersion)
	}
	unsupported := c.selectVersion()
	c.header.Set("X-GitHub-Request-Id",
		fmt.Sprintf("%04X:%06X:%06X", 0x1000+len(s.requests), s.id(), s.now().Unix()&0xffffff))
	known := c.authenticate()
	s.spend(c)
	if fault != nil && fault.close {
		return 0, nil
	}
	if fault != nil && fault.respond != nil {
		status, body := fault.respond(s, c.header)
		if fault.status != 0 {
			status = fault.status
		}
		return status, []byte(body)
	}
	r := c.checkHeaders()
	if r == nil {
		r = unsupported
	}
	if r == nil && !known {
		r = c.fail(http.StatusUnauthorized, "Bad credentials")
	}
	if r == nil && c.actor.user != nil && c.actor.user.suspended {
		r = c.fail(http.StatusForbidden, suspendedMessage)
	}
	if r == nil {
		r = c.limited()
	}
	if r == nil {
		r = c.dispatch(segments)
	}
	return c.encode(r)
}

// encode writes an answer's body and gives reads an entity tag.
func (c *call) encode(r *reply) (int, []byte) {
	if text, ok := r.body.(string); ok {
		return r.status, []byte(text)
	}
	if r.body == nil {
		c.header.Del("Content-Type")
		return r.status, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r.body); err != nil {
		return http.StatusInternalServerError, []byte(err.Error())
	}
	if r.status == http.StatusOK && (c.r.Method == http.MethodGet || c.r.Method == http.MethodHead) {
		sum := sha256.Sum256(b.Bytes())
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		c.header.Set("ETag", tag)
		c.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		if c.r.Header.Get("If-None-Match") == tag {
			c.s.refund(c)
			return http.StatusNotModified, nil
		}
	}
	return r.status, b.Bytes()
}

// authenticate finds out who sends the request, and returns false when the credentials are no good.
func (c *call) authenticate() bool {
	value, found := "", false
	if scheme, rest, ok := strings.Cut(c.r.Header.Get("Authorization"), " "); ok {
		switch strings.ToLower(scheme) {
		case "bearer", "token":
			value, found = strings.TrimSpace(rest), true
		case "basic":
			_, value, found = c.r.BasicAuth()
		}
	}
	if !found {
		return c.r.Header.Get("Authorization") == ""
	}
	t := c.s.lookup(value)
	if t == nil {
		return false
	}
	c.actor = actor{t.user, t}
	if t.kind == classic {
		c.header.Set("X-OAuth-Scopes", strings.Join(t.scopes, ", "))
	}
	if !t.expires.IsZero() && t.kind != installation {
		c.header["Github-Authentication-Token-Expiration"] =
			[]string{t.expires.UTC().Format("2006-01-02 15:04:05 UTC")}
	}
	return true
}

// A media type of GitHub's, with or without a version, a preview's name and a format, or plain JSON.
var acceptable = regexp.MustCompile(`^application/(json|vnd\.github(\.[a-z0-9-]+)*(\+(json|raw))?)$`)

// checkHeaders records what is wrong with the request's headers and answers where GitHub would not go on.
func (c *call) checkHeaders() *reply {
	switch agent := c.r.UserAgent(); {
	case agent == "":
		c.violate("no User-Agent header")
		return &reply{http.StatusForbidden, "Request forbidden by administrative rules. Please make sure " +
			"your request has a User-Agent header " +
			"(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). " +
			"Check https://developer.github.com for other possible causes."}
	case strings.HasPrefix(agent, "Go-http-client/"):
		c.violate("User-Agent %q does not name the program", agent)
	}
	accept := c.r.Header.Get("Accept")
	if accept == "" {
		c.violate("no Accept header, want application/vnd.github+json")
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, _, err := mime.ParseMediaType(part)
		if accept != "" && (err != nil || !acceptable.MatchString(media)) {
			c.violate("Accept %q, want application/vnd.github+json", accept)
			break
		}
	}
	if len(c.raw) > 0 {
		media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
		if err != nil || media != "application/json" {
			c.violate("Content-Type %q, want application/json", c.r.Header.Get("Content-Type"))
		}
	}
	return nil
}

// dispatch finds the endpoint and calls it.
func (c *call) dispatch(segments []string) *reply {
	if len(segments) >= 2 && segments[0] == "repositories" {
		// The address that a renamed repository redirects to.
		for _, r := range c.s.repos {
			if strconv.FormatInt(r.id, 10) == segments[1] {
				segments = append([]string{"repos", r.owner.login, r.name}, segments[2:]...)
				break
			}
		}
	}
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range c.s.routes {
		route := &c.s.routes[i]
		params, ok := route.match(segments)
		if !ok {
			continue
		}
		if route.method != method {
			allowed = append(allowed, route.method)
			continue
		}
		c.route, c.params = route, params
		return c.handle()
	}
	if len(allowed) > 0 {
		c.violate("unknown method; the path knows %s", strings.Join(allowed, ", "))
	} else {
		c.violate("unknown path")
	}
	return c.notFound()
}

func (c *call) handle() *reply {
	if c.actor.token != nil {
		if c.actor.token.kind == classic {
			c.header.Set("X-Accepted-OAuth-Scopes", c.route.scopes)
		} else if c.route.permission != "" {
			c.header.Set("X-Accepted-GitHub-Permissions", c.route.permission)
		}
	}
	if r := c.decode(); r != nil {
		return r
	}
	if c.route.login && c.actor.token == nil {
		return c.fail(http.StatusUnauthorized, "Requires authentication")
	}
	return c.route.handle(c)
}

// operations are the descriptions that the request and its answer are held against: github.com's, or those of
// all enterprise servers.
func (c *call) operations() []*description.Operation {
	if c.enterprise {
		return description.Enterprise(c.route.operation())
	}
	return description.Cloud(c.version, c.route.operation())
}

// decode reads the JSON body and checks the request against the descriptions. The newest server decides what
// becomes of it.
func (c *call) decode() *reply {
	var last []description.Problem
	for _, text := range description.Agreed(c.operations(), func(o *description.Operation) (texts []string) {
		c.body, last = o.CheckRequest(c.r, c.params, c.raw)
		for _, p := range last {
			texts = append(texts, p.Text)
		}
		return texts
	}) {
		c.violate("%s", text)
	}
	for _, p := range last {
		if p.Status != 0 {
			return c.fail(p.Status, p.Message)
		}
	}
	return nil
}

func (c *call) text(name string) string {
	s, _ := c.body[name].(string)
	return s
}

func (c *call) flag(name string, otherwise bool) bool {
	if b, ok := c.body[name].(bool); ok {
		return b
	}
	return otherwise
}

// page cuts a list to the page asked for and sets the Link header.
func page[T any](c *call, all []T) *reply {
	number := func(name string, otherwise, limit int) int {
		n, err := strconv.Atoi(c.query.Get(name))
		if err != nil || n < 1 {
			return otherwise
		}
		return min(n, limit)
	}
	size, n := number("per_page", 30, 100), number("page", 1, 1<<20)
	last := max(1, (len(all)+size-1)/size)
	link := func(p int, rel string) string {
		q := c.r.URL.Query()
		q.Set("page", strconv.Itoa(p))
		return fmt.Sprintf(`<%s%s?%s>; rel="%s"`,
			c.base, (&url.URL{Path: c.path}).EscapedPath(), q.Encode(), rel)
	}
	var links []string
	if n > 1 {
		links = append(links, link(min(n-1, last), "prev"))
	}
	if n < last {
		links = append(links, link(n+1, "next"), link(last, "last"))
	}
	if n > 1 {
		links = append(links, link(1, "first"))
	}
	if len(links) > 0 {
		c.header.Add("Link", strings.Join(links, ", "))
	}
	from := min((n-1)*size, len(all))
	items := all[from:min(from+size, len(all))]
	if items == nil {
		items = []T{}
	}
	return &reply{http.StatusOK, items}
}
