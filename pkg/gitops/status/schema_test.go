package status_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// published are the schemas that consumers have.
var published = sync.OnceValues(func() (*schematest.Schemas, error) {
	return schematest.Read("../../../docs/schema")
})

// asPublished holds the JSON form of a report against its schema.
func asPublished(t *testing.T, report *status.Report) {
	t.Helper()
	schemas, err := published()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check(text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
