package fluxinstall

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestQuiet(t *testing.T) {
	t.Parallel()
	if sink := log.FromContext(quiet(t.Context())).GetSink(); sink != nil {
		t.Errorf("the libraries log to %T", sink)
	}
}
