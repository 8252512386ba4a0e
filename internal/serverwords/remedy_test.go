package serverwords

import (
	"path"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Every remedy is for something that is among the cases of internal/gitrepo, so that none is left that
// nothing has tried.
func TestRemedies_tried(t *testing.T) {
	t.Parallel()
	cases, err := txtar.ParseFile("../gitrepo/testdata/refusals.txtar")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{} // by the case's directory
	for _, f := range cases.Files {
		name, part := path.Split(f.Name)
		if part != "want" {
			said[name] += strings.ToLower(string(f.Data))
		}
	}
	for _, r := range remedies {
		tried := false
		for _, words := range said {
			tried = tried || r.signs.MatchString(words)
		}
		if !tried {
			t.Errorf("no case has words for %v", r.signs)
		}
	}
}
