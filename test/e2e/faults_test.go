package e2e_test

import (
	"strings"
	"testing"
)

// fault is one thing that goes wrong at a server while the program runs.
type fault struct {
	name string
	// strike makes the run come to the place, switches the fault on and returns how it is switched off; nil
	// where it passes by itself.
	strike func(*testing.T, *world) (heal func())
	args   []string // default: create cluster -f mgmt.yaml --on-gitops-failure=fail
	again  []string // how the run is repeated when the fault is over; default: as it was
	code   int
	tells  []string
	// waits says that the run tries again, and tells what it waits for. A fault that does not pass stops the
	// run at once.
	waits bool
	// writesNothing says that nothing has been changed anywhere when the run stops.
	writesNothing bool
}

// try tries a fault in a world in which everything is well, and leaves it like that.
func (f fault) try(t *testing.T, w *world) {
	t.Helper()
	w = w.with(t, nil)
	args := f.args
	if len(args) == 0 {
		args = []string{"create", "cluster", "-f", "mgmt.yaml", "--on-gitops-failure=fail"}
	}
	before := w.mark()
	heal := f.strike(t, w)
	out := w.run(args...)
	if heal != nil {
		heal()
	}
	out.exits(f.code).tells(f.tells...)
	switch again := strings.Contains(out.stderr, "; then try "); {
	case f.waits && !strings.Contains(out.stderr, "waiting "):
		t.Errorf("nothing says what is waited for:\n%s", out.stderr)
	case !f.waits && f.code != 0 && again:
		t.Errorf("what does not pass is tried again:\n%s", out.stderr)
	}
	if f.writesNothing {
		before.writesNothing()
	}
	again := f.again
	if len(again) == 0 {
		again = args
	}
	if f.code != 0 {
		w.run(again...).exits(0)
	}
	before = w.mark()
	w.run(again...).exits(0)
	before.writesNothing()
}
