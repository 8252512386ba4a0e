package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// matrixCommands are all commands, with arguments that cost little: what would write is a dry run, which ends with the code of the run.
// Those that can print JSON are run in both forms.
var matrixCommands = []struct {
	name string
	args []string
	json bool
}{
	{"version", []string{"version"}, true},
	{"completion", []string{"completion", "bash"}, false},
	{"convert", []string{"convert", "-f", "mgmt.yaml"}, false},
	{"validate", []string{"validate", "-f", "mgmt.yaml"}, true},
	{"validate --server", []string{"validate", "-f", "mgmt.yaml", "--server"}, true},
	{"lint", []string{"lint"}, true},
	{"create mgmt", []string{"create", "cluster", "-f", "mgmt.yaml", "--dry-run"}, true},
	{"create dev", []string{"create", "cluster", "-f", "dev.yaml", "--dry-run"}, true},
	{"upgrade mgmt", []string{"upgrade", "cluster", "-f", "mgmt.yaml", "--dry-run"}, true},
	{"upgrade dev", []string{"upgrade", "cluster", "-f", "dev.yaml", "--dry-run"}, true},
	{"delete mgmt", []string{"delete", "cluster", "mgmt", "--dry-run"}, true},
	{"delete dev", []string{"delete", "cluster", "dev", "--dry-run"}, true},
	{"pause dev", []string{"pause", "cluster", "dev", "--dry-run"}, true},
	{"resume dev", []string{"resume", "cluster", "dev", "--dry-run"}, true},
	{"status", []string{"status"}, true},
	{"status dev", []string{"status", "dev"}, true},
	{"status nobody", []string{"status", "nobody"}, true},
	{"get clusters", []string{"get", "clusters"}, true},
	{"get kubeconfig dev", []string{"get", "kubeconfig", "dev"}, false},
	{"nothing named", []string{"delete", "cluster"}, true},
	{"unknown flag", []string{"status", "--wath"}, true},
}

// matrixAlways are the codes of commands that look at nothing outside.
var matrixAlways = map[string]int{
	"version": 0, "completion": 0, "convert": 0, "validate": 0, "lint": 3, "nothing named": 2, "unknown flag": 2,
}

// matrixState is one state of the world, in the order in which they come about.
type matrixState struct {
	name  string
	bring func(t *testing.T, w *world)
	codes map[string]int // by command
}

// TestMatrix runs every command in every state of the world that can be made cheaply. None panics, each ends with the code that
// docs/exit-codes.md gives for the case, -o json prints exactly one object with that code, and nothing is written.
func TestMatrix(t *testing.T) {
	t.Run("before GitOps", func(t *testing.T) {
		runMatrix(t, newWorld(t), statesBefore)
	})
	t.Run("with GitOps", func(t *testing.T) {
		runMatrix(t, newFleet(t, "dev"), statesWith)
	})
}

func runMatrix(t *testing.T, w *world, states []matrixState) {
	t.Helper()
	w.env["EKSA_GITOPS_TIMEOUT"] = "30s"
	cells := 0
	for _, state := range states {
		began := time.Now()
		state.bring(t, w)
		before := w.mark()
		want := maps.Clone(matrixAlways)
		maps.Copy(want, state.codes)
		var group sync.WaitGroup
		turns := make(chan struct{}, 3)
		for _, command := range matrixCommands {
			code, known := want[command.name]
			if !known {
				t.Errorf("%s: the table has no code for %s", state.name, command.name)
			}
			forms := [][]string{command.args}
			if command.json {
				forms = append(forms, append(slices.Clone(command.args), "-o", "json"))
			}
			for _, args := range forms {
				cells++
				group.Go(func() {
					turns <- struct{}{}
					defer func() { <-turns }()
					for _, problem := range w.cell(args, code) {
						t.Errorf("%s: %s: %s", state.name, strings.Join(args, " "), problem)
					}
				})
			}
		}
		group.Wait()
		t.Logf("%s: %s", state.name, time.Since(began).Round(time.Second))
		before.writesNothing()
	}
	t.Logf("%d cells", cells)
}

// cell runs one command and says what is wrong.
func (w *world) cell(args []string, want int) (problems []string) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), suite.program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, &stdout, &stderr
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return []string{err.Error()}
	}
	code := cmd.ProcessState.ExitCode()
	wrong := func(format string, values ...any) {
		problems = append(problems, fmt.Sprintf(format, values...)+"\nstdout:\n"+stdout.String()+"\nstderr:\n"+stderr.String())
	}
	if code != want {
		wrong("exit code %d, want %d", code, want)
	}
	if all := stdout.String() + stderr.String(); strings.Contains(all, "panic") || strings.Contains(all, "goroutine ") {
		wrong("it panicked")
	}
	if code != 0 && stderr.Len() == 0 && (args[0] != "validate" && args[0] != "lint" && args[0] != "status") {
		wrong("nobody is told why")
	}
	if args[len(args)-1] != "json" {
		return problems
	}
	decoder := json.NewDecoder(&stdout)
	text := stdout.String()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		wrong("standard output is no JSON object: %v: %s", err, text)
		return problems
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		wrong("standard output has more than one object: %s", text)
	}
	// What was found well is printed without one by commands that only show it.
	shows := code == 0 && (args[0] == "version" || args[0] == "get")
	if told, ok := object["exitCode"]; !shows && (!ok || told != float64(code)) {
		wrong("the object says exit code %v, and it is %d: %s", told, code, text)
	}
	return problems
}

// all gives one code to every command that looks outside, but for the exceptions.
func all(code int, except map[string]int) map[string]int {
	codes := map[string]int{}
	for _, command := range matrixCommands {
		if _, always := matrixAlways[command.name]; !always {
			codes[command.name] = code
		}
	}
	maps.Copy(codes, except)
	return codes
}

// bareCodes are those of a management cluster without Flux. What would be about dev is refused, as nobody knows of dev; that it is deleted
// already is no error.
var bareCodes = all(0, map[string]int{
	"create dev": 3, "upgrade dev": 3, "pause dev": 3, "resume dev": 3, "status dev": 3, "status nobody": 3, "get kubeconfig dev": 3,
})

var statesBefore = []matrixState{
	{"no kubeconfig", func(_ *testing.T, w *world) {
		w.env["KUBECONFIG was"], w.env["KUBECONFIG"] = w.env["KUBECONFIG"], ""
	}, all(3, nil)},
	{"a cluster without EKS Anywhere", func(t *testing.T, w *world) {
		w.write("empty", emptyCluster(t))
		w.env["KUBECONFIG"] = "empty"
	}, all(3, nil)},
	{"no Flux, no repository", func(_ *testing.T, w *world) {
		w.env["KUBECONFIG"] = w.env["KUBECONFIG was"]
		delete(w.env, "KUBECONFIG was")
	}, bareCodes},
	{"no Flux, an empty repository", func(_ *testing.T, w *world) {
		w.gh.AddRepo("alice/fleet", emptyRepo()...)
	}, bareCodes},
}

// withCodes are those of a fleet in order: a management cluster stays as long as it has workload clusters.
var withCodes = all(0, map[string]int{"delete mgmt": 3, "status nobody": 3})

var statesWith = []matrixState{
	{"all is well", func(*testing.T, *world) {}, withCodes},
	{"a cluster is paused", func(_ *testing.T, w *world) { w.run("pause", "cluster", "dev").exits(0) }, withCodes},
	{"half a Flux", func(t *testing.T, w *world) {
		w.run("resume", "cluster", "dev").exits(0)
		remove(t, sourceGroup, "v1", "GitRepository", "flux-system", "flux-system")
	}, all(3, nil)},
	{"Flux is suspended", func(t *testing.T, w *world) {
		w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
		patch(t, kustomization(), `{"spec":{"suspend":true}}`)
	}, all(3, nil)},
	{"a cluster is in the management cluster only", func(_ *testing.T, w *world) {
		w.push(gittest.Change{Delete: []string{"clusters/mgmt/dev"}})
	}, all(3, nil)},
	{"a cluster is in Git only", func(t *testing.T, w *world) {
		w.write("dev.yaml", spec(t, "dev.yaml", "name: dev", "name: two", "198.18.100.20", "198.18.100.21"))
		w.push(gittest.Change{Files: map[string]string{"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml": w.read("dev.yaml")}})
	}, all(3, nil)},
	{"the repository is archived", func(_ *testing.T, w *world) { w.gh.Repo("alice/fleet").Archive() }, all(3, nil)},
	{"the repository is gone", func(_ *testing.T, w *world) { w.gh.RemoveRepo("alice/fleet") }, all(3, nil)},
}
