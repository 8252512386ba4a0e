//go:build unix

package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
)

// Request is a request that may have changed the cluster.
type Request struct {
	User, UserAgent                                     string
	Verb, Group, Resource, Subresource, Namespace, Name string
	URI                                                 string // path and query
	// HTTP status; 0 when the API server died over it
	Code int
	Time time.Time // of its arrival
}

// String is one line: who did what, and with which result.
func (r Request) String() string {
	what := r.Resource
	if r.Group != "" {
		what += "." + r.Group
	}
	if r.Subresource != "" {
		what += "/" + r.Subresource
	}
	return fmt.Sprintf("%s %s %s %s (%d, %s)",
		r.User, r.Verb, what, strings.TrimPrefix(r.Namespace+"/"+r.Name, "/"), r.Code, r.UserAgent)
}

// Marker is a point in the life of a stack. The zero Marker is its beginning.
type Marker struct{ offset int64 }

// Mark returns the present as a Marker. Requests that were received before the
// call lie before it.
func (s *Stack) Mark(context.Context) (Marker, error) {
	info, err := os.Stat(s.auditLog())
	if os.IsNotExist(err) {
		return Marker{}, nil
	}
	if err != nil {
		return Marker{}, fmt.Errorf("looking at the audit log: %w", err)
	}
	return Marker{info.Size()}, nil
}

// MutatingRequests lists, in the order of their arrival, the requests of who
// that were meant to change something: who is the exact name of a user
// ("operator") or the beginning of a user agent ("eksa-gitops/"); "" is
// everybody but the control plane itself and kwok. Refused requests are
// listed, with their code; dry runs and reviews (SelfSubjectAccessReview,
// TokenReview and so on) are not, as they change nothing.
//
// The list is complete: the API server writes a request down before it works
// on it, and requests still worked on are waited for.
func (s *Stack) MutatingRequests(ctx context.Context, who string, since Marker) ([]Request, error) {
	for {
		events, err := readAudit(s.auditLog(), since)
		if err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		requests, unfinished := collect(events, who)
		if !unfinished || !s.apiServerAlive() {
			return requests, nil
		}
		if err := sleep.For(ctx, 5*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waiting for requests in progress: %w", err)
		}
	}
}

func (s *Stack) auditLog() string { return filepath.Join(s.dir, "audit", "audit.log") }

func (s *Stack) apiServerAlive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.api.alive()
}

// auditEvent is what is needed of an audit.k8s.io/v1 Event.
type auditEvent struct {
	AuditID    string `json:"auditID"`
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	UserAgent string `json:"userAgent"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestReceivedTimestamp time.Time `json:"requestReceivedTimestamp"`
}

// readAudit reads the whole lines after a marker. A last line without its end
// is still being written: its request has not been worked on. A first line
// without its beginning was being written when the marker was set: its request
// lies before it.
func readAudit(path string, since Marker) ([]auditEvent, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(since.offset, io.SeekStart); err != nil {
		return nil, err
	}
	var events []auditEvent
	lines := bufio.NewReader(file)
	for first := true; ; first = false {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		// A killed API server can leave a line cut short before the next one.
		start := bytes.LastIndex(line, []byte(`{"kind":"Event"`))
		if start < 0 && first && since.offset > 0 {
			continue
		}
		if start > 0 {
			line = line[start:]
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		events = append(events, event)
	}
}

// collect makes requests of events. unfinished says that one of them has no
// result yet.
func collect(events []auditEvent, who string) (requests []Request, unfinished bool) {
	codes := map[string]int{}
	for _, event := range events {
		if event.Stage == "ResponseComplete" || event.Stage == "Panic" {
			codes[event.AuditID] = event.ResponseStatus.Code
		}
	}
	for _, event := range events {
		if event.Stage != "RequestReceived" || !event.mutates() || !event.by(who) {
			continue
		}
		code, done := codes[event.AuditID]
		unfinished = unfinished || !done
		requests = append(requests, Request{
			User: event.User.Username, UserAgent: event.UserAgent,
			Verb: event.Verb, Group: event.ObjectRef.APIGroup, Resource: event.ObjectRef.Resource,
			Subresource: event.ObjectRef.Subresource, Namespace: event.ObjectRef.Namespace,
			Name: event.ObjectRef.Name, URI: event.RequestURI, Code: code,
			Time: event.RequestReceivedTimestamp,
		})
	}
	return requests, unfinished
}

func (e auditEvent) by(who string) bool {
	return who == "" || e.User.Username == who || strings.HasPrefix(e.UserAgent, who)
}

// mutates leaves out what cannot change the cluster.
func (e auditEvent) mutates() bool {
	if !slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb) {
		return false
	}
	if _, query, _ := strings.Cut(e.RequestURI, "?"); strings.Contains("&"+query, "&dryRun=") {
		return false
	}
	group := e.ObjectRef.APIGroup
	return group != "authorization.k8s.io" && group != "authentication.k8s.io"
}
