package gitops_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

const w01Local = "w01/w01-eks-a-cluster.yaml"

// A local copy is brought up to date while it is what Git has, or had. What the user has made of it stays,
// and the result says so.
func TestLocalCopy(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	first := w.local[w01Local]
	result := upgrade(t, w, upgrading(t, edited(t, spec("w01", onGitHub), version, version34)))
	if c := result.Clusters[0]; c.LocalSpec != w01Local || c.LocalSpecKept != "" ||
		w.local[w01Local] == first {
		t.Errorf("a copy of what Git had: %q, kept %q", c.LocalSpec, c.LocalSpecKept)
	}
	// The user has edited it since.
	own := edited(t, w.local[w01Local], version34, `kubernetesVersion: "1.36"`)
	w.local[w01Local] = own
	for _, run := range []func() *gitops.Result{
		func() *gitops.Result {
			return upgrade(t, w,
				upgrading(t, edited(t, spec("w01", onGitHub), version, `kubernetesVersion: "1.35"`)))
		},
		func() *gitops.Result {
			return create(t, w, on(t, edited(t, spec("w01", onGitHub), version, `kubernetesVersion: "1.35"`)))
		},
	} {
		if c := run().Clusters[0]; c.LocalSpec != w01Local+".beside" || c.LocalSpecKept != w01Local ||
			w.local[w01Local] != own {
			t.Errorf("an edited copy: %q, kept %q", c.LocalSpec, c.LocalSpecKept)
		}
	}
	// An older state of it, which Git has too, is nobody's work.
	w.local[w01Local] = first
	result = create(t, w, on(t, edited(t, spec("w01", onGitHub), version, `kubernetesVersion: "1.35"`)))
	if c := result.Clusters[0]; c.LocalSpec != w01Local || c.LocalSpecKept != "" {
		t.Errorf("an older copy: %q, kept %q", c.LocalSpec, c.LocalSpecKept)
	}
}

// A directory that cannot be written to is found before anything is done, once for all clusters, and in a dry
// run as well.
func TestLocalCopy_preflight(t *testing.T) {
	t.Parallel()
	broken := &localfile.DirectoryError{Path: "/here", Err: os.ErrPermission}
	for _, dryRun := range []bool{false, true} {
		w := managed(t, onGitHub)
		w.readOnly = broken
		options := on(t, spec("w01", onGitHub), spec("w02", onGitHub))
		options.DryRun = dryRun
		before := w.describe()
		result, err := gitops.Create(t.Context(), w.ports(nil), options)
		refused := new(gitops.PreflightError)
		if !errors.As(err, &refused) || len(w.calls) > 0 || w.describe() != before {
			t.Fatalf("error %v, wrote %v", err, w.calls)
		}
		want := facts.Finding{
			Area: facts.AreaLocal, Message: "the local copy of the cluster's file cannot be written: no " +
				"file can be written in directory /here: permission denied",
			Hint: broken.Hint().String(),
		}
		if len(refused.Findings) != 1 || refused.Findings[0] != want ||
			result.Status != gitops.StatusRefused || refused.AboutAccess() {
			t.Errorf("findings %+v", refused.Findings)
		}
		upgrading := upgrading(t, edited(t, spec("dev", onGitHub), version, version34))
		upgrading.DryRun = dryRun
		if got := refusals(t, w, upgrading); len(got) != 1 || !strings.HasPrefix(got[0], "local: ") {
			t.Errorf("findings %q", got)
		}
	}
}

// The user's file is edited while the run is under way: it stays as it is, the commit says that it does not
// have what was merged, and the run is not complete. The next one merges both.
func TestUpdateSources_edited(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	w.inGit(t, workersOf("1"), workersOf("5"))
	file := edited(t, spec("w01", onGitHub), version, version34)
	w.edited = map[string]string{"a.yaml": file + "# a line that was added meanwhile\n"}
	options := upgrading(t, file)
	options.UpdateSources = true
	result, err := gitops.Upgrade(t.Context(), w.ports(nil), options)
	if !errors.As(err, new(*gitops.IncompleteError)) || !strings.Contains(err.Error(),
		"a.yaml has changed since the run has read it, and was not brought up to date") {
		t.Errorf("error %v", err)
	}
	if len(w.updated) > 0 || len(result.LocalFiles) != 1 || result.LocalFiles[0].Path != "a.yaml" ||
		result.LocalFiles[0].Change != "keep" || result.Status != gitops.StatusIncomplete {
		t.Errorf("written %v, local files %+v, status %s", w.updated, result.LocalFiles, result.Status)
	}
	history := w.branches["main"].history
	if got := history[len(history)-1].message; !strings.HasSuffix(got,
		"Eksa-Gitops-Clusters: w01\nEksa-Gitops-Merged: w01\n") {
		t.Errorf("the commit says %q", got)
	}
	// What was edited is what the next run reads.
	options = upgrading(t, w.edited["a.yaml"])
	options.UpdateSources = true
	again := upgrade(t, w, options)
	if len(w.updated) != 1 ||
		string(w.updated[0].Data) != edited(t, w.edited["a.yaml"], workersOf("1"), workersOf("5")) ||
		len(again.LocalFiles) != 1 {
		t.Errorf("written %v, local files %+v", w.updated, again.LocalFiles)
	}
}
