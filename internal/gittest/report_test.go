package gittest_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// A server that fails at a push tells git so, with and without having done it, and only as often as it was
// told to.
func TestFailReport(t *testing.T) {
	t.Parallel()
	srv := gittest.Start(t)
	key := gittest.NewKey(t, gittest.ED25519)
	srv.Accounts().AddToken("tok", "alice", gittest.Write)
	srv.Accounts().AddKey(key.Public(), "alice", gittest.Write)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"a": "1"}))
	for name, c := range map[string]struct {
		client *gittest.Client
		url    string
	}{
		"https": {srv.Client(gittest.Credentials{Username: "alice", Password: "tok"}),
			srv.HTTPSURL("acme/fleet")},
		"ssh": {srv.Client(gittest.Credentials{Key: key}), srv.SSHURL("acme/fleet")},
	} {
		push := func(branch string) error {
			_, err := c.client.Git(t.Context(), repo.Dir(), "push", c.url, "main:refs/heads/"+branch)
			return err
		}
		fault := gittest.Fault{Kind: gittest.FailReport, Service: gittest.Push, Times: 1, Text: "failure",
			Words: "fatal error in commit_refs"}
		srv.Inject(fault)
		wantIn(t, stderrOf(t, push(name)), "remote: fatal error in commit_refs", "(failure)")
		if repo.Head(name) != "" {
			t.Errorf("%s: the failed push had an effect", name)
		}
		if err := push(name); err != nil || repo.Head(name) == "" {
			t.Errorf("%s: the next push: %v", name, err)
		}
		fault.Arrives = true
		srv.Inject(fault)
		wantIn(t, stderrOf(t, push(name+"-done")), "remote: fatal error in commit_refs", "(failure)")
		if repo.Head(name+"-done") == "" {
			t.Errorf("%s: the push that arrives had no effect", name)
		}
		srv.Inject(gittest.Fault{Kind: gittest.FailReport, Service: gittest.Push, Times: 1,
			Text: "unpacker error", Unpack: "index-pack abnormal exit"})
		wantIn(t, stderrOf(t, push(name+"-unpack")), "remote unpack failed: index-pack abnormal exit",
			"(unpacker error)")
	}
}
