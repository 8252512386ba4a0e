package fluxmanifests_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/sync"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

const fleetURL = "ssh://git@github.com/acme/fleet.git"

// bootstrapped is what `flux bootstrap --sparse-checkout` writes: it gives manifestgen these options (flux2,
// cmd/flux/bootstrap_git.go).
func bootstrapped(t *testing.T, dirs ...string) string {
	t.Helper()
	options := sync.MakeDefaultOptions()
	options.Interval, options.URL, options.TargetPath, options.SparseCheckout = time.Minute, fleetURL,
		"./clusters/mgmt", dirs
	manifest, err := sync.Generate(options)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Content
}

// TestSync_sparse: with a sparse checkout the file has the bytes that `flux bootstrap` of the same version
// writes, whether it is written anew or edited.
func TestSync_sparse(t *testing.T) {
	t.Parallel()
	for _, dirs := range [][]string{{"clusters/mgmt/"}, {"clusters/mgmt/", "base/"}, {"*odd: {path}"}} {
		options := fluxmanifests.SyncOptions{URL: fleetURL, Path: "./clusters/mgmt"}
		whole, err := fluxmanifests.Sync(options)
		if err != nil {
			t.Fatal(err)
		}
		options.SparseCheckout = dirs
		made, err := fluxmanifests.Sync(options)
		if err != nil {
			t.Fatal(err)
		}
		want := bootstrapped(t, dirs...)
		if string(made) != want {
			t.Errorf("made:\n%s\nwant:\n%s", made, want)
		}
		if got := fluxmanifests.SparseCheckout(made, "flux-system"); !slices.Equal(got, dirs) {
			t.Errorf("read %q", got)
		}
		for name, edit := range map[string]struct {
			from []byte
			to   []string
			want string
		}{
			"on":          {whole, dirs, want},
			"off":         {made, nil, string(whole)},
			"as it is":    {made, dirs, want},
			"other paths": {made, []string{"a/", "b/"}, bootstrapped(t, "a/", "b/")},
		} {
			got, err := fluxmanifests.SetSparseCheckout(edit.from, "flux-system", edit.to)
			if err != nil || string(got) != edit.want {
				t.Errorf("%s: %v\n%s\nwant:\n%s", name, err, got, edit.want)
			}
		}
	}
}

// TestSetSparseCheckout_edited leaves in a file of somebody's everything but the field as it stands.
func TestSetSparseCheckout_edited(t *testing.T) {
	t.Parallel()
	const edited = `# ours
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec:
    url: ssh://git@github.com/acme/fleet.git # where it is
    # a long word about the limit
    timeout: 2m
    interval: 1m0s

---
kind: ConfigMap
apiVersion: v1
metadata:
  name: x
data:
  sparseCheckout: mine
`
	const want = `# ours
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec:
    sparseCheckout:
    - clusters/mgmt/
    url: ssh://git@github.com/acme/fleet.git # where it is
    # a long word about the limit
    timeout: 2m
    interval: 1m0s

---
kind: ConfigMap
apiVersion: v1
metadata:
  name: x
data:
  sparseCheckout: mine
`
	on, err := fluxmanifests.SetSparseCheckout([]byte(edited), "flux-system", []string{"clusters/mgmt/"})
	if err != nil || string(on) != want {
		t.Fatalf("%v\n%s", err, on)
	}
	off, err := fluxmanifests.SetSparseCheckout(on, "flux-system", nil)
	if err != nil || string(off) != edited {
		t.Fatalf("%v\n%s", err, off)
	}
	last := strings.Replace(edited, "    url: ssh://git@github.com/acme/fleet.git # where it is\n    # a "+
		"long word about the limit\n    timeout: 2m\n", "", 1)
	if on, err = fluxmanifests.SetSparseCheckout([]byte(last), "flux-system",
		[]string{"a/"}); err != nil ||
		!strings.Contains(string(on), "    interval: 1m0s\n    sparseCheckout:\n    - a/\n\n---") {
		t.Errorf("as the last field: %v\n%s", err, on)
	}
}

func TestSetSparseCheckout_impossible(t *testing.T) {
	t.Parallel()
	const odd = "kind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\nspec: {url: x}\n"
	for content, want := range map[string]string{
		odd: "spec.sparseCheckout of the GitRepository is written in a way that cannot be changed " +
			"in place",
		"kind: [":  "it is not valid YAML",
		"kind: A":  "it has no GitRepository flux-system/flux-system with a spec",
		"--- 1\n2": "",
	} {
		got, err := fluxmanifests.SetSparseCheckout([]byte(content), "flux-system", []string{"a/"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %s", content, err, got)
		}
		if dirs := fluxmanifests.SparseCheckout([]byte(content), "flux-system"); dirs != nil {
			t.Errorf("%q: read %q", content, dirs)
		}
	}
}
