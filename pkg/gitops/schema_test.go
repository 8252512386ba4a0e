package gitops_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// published are the schemas that consumers have.
var published = sync.OnceValues(func() (*schematest.Schemas, error) {
	return schematest.Read("../../docs/schema")
})

// asPublished holds the JSON form of a result or a report against its schema.
func asPublished[T *gitops.Result | *status.Report](t *testing.T, object T) {
	t.Helper()
	schemas, err := published()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check(text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
