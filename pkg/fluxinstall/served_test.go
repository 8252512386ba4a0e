package fluxinstall

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// olderServer serves a Flux that is older than this program: GitRepositories are v1beta2, Kustomizations
// v1beta1 and v1beta2. asked notes what was asked for.
func olderServer(t *testing.T, asked *[]string) *Cluster {
	t.Helper()
	return apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		const object = `{"apiVersion":"source.toolkit.fluxcd.io/v1beta2","kind":"GitRepository","metadata":{"namespace":"flux-system","name":"flux-system"},"spec":{"url":"ssh://git@example.com/fleet"}}`
		switch path := strings.TrimPrefix(r.URL.Path, "/apis/"); path {
		case "source.toolkit.fluxcd.io":
			body(w, `{"kind":"APIGroup","apiVersion":"v1","name":"source.toolkit.fluxcd.io","versions":[{"groupVersion":"source.toolkit.fluxcd.io/v1","version":"v1"},{"groupVersion":"source.toolkit.fluxcd.io/v1beta2","version":"v1beta2"}]}`)
		case "source.toolkit.fluxcd.io/v1": // of another kind
			body(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"source.toolkit.fluxcd.io/v1","resources":[{"name":"helmrepositories","kind":"HelmRepository","namespaced":true,"verbs":["get"]}]}`)
		case "source.toolkit.fluxcd.io/v1beta2":
			body(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"source.toolkit.fluxcd.io/v1beta2","resources":[{"name":"gitrepositories","singularName":"gitrepository","kind":"GitRepository","namespaced":true,"verbs":["get"]}]}`)
		case "source.toolkit.fluxcd.io/v1beta2/namespaces/flux-system/gitrepositories/flux-system":
			body(w, object)
		case "source.toolkit.fluxcd.io/v1beta2/namespaces/flux-system/gitrepositories/other":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound","message":"gitrepositories.source.toolkit.fluxcd.io \"other\" not found","details":{"name":"other","group":"source.toolkit.fluxcd.io","kind":"gitrepositories"}}`))
		case "source.toolkit.fluxcd.io/v1beta2/gitrepositories":
			body(w, `{"apiVersion":"source.toolkit.fluxcd.io/v1beta2","kind":"GitRepositoryList","items":[`+
				object+`]}`)
		case "kustomize.toolkit.fluxcd.io":
			status(w, http.StatusInternalServerError, "InternalError", "discovery is broken")
		default:
			http.NotFound(w, r) // as the API server answers for a path that it does not have
		}
	})
}

// TestServed_olderVersion: an older Flux serves other versions, and its objects are found and written all the
// same.
func TestServed_olderVersion(t *testing.T) {
	t.Parallel()
	var asked []string
	c := olderServer(t, &asked)
	ctx := t.Context()
	got, err := c.get(ctx, gitRepositoryKind(), "flux-system", "flux-system")
	if err != nil || got == nil || got.GetAPIVersion() != "source.toolkit.fluxcd.io/v1beta2" ||
		text(got, "spec", "url") != "ssh://git@example.com/fleet" {
		t.Fatalf("got %v, %v", got, err)
	}
	if items, err := c.list(ctx, gitRepositoryKind(), ""); err != nil || len(items) != 1 {
		t.Errorf("listed %v, %v", items, err)
	}
	if missing, err := c.get(ctx, gitRepositoryKind(), "flux-system", "other"); missing != nil || err != nil {
		t.Errorf("an object that does not exist is %v, %v", missing, err)
	}
	object := gitRepositoryKind().object("flux-system", "flux-system")
	if err := c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{}`))); err != nil {
		t.Errorf("patching: %v", err)
	}
	if list := gitRepositoryKind().objectList(); c.client.List(ctx, list) != nil || len(list.Items) != 1 {
		t.Errorf("listed %v", list)
	}
	if last := asked[len(asked)-1]; last != "GET /apis/source.toolkit.fluxcd.io/v1beta2/gitrepositories" {
		t.Errorf("asked last for %s", last)
	}
	found := 0
	for _, request := range asked {
		if request == "GET /apis/source.toolkit.fluxcd.io" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("looked %d times for the versions, want once", found)
	}
}

// TestServed_unknown: when it cannot be found out which versions there are, nothing is said to be missing.
func TestServed_unknown(t *testing.T) {
	t.Parallel()
	var asked []string
	c := olderServer(t, &asked)
	c.backoff.total = 20 * c.backoff.first
	if got, err := c.get(t.Context(), kustomizationKind(), "flux-system", "flux-system"); err == nil ||
		!strings.Contains(err.Error(), "discovery is broken") {
		t.Errorf("got %v, %v", got, err)
	}
	// A group that nobody serves holds nothing.
	for _, k := range []kind{{"helm.toolkit.fluxcd.io", "v2", "HelmRelease"},
		{"shop.example.com", "v1", "Shop"}} {
		if items, err := c.list(t.Context(), k, ""); items != nil || err != nil {
			t.Errorf("%s: %v, %v", k.name, items, err)
		}
	}
}
