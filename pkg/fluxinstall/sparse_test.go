package fluxinstall

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestWidenAll takes the field off where the manifests do not have it, and writes nothing otherwise.
func TestWidenAll(t *testing.T) {
	t.Parallel()
	const object = `{"apiVersion":"source.toolkit.fluxcd.io/v1","kind":"GitRepository",` +
		`"metadata":{"name":"flux-system","namespace":"flux-system"},"spec":{"url":"ssh://git@example.com/x"%s}}`
	const part = `,"sparseCheckout":["clusters/dev/"]`
	for name, test := range map[string]struct {
		live, manifest string
		patches        []string
	}{
		"fetches too little": {part, "", []string{`{"spec":{"sparseCheckout":null}}`}},
		"fetches all":        {"", "", nil},
		"as Git says":        {part, part, nil},
	} {
		var patches []string
		c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch {
				body, _ := io.ReadAll(r.Body)
				patches = append(patches, string(body))
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, object, test.live)
		})
		manifest := &unstructured.Unstructured{}
		if err := manifest.UnmarshalJSON(fmt.Appendf(nil, object, test.manifest)); err != nil {
			t.Fatal(err)
		}
		widened, err := c.widenAll(t.Context(), []*unstructured.Unstructured{manifest})
		if err != nil || len(widened) != len(test.patches) || !slices.Equal(patches, test.patches) {
			t.Errorf("%s: %v, %v, patched %q", name, err, widened, patches)
		}
	}
}
