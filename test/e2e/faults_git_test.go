package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// TestFaults_git: what goes wrong in Git while a changed cluster is pushed.
func TestFaults_git(t *testing.T) {
	w := newWorldIn(t, withDev())
	w.gh.SetPlan("alice", githubtest.PlanPaid) // for the protected branch
	repo := w.gh.Repo("alice/fleet")
	count := 1
	// changed makes a change of dev's file that is in the way of no earlier one.
	changed := func(strike func(*world) func()) func(*testing.T, *world) func() {
		return func(t *testing.T, w *world) func() {
			count++
			w.write("dev.yaml", spec(t, "dev.yaml", "count: 1 ", fmt.Sprintf("count: %d ", count)))
			return strike(w)
		}
	}
	inject := func(f gittest.Fault) func(*testing.T, *world) func() {
		return changed(func(w *world) func() { return w.gh.InjectGit(f) })
	}
	upgrade := []string{"upgrade", "cluster", "-f", "dev.yaml"}
	for _, f := range []fault{
		// The push has come to the server.
		{name: "hook refuses", code: 4, strike: changed(func(*world) func() {
			repo.Git().SetHook("pre-receive", "#!/bin/sh\necho 'Ticket missing: see wiki/push'\nexit 1\n")
			return func() { repo.Git().SetHook("pre-receive", "") }
		}), tells: []string{"the server refused the push to main: pre-receive hook declined: the server " +
			"says: Ticket missing: see wiki/push; nothing has been changed",
			"the server's own rule decides"}},
		{name: "protected branch", code: 4, writesNothing: true, strike: changed(func(*world) func() {
			repo.Protect("main",
				githubtest.Protection{RequirePullRequest: true, Approvals: 1, EnforceAdmins: true})
			return func() { repo.Unprotect("main") }
		}), tells: []string{"does not accept direct pushes: changes have to be made through a pull request",
			"nothing has been changed"}},
		{name: "lost race", strike: changed(func(w *world) func() {
			var once sync.Once
			w.gh.Around(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
						once.Do(func() {
							w.push(gittest.Change{Message: "Somebody was faster",
								Files: map[string]string{"README.md": "fast\n"}})
						})
					}
					next.ServeHTTP(answer, r)
				})
			})
			return func() { w.gh.Around(nil) }
		})},
		{name: "fetch is cut in the middle of the pack", waits: true, strike: inject(gittest.Fault{
			Kind: gittest.DropAfter, Service: gittest.Fetch, Bytes: 300, Times: 1}),
			tells: []string{"for the Git server: ", "; then try 2 of 5"}},
		{name: "push is cut in the middle of the pack", waits: true, strike: inject(gittest.Fault{
			Kind: gittest.DropAfter, Service: gittest.Push, Bytes: 300, Times: 1}),
			tells: []string{"for the Git server: ", "; then try 2 of 5"}},
		// The program looks whether its commit has arrived, and it has.
		{name: "lost reply to a push",
			strike: inject(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Times: 1})},
		{name: "server fails at the push", waits: true, strike: inject(gittest.Fault{Kind: gittest.FailReport,
			Service: gittest.Push, Times: 1, Text: "failure", Words: "fatal error in commit_refs"}),
			tells: []string{"the server could not take the push to main: failure; fatal error in " +
				"commit_refs; then try 2 of 5"}},
		// It has failed after it had moved the branch, which is seen.
		{name: "server fails after the push",
			strike: inject(gittest.Fault{Kind: gittest.FailReport, Service: gittest.Push, Times: 1,
				Text: "Internal Server Error", Words: "Internal Server Error", Arrives: true})},
		{name: "slow", strike: inject(gittest.Fault{Kind: gittest.Delay, Delay: time.Second})},
		{name: "garbage", code: 1, writesNothing: true, strike: inject(gittest.Fault{Kind: gittest.Garbage,
			Text: "<html>Please log in to the hotel's network</html>"}),
			tells: []string{"a web page (text/html; charset=utf-8) came back where Git was asked for; " +
				"nothing has been changed", "no proxy or log-in page answers in its place"}},
		{name: "token refused", code: 4, writesNothing: true,
			strike: inject(gittest.Fault{Kind: gittest.RejectAuth}),
			tells: []string{"the server does not accept the token",
				"not expired or revoked, and authorized for the organization", "nothing has been changed"}},
		{name: "no answer", code: 1, args: append(upgrade, "--timeout", "4s"), again: upgrade,
			writesNothing: true, strike: inject(gittest.Fault{Kind: gittest.Hang, Service: gittest.Fetch}),
			tells: []string{"reading the repository: " + w.gh.GitURL() +
				"alice/fleet.git: the time limit of 4s is over"}},
	} {
		if f.args == nil {
			f.args = upgrade
		}
		t.Run(f.name, func(t *testing.T) { f.try(t, w) })
	}
}
