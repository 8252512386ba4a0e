package gitops_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// TestMain: without Flux's manifests nearly every test here would fail after a try to download them, and tell
// of that only.
func TestMain(m *testing.M) {
	if !fluxmanifests.Complete() {
		fmt.Fprintln(os.Stderr,
			"Flux's manifests are missing; they are generated, not committed: run make generate first")
		os.Exit(1)
	}
	os.Exit(m.Run())
}
