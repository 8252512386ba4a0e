package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Every run of every test is planned first, and what is planned is held against what is done. A plan has no
// part in faults, which may strike only once: runs for which one is switched on, or whose requests a test
// counts, are not planned. EKSA_GITOPS_PLANS=off leaves all plans out.
var plans = os.Getenv("EKSA_GITOPS_PLANS") != "off"

// plan is what a dry run says; nil when there is none to hold a run against.
type plan struct {
	code  int
	steps []string
}

// planOf makes the dry run of a run that has not begun, unless it is none that has one, or is one itself.
func (w *world) planOf(args []string) *plan {
	w.t.Helper()
	verbs := []string{"create", "upgrade", "delete", "pause", "resume"}
	faulty := w.proxied || w.counted || w.gh.Faulty() || w.gitServer != nil && w.gitServer.Faulty()
	if !plans || faulty || len(args) < 2 || !slices.Contains(verbs, args[0]) ||
		args[1] != "cluster" || w.env["EKSA_GITOPS_DRY_RUN"] != "" || slices.ContainsFunc(args,
		func(arg string) bool { return arg == "--help" || strings.HasPrefix(arg, "--dry-run") }) {
		return nil
	}
	dry := exec.CommandContext(w.t.Context(), suite.program,
		append(slices.Clone(args), "--dry-run", "--output", "json")...)
	dry.Dir, dry.Env = w.dir, w.command(nil).cmd.Env
	out, err := dry.Output()
	if dry.ProcessState == nil {
		w.t.Fatal(err)
	}
	steps, err := stepsOfResult(out)
	if err != nil {
		w.t.Fatalf("eksa-gitops %s: %v\n%s", strings.Join(dry.Args[1:], " "), err, out)
	}
	return &plan{dry.ProcessState.ExitCode(), steps}
}

func stepsOfResult(out []byte) (names []string, err error) {
	var result struct {
		Steps []struct{ Step string }
	}
	err = json.Unmarshal(out, &result)
	for _, s := range result.Steps {
		names = append(names, s.Step)
	}
	return names, err
}

// holds makes sure that a run has done what was planned, step by step. One that has failed has met what a
// plan cannot see.
func (p *plan) holds(t testing.TB, o outcome) {
	t.Helper()
	if p == nil || o.code != 0 || strings.Contains(o.stderr, "✗ ") {
		return
	}
	done := stepsDone(o)
	if p.code != 0 {
		t.Errorf("eksa-gitops %s: exit code 0, and its dry run's is %d", strings.Join(o.args, " "), p.code)
		return
	}
	if len(done) > 0 {
		doneAsPlanned(t, o.args, p.steps, done)
	}
}

// doneAsPlanned makes sure that the steps of a run are those of its dry run, in their order.
func doneAsPlanned(t testing.TB, args, planned, done []string) {
	t.Helper()
	for _, steps := range [][]string{planned, done} {
		slices.Sort(steps[:min(2, len(steps))]) // two of them begin at the same time
		// Flux is installed beside others, and what is told on a terminal is told when it ends.
		slices.SortStableFunc(steps, func(a, b string) int { return besides(b) - besides(a) })
	}
	if !slices.Equal(planned, done) {
		t.Errorf("eksa-gitops %s: planned\n\t%s\nand done\n\t%s",
			strings.Join(args, " "), strings.Join(planned, "\n\t"), strings.Join(done, "\n\t"))
	}
}

// besides is 1 for a step that goes on beside others, and 0 for others.
func besides(step string) int {
	if strings.HasPrefix(step, "Install Flux ") {
		return 1
	}
	return 0
}

// stepsDone are the steps that a run tells of, in its result or on standard error; none when it was asked for
// silence. One that is done again, such as a look at a cluster that has been made meanwhile, is one step.
func stepsDone(o outcome) (names []string) {
	if names, err := stepsOfResult([]byte(o.stdout)); err == nil && len(names) > 0 {
		return names
	}
	for line := range strings.Lines(o.stderr) {
		for _, glyph := range []string{"✓ ", "- "} {
			if step, ok := strings.CutPrefix(line, glyph); ok {
				step, _, _ = strings.Cut(strings.TrimSpace(step), " (")
				if !slices.Contains(names, step) {
					names = append(names, step)
				}
			}
		}
	}
	return names
}
