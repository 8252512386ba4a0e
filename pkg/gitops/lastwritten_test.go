package gitops

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

func TestLastWritten(t *testing.T) {
	t.Parallel()
	by := func(commit string, trailers ...string) git.Revision {
		r := git.Revision{Commit: commit}
		for i := 0; i < len(trailers); i += 2 {
			r.Trailers = append(r.Trailers, git.Trailer{Key: trailers[i], Value: trailers[i+1]})
		}
		return r
	}
	ours := by("ours", trailerVersion, "1.0", trailerClusters, "dev w01")
	deleted := by("deleted", trailerClusters, "dev")
	deleted.Deleted = true
	for name, c := range map[string]struct {
		revisions []git.Revision
		cluster   string
		want      string
	}{
		"nothing":     {nil, "dev", ""},
		"only others": {[]git.Revision{by("a"), by("b", "Signed-off-by", "Ann")}, "dev", ""},
		"the newest of ours": {[]git.Revision{by("a"), ours, by("older", trailerClusters, "dev")},
			"dev", "ours"},
		"one of several clusters": {[]git.Revision{ours}, "w01", "ours"},
		"the beginning of a name": {[]git.Revision{ours}, "w0", ""},
		"another cluster":         {[]git.Revision{by("a", trailerClusters, "prod"), ours}, "dev", "ours"},
		"the trailer's case and number": {
			[]git.Revision{by("a", "eksa-gitops-clusters", "prod", "EKSA-GITOPS-CLUSTERS", "dev")},
			"dev", "a"},
		"taken out by us, back by others": {[]git.Revision{by("back"), deleted, ours}, "dev", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := LastWritten(c.revisions, c.cluster)
			if ok != (c.want != "") || ok && got.Commit != c.want {
				t.Errorf("got %q, %v, want %q", got.Commit, ok, c.want)
			}
		})
	}
}

// TestCommitMessage_isFound: what a run writes into its commit is what a later one looks for.
func TestCommitMessage_isFound(t *testing.T) {
	t.Parallel()
	r := &run{settings: Settings{ToolVersion: "v1.2.3"}}
	want := "Create clusters\n\nEksa-Gitops-Version: v1.2.3\nEksa-Gitops-Clusters: dev w01\n"
	if got := r.commitMessage("Create clusters", []string{"dev", "w01"}); got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
}
