package gitrepo_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Two pushers: the slower one is told, nothing of the faster one's is lost, and on the new tip it succeeds.
func TestPush_lostRace(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		slow := mustFetch(t, f.remote(repoName), "main")
		commit := mustCommit(t, slow, write("slow", "1\n"))
		theirs := repo.Commit(gittest.Change{Files: map[string]string{"fast": "1\n"}})
		conflict := asError[*git.ConflictError](t, slow.Push(t.Context(), commit))
		if conflict.Actual != theirs || conflict.Expected != slow.Head() {
			t.Errorf("conflict is %+v", conflict)
		}
		again := mustFetch(t, f.remote(repoName), "main")
		if err := again.Push(t.Context(), mustCommit(t, again, write("slow", "1\n"))); err != nil {
			t.Fatal(err)
		}
		equalFiles(t, repo.Files("main"),
			map[string]string{"README.md": "hello\n", "fast": "1\n", "slow": "1\n"})
	})
}

// The first push into an empty repository is a race of its own: the branch must not exist.
func TestPush_lostRaceForFirstCommit(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName)
		slow := mustFetch(t, f.remote(repoName), "main")
		commit := mustCommit(t, slow, write("slow", "1\n"))
		repo.Commit(gittest.Change{Files: map[string]string{"fast": "1\n"}})
		asError[*git.ConflictError](t, slow.Push(t.Context(), commit))
	})
}

// The race is lost inside the server, after it has shown the old tip: its words mean a conflict.
func TestPush_raceInsideServer(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		s := mustFetch(t, f.remote(repoName), "main")
		other := repo.Commit(gittest.Change{Branch: "other", Files: map[string]string{"fast": "1\n"}})
		repo.SetHook("pre-receive",
			"#!/bin/sh\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/main "+other+"\n")
		asError[*git.ConflictError](t, s.Push(t.Context(), mustCommit(t, s, write("slow", "1\n"))))
		if got := repo.Head("main"); got != other {
			t.Errorf("main is at %s, want %s", got, other)
		}
	})
}

// Many pushers at once, each for its own file: all arrive.
func TestPush_manyAtOnce(t *testing.T) {
	t.Parallel()
	const pushers = 6
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		var wg sync.WaitGroup
		for n := range pushers {
			remote := f.remote(repoName)
			wg.Go(func() {
				for range 50 {
					s, err := gitrepo.Fetch(t.Context(), remote, "main")
					if err != nil {
						t.Error(err)
						return
					}
					c, err := s.Commit([]git.Edit{write(fmt.Sprintf("clusters/c%d/x", n), "1\n")},
						options("x"))
					if err == nil {
						err = s.Push(t.Context(), c)
					}
					s.Close()
					if _, lost := errors.AsType[*git.ConflictError](err); lost {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					return
				}
				t.Error("never won")
			})
		}
		wg.Wait()
		if files := repo.Files("main"); len(files) != pushers+1 {
			t.Errorf("files are %v", files)
		}
		repo.Git("fsck", "--strict")
	})
}

// The push arrives and its answer does not: that is success, and nothing is pushed twice.
func TestPush_lostReply(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		f.srv.Inject(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Times: 1})
		s := mustFetch(t, f.remote(repoName), "main")
		commit := mustCommit(t, s, write("a", "1\n"))
		if err := s.Push(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		if err := s.Push(t.Context(), commit); err != nil {
			t.Fatalf("pushing again: %v", err)
		}
		if repo.Head("main") != commit.Hash() || repo.Counts().Pushes != 1 {
			t.Errorf("main is at %s after %d pushes", repo.Head("main"), repo.Counts().Pushes)
		}
	})
}

// The connection breaks in the middle of the pack: nothing has arrived, trying again is safe and works.
func TestPush_cutInTheMiddle(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		f.srv.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Push, Bytes: 200, Times: 1})
		s := mustFetch(t, f.remote(repoName), "main")
		commit := mustCommit(t, s, write("a", strings.Repeat("0123456789abcdef", 400)+"\n"))
		err := s.Push(t.Context(), commit)
		if !errors.Is(err, git.ErrTransient) {
			t.Fatalf("error is %v, want a transient one", err)
		}
		if err := s.Push(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		if repo.Head("main") != commit.Hash() {
			t.Error("the commit has not arrived")
		}
	})
}

// A hook's words come through whole, once, and without what would change a terminal.
func TestPush_rejectedByHook(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		repo.SetHook("pre-receive", "#!/bin/sh\nprintf 'GH006: Protected branch update failed for "+
			"refs/heads/main.\\n\\033[31mAt least 1 approving review\\033[0m is required\\n' >&2\n"+
			"printf 'At least 1 approving review is required\\n' >&2\nexit 1\n")
		s := mustFetch(t, f.remote(repoName), "main")
		err := s.Push(t.Context(), mustCommit(t, s, write("a", "1\n")))
		rejected := asError[*git.RejectedError](t, err)
		if rejected.Reason != "pre-receive hook declined" || rejected.Branch != "main" {
			t.Errorf("rejected is %+v", rejected)
		}
		if want := "GH006: Protected branch update failed for refs/heads/main.\n" +
			"At least 1 approving review is required"; rejected.Server != want {
			t.Errorf("server said %q, want %q", rejected.Server, want)
		}
		if want := "name another branch in spec.branch, or have an administrator let this account push to " +
			"this one"; rejected.Hint().String() != want {
			t.Errorf("hint is %q, want %q", rejected.Hint(), want)
		}
		if errors.Is(err, git.ErrTransient) {
			t.Error("a rule is not transient")
		}
	})
}

// A server that fails at a push, and says so in its report, is no server with a rule: trying again is safe
// and works.
func TestPush_serverFails(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		before := repo.Head("main")
		for _, c := range []struct {
			fault gittest.Fault
			want  string
		}{
			{gittest.Fault{Text: "failure", Words: "fatal error in commit_refs"},
				"failure; fatal error in commit_refs"},
			{gittest.Fault{Text: "Internal Server Error",
				Words: "Internal Server Error\nRequest ID 3C01:2ADBFE"},
				"Internal Server Error; Request ID 3C01:2ADBFE"},
			{gittest.Fault{Text: "unpacker error", Unpack: "unable to create temporary object directory"},
				"unpacking failed: unable to create temporary object directory"},
		} {
			c.fault.Kind, c.fault.Service, c.fault.Times = gittest.FailReport, gittest.Push, 1
			f.srv.Inject(c.fault)
			s := mustFetch(t, f.remote(repoName), "main")
			err := s.Push(t.Context(), mustCommit(t, s, write("a", c.want+"\n")))
			failed := asError[*git.UnreachableError](t, err)
			if want := "the server could not take the push to main: " + c.want; failed.Reason != want ||
				!errors.Is(err, git.ErrTransient) {
				t.Errorf("reason is %q, want %q, transient", failed.Reason, want)
			}
			if repo.Head("main") != before {
				t.Error("the branch has moved")
			}
		}
		s := mustFetch(t, f.remote(repoName), "main")
		commit := mustCommit(t, s, write("a", "1\n"))
		if err := s.Push(t.Context(), commit); err != nil || repo.Head("main") != commit.Hash() {
			t.Errorf("pushing again: %v", err)
		}
	})
}

// The server has moved the branch before it failed: the push has arrived, and nobody is told of the failure.
func TestPush_serverFailsAfterIt(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		repo := f.srv.AddRepo(repoName, readme())
		f.srv.Inject(gittest.Fault{Kind: gittest.FailReport, Service: gittest.Push, Times: 1, Text: "failure",
			Words: "fatal error in commit_refs", Arrives: true})
		s := mustFetch(t, f.remote(repoName), "main")
		commit := mustCommit(t, s, write("a", "1\n"))
		if err := s.Push(t.Context(), commit); err != nil || repo.Head("main") != commit.Hash() ||
			repo.Counts().Pushes != 1 {
			t.Errorf("main is at %s after %d pushes: %v", repo.Head("main"), repo.Counts().Pushes, err)
		}
	})
}

// A refusal of several lines comes through as lines, whichever part of the answer they stand in.
func TestPush_rejectedInLines(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, f fixture) {
		f.srv.AddRepo(repoName, readme())
		for _, c := range []struct {
			fault gittest.Fault
			want  string
		}{
			{gittest.Fault{Text: "pre-receive hook declined", Words: "error: File a is 118.99 MB; this " +
				"exceeds GitHub's file size limit of 100.00 MB\nerror: GH001: Large files detected."},
				"\n  File a is 118.99 MB; this exceeds GitHub's file size limit of 100.00 MB\n" +
					"  GH001: Large files detected.\nwith the status: pre-receive hook declined"},
			{gittest.Fault{Text: "VS403654: The push was rejected because it contains one " +
				"or more secrets.\n\nSecrets:\n  paths: /a(1,2-3) : SEC101/003 : Key"},
				"\n  Secrets:\n  paths: /a(1,2-3) : SEC101/003 : Key\nwith the status: VS403654: The push " +
					"was rejected because it contains one or more secrets."},
		} {
			c.fault.Kind, c.fault.Service, c.fault.Times = gittest.FailReport, gittest.Push, 1
			f.srv.Inject(c.fault)
			s := mustFetch(t, f.remote(repoName), "main")
			rejected := asError[*git.RejectedError](t,
				s.Push(t.Context(), mustCommit(t, s, write("a", "1\n"))))
			if want := rejected.Remote + ": the server refused the push to main:" +
				c.want; rejected.Error() != want {
				t.Errorf("error is\n%s\nwant\n%s", rejected.Error(), want)
			}
		}
	})
}

func TestPush_readOnly(t *testing.T) {
	t.Parallel()
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		f := startHTTPS(t)
		f.srv.AddRepo(repoName, readme())
		f.srv.Accounts().AddToken(token, "alice", gittest.Read)
		s := mustFetch(t, f.remote(repoName), "main")
		err := asError[*git.PermissionError](t, s.Push(t.Context(), mustCommit(t, s, write("a", "1\n"))))
		contains(t, err.Error(), "permission denied to push", "denied to alice")
	})
	t.Run("ssh", func(t *testing.T) {
		t.Parallel()
		srv := gittest.Start(t)
		key := gittest.NewKey(t, gittest.ECDSA256)
		srv.Accounts().AddKey(key.Public(), "deploy", gittest.Read, repoName)
		srv.AddRepo(repoName, readme())
		s := mustFetch(t,
			gitrepo.Remote{URL: srv.SSHURL(repoName), Auth: sshAuth(t, key, srv.KnownHosts())}, "main")
		err := asError[*git.PermissionError](t, s.Push(t.Context(), mustCommit(t, s, write("a", "1\n"))))
		if err.Server != gittest.ReadOnlyKey || !err.Write {
			t.Errorf("error is %+v", err)
		}
	})
}
