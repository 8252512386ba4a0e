package facts

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
	ours := by("ours", TrailerVersion, "1.0", TrailerClusters, "dev w01")
	deleted := by("deleted", TrailerClusters, "dev")
	deleted.Deleted = true
	for name, c := range map[string]struct {
		revisions []git.Revision
		cluster   string
		want      string
	}{
		"nothing":     {nil, "dev", ""},
		"only others": {[]git.Revision{by("a"), by("b", "Signed-off-by", "Ann")}, "dev", ""},
		"the newest of ours": {[]git.Revision{by("a"), ours, by("older", TrailerClusters, "dev")},
			"dev", "ours"},
		"one of several clusters": {[]git.Revision{ours}, "w01", "ours"},
		"the beginning of a name": {[]git.Revision{ours}, "w0", ""},
		"another cluster":         {[]git.Revision{by("a", TrailerClusters, "prod"), ours}, "dev", "ours"},
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
