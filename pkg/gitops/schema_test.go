package gitops_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// asPublished holds the JSON form of a result or a report against its schema, and puts what it says into the
// words of the library.
func asPublished(t *testing.T, object any) {
	t.Helper()
	if err := schematest.CheckValue(object); err != nil {
		t.Error(err)
	}
	hint.Reword(object, hint.Library{})
}
