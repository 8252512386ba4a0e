package gitops_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
)

// asPublished holds the JSON form of a result or a report against its schema.
func asPublished(t *testing.T, object any) {
	t.Helper()
	if err := schematest.CheckValue(object); err != nil {
		t.Error(err)
	}
}
