package gitrepo_test

import (
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// history is what a fast-import makes: five commits, the third of which is merged from a side branch.
const history = `commit refs/heads/main
mark :1
author Alice A <alice@example.com> 1700000000 +0100
committer Bot <bot@example.com> 1700000100 +0000
data 12
First

Body.
M 100644 inline README.md
data 1
a

commit refs/heads/main
mark :2
committer Bot <bot@example.com> 1700000200 +0000
data 6
Second
from :1
M 100644 inline README.md
data 1
b

commit refs/heads/side
mark :3
committer Bot <bot@example.com> 1700000300 +0000
data 4
Side
from :1
M 100644 inline side
data 1
s

commit refs/heads/main
mark :4
committer Bot <bot@example.com> 1700000400 +0000
data 5
Merge
from :2
merge :3
M 100644 inline side
data 1
s

commit refs/heads/main
mark :5
author Alice A <alice@example.com> 1700000450 +0100
committer Bot <bot@example.com> 1700000500 +0000
data 9
Scale dev
from :4
M 100644 inline README.md
data 1
c

`

func TestTipAndBehind(t *testing.T) {
	t.Parallel()
	f := startSSH(t)
	repo := f.srv.AddRepo(repoName)
	if _, err := repo.TryGit([]byte(history), "fast-import", "--quiet"); err != nil {
		t.Fatal(err)
	}
	s := mustFetch(t, f.remote(repoName), "main")
	defer s.Close()

	tip := s.Tip()
	want := git.CommitInfo{
		Hash: repo.Head("main"), Author: git.Identity{Name: "Alice A", Email: "alice@example.com"},
		When: time.Unix(1_700_000_500, 0), Subject: "Scale dev",
	}
	if tip == nil || tip.Hash != want.Hash || tip.Author != want.Author || !tip.When.Equal(want.When) ||
		tip.Subject != want.Subject {
		t.Errorf("tip %+v, want %+v", tip, want)
	}
	for rev, want := range map[string]int{"main": 0, "main~1": 1, "main~2": 3, "side": 3, "main~3": 4} {
		count, known, err := s.Behind(t.Context(), repo.Resolve(rev), 10)
		if err != nil || !known || count != want {
			t.Errorf("%s is behind by %d (known %v, error %v), want %d", rev, count, known, err, want)
		}
	}
	for name, tc := range map[string]struct {
		commit string
		most   int
	}{
		"too far back":       {repo.Resolve("main~3"), 1},
		"of another history": {"1234567890123456789012345678901234567890", 10},
		"not a commit":       {"main", 10},
	} {
		if count, known, err := s.Behind(t.Context(), tc.commit, tc.most); known || err != nil {
			t.Errorf("%s: %d, known %v, error %v, want unknown", name, count, known, err)
		}
	}
}

func TestTip_none(t *testing.T) {
	t.Parallel()
	f := startSSH(t)
	f.srv.AddRepo(repoName)
	s := mustFetch(t, f.remote(repoName), "main")
	defer s.Close()
	if tip := s.Tip(); tip != nil {
		t.Errorf("an empty repository has the tip %+v", tip)
	}
}
