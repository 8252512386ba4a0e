package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// moment is when a gate strikes, seen from the write.
type moment int

const (
	never  moment = iota
	before        // the write is held and then dropped
	late          // the write is held and then done
	after         // the write is done and its answer held
	lost          // the write is done and its answer lost, nobody is held
)

// gate counts the external writes of the program, at GitHub, in Git and in the cluster, in the order of their
// arrival, and strikes at one of them.
type gate struct {
	mu     sync.Mutex
	writes []string
	strike int // the number of the write, from 1
	when   moment

	held    chan struct{} // closed when the write is held, or its answer
	release chan struct{} // closed to let go of it
}

// newGate puts a gate in front of the servers of a world.
func newGate(w *world) *gate {
	w.t.Helper()
	return newGateBefore(w, func(next http.Handler) http.Handler { return next })
}

// newGateBefore is newGate with something between the gate and the API server.
func newGateBefore(w *world, behind func(http.Handler) http.Handler) *gate {
	w.t.Helper()
	g := &gate{}
	g.arm(0, never)
	w.gh.Around(func(next http.Handler) http.Handler { return g.around("", next) })
	if w.gitServer != nil {
		for _, repo := range w.gitServer.Repos() {
			g.hook(w, repo)
		}
	}
	w.env["KUBECONFIG"] = w.proxy(func(next http.Handler) http.Handler {
		return g.around("kubernetes ", behind(next))
	})
	w.t.Cleanup(g.letGo) // before the proxy ends
	return g
}

// The hook of a repository that asks the gate: for leave before references are changed, and to answer after
// that. When the answer is to be lost, the whole session is cut.
const gateHook = `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/%d && echo %s >&3 && read -r answer <&3 || exit 1
case $answer in
go) exit 0 ;;
cut) kill -KILL $PPID ;;
esac
exit 1
`

// hook puts the gate into a repository that is served over SSH, where nothing but Git itself can tell a push
// from a fetch.
func (g *gate) hook(w *world, repo *gittest.Repo) {
	w.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				defer conn.Close() // the hook has its answer
				question, err := bufio.NewReader(conn).ReadString('\n')
				if err == nil {
					_, _ = io.WriteString(conn, g.push(strings.TrimSpace(question), repo.Name())+"\n")
				}
			})
		}
	})
	w.t.Cleanup(func() {
		g.letGo()
		listener.Close() // nobody asks any more
		sessions.Wait()
	})
	for _, name := range []string{"pre-receive", "post-receive"} {
		repo.SetHook(name, fmt.Sprintf(gateHook, listener.Addr().(*net.TCPAddr).Port, name))
	}
}

// push answers a hook.
func (g *gate) push(hook, repo string) string {
	if hook == "pre-receive" {
		when, held, release := g.count("push to " + repo)
		if when != before && when != late {
			return "go"
		}
		close(held)
		<-release
		if when == late {
			return "go"
		}
		return "no"
	}
	g.mu.Lock()
	when, held, release := never, g.held, g.release
	if len(g.writes) == g.strike && strings.HasPrefix(g.writes[g.strike-1], "push to ") {
		when = g.when
	}
	g.mu.Unlock()
	switch when {
	case after:
		close(held)
		<-release
	case lost:
		close(held)
		return "cut"
	}
	return "go"
}

// hold starts the program and waits until the write comes at which the gate is armed. How the run ends is
// told when it does.
func (g *gate) hold(w *world, args []string) (p *process, ended <-chan outcome) {
	w.t.Helper()
	p = w.start(args...)
	end := make(chan outcome, 1)
	go func() { end <- p.wait() }()
	select {
	case <-g.held:
	case out := <-end:
		w.t.Fatalf("the run ended before the write, with exit code %d\n%s%s",
			out.code, out.stdout, out.stderr)
	case <-time.After(2 * time.Minute):
		w.t.Fatal("the write does not come")
	}
	return p, end
}

// arm forgets all writes and says at which one to strike next.
func (g *gate) arm(strike int, when moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes, g.strike, g.when = nil, strike, when
	g.held, g.release = make(chan struct{}), make(chan struct{})
}

// letGo lets go of what is held, and holds nothing any more.
func (g *gate) letGo() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.when != never {
		g.when = never
		close(g.release)
	}
}

// seen are the writes since arm.
func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.writes...)
}

// isWrite says whether a request may change something: at GitHub, what is not a read, of Git's requests the
// push, in the cluster what is neither a dry run nor a review.
func isWrite(r *http.Request) bool {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions:
		return false
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
		return false
	case r.URL.Query().Has("dryRun"):
		return false
	case strings.HasPrefix(r.URL.Path, "/apis/authorization.k8s.io/"),
		strings.HasPrefix(r.URL.Path, "/apis/authentication.k8s.io/"):
		return false
	}
	return true
}

// count counts a write and says when to strike at it.
func (g *gate) count(write string) (when moment, held, release chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = append(g.writes, write)
	if len(g.writes) == g.strike {
		when = g.when
	}
	return when, g.held, g.release
}

func (g *gate) around(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isWrite(r) || !strings.HasPrefix(strings.TrimPrefix(r.UserAgent(), "git/"), userAgent) {
			next.ServeHTTP(w, r)
			return
		}
		when, held, release := g.count(name + r.Method + " " + r.URL.Path)
		if when == never {
			next.ServeHTTP(w, r)
			return
		}
		if when == before || when == late {
			close(held)
			<-release
			if when == late {
				next.ServeHTTP(w, r)
				return
			}
			panic(http.ErrAbortHandler)
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		close(held)
		if when == lost {
			panic(http.ErrAbortHandler)
		}
		<-release
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}
