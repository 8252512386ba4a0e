package spelling_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"gitOpsRef", "datacenterRef", "clusterNetwork", "workerNodeGroupConfigurations"}
	for word, want := range map[string]string{
		"gitopsref": "gitOpsRef", "gitOpsReff": "gitOpsRef", "gitOspRef": "gitOpsRef",
		"workerNodeGroups": "workerNodeGroupConfigurations", "x": "", "": "", "completelyDifferent": "",
		strings.Repeat("gitOpsRef", 50): "",
	} {
		if got := spelling.Nearest(word, names); got != want {
			t.Errorf("%.40q is taken for %q, want %q", word, got, want)
		}
	}
}
