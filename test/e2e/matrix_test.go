package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// matrixDoc holds the table of what every command answers in every state of the world, and is what the test
// holds the program to.
var matrixDoc = filepath.Join("..", "..", "docs", "reliability.md")

// matrixCommands are all commands, in the forms that leave the world as it is.
func matrixCommands() [][]string {
	var all [][]string
	for _, line := range []string{
		"create cluster -f mgmt.yaml --dry-run -o json",
		"create cluster -f dev.yaml --dry-run -o json",
		"create cluster -f mgmt.yaml -f dev.yaml --dry-run -o json",
		"upgrade cluster -f mgmt.yaml --dry-run -o json",
		"upgrade cluster -f dev.yaml --dry-run -o json",
		"delete cluster dev --dry-run -o json",
		"delete cluster mgmt --dry-run -o json",
		"pause cluster dev --dry-run -o json",
		"resume cluster dev --dry-run -o json",
		"get clusters -o json",
		"get kubeconfig dev",
		"status -o json",
		"lint repository -o json",
		"validate -f dev.yaml --server -o json",
		"convert -f mgmt.yaml",
		"completion bash",
		"version -o json",
	} {
		all = append(all, strings.Fields(line))
	}
	return all
}

// matrixState is a state of the world in which every command is tried.
type matrixState struct {
	name string
	make func(t testing.TB) *world
}

// unmanaged is a world whose management cluster is up and knows nothing of GitOps.
func unmanaged(t testing.TB) *world { return newWorld(t) }

// fleetIn is a world with mgmt and dev managed through Git, in which something happens.
func fleetIn(happens func(*world)) func(testing.TB) *world {
	return func(t testing.TB) *world {
		w := newWorldIn(t, withDev())
		happens(w)
		return w
	}
}

func matrixStates() []matrixState {
	return []matrixState{
		{"no kubeconfig", func(t testing.TB) *world {
			w := unmanaged(t)
			w.env["KUBECONFIG"] = filepath.Join(w.dir, "none")
			return w
		}},
		{"no cluster", func(t testing.TB) *world {
			w := unmanaged(t)
			content, err := os.ReadFile(w.env["KUBECONFIG"])
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(content), "\n")
			for i, line := range lines {
				if before, _, server := strings.Cut(line, "server: "); server {
					lines[i] = before + "server: https://127.0.0.1:1"
				}
			}
			w.write("nobody", strings.Join(lines, "\n"))
			w.env["KUBECONFIG"] = filepath.Join(w.dir, "nobody")
			return w
		}},
		{"no Flux", unmanaged},
		{"empty repository", func(t testing.TB) *world {
			w := unmanaged(t)
			w.gh.AddRepo("alice/fleet").SetPrivate(true)
			return w
		}},
		{"half a Flux", fleetIn(func(w *world) {
			suspend(w.t, true)
			remove(w.t, "apps", "v1", "Deployment", "flux-system", "source-controller")
			removeNow(w.t, "source.toolkit.fluxcd.io", "v1", "GitRepository", "flux-system", "flux-system")
		})},
		{"managed", fleetIn(func(*world) {})},
		{"repository gone", fleetIn(func(w *world) { w.gh.RemoveRepo("alice/fleet") })},
		// until Flux applies it again, which it does every ten minutes
		{"dev in Git only", fleetIn(func(w *world) {
			remove(w.t, "anywhere.eks.amazonaws.com", "v1alpha1", "Cluster", "default", "dev")
		})},
		{"dev in the cluster only", fleetIn(func(w *world) {
			suspend(w.t, true)
			w.push(gittest.Change{Message: "Clean up", Delete: []string{"clusters/mgmt/dev"}})
		})},
		{"dev paused", fleetIn(func(w *world) { w.run("pause", "cluster", "dev").exits(0) })},
		{"Flux suspended", fleetIn(func(w *world) { suspend(w.t, true) })},
	}
}

// Every command is run in every state of the world: each answers with the code that the table in
// docs/reliability.md has, the documented one, none panics, and what is asked for JSON prints one object of
// it whatever happens.
func TestMatrix(t *testing.T) {
	want, states := readMatrix(t)
	var made []string
	for _, state := range matrixStates() {
		made = append(made, state.name)
		t.Run(state.name, func(t *testing.T) {
			w := state.make(t)
			w.env["EKSA_GITOPS_TIMEOUT"] = "30s"
			repository := filepath.Join(w.dir, "repository")
			if repo := w.gh.Repo("alice/fleet"); repo != nil {
				for path, content := range repo.Git().Files("main") {
					file := filepath.Join(repository, filepath.FromSlash(path))
					if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := w.mark()
			for _, args := range matrixCommands() {
				command := strings.Join(args, " ")
				out := w.run(args...)
				if code, known := want[command][state.name]; !known || out.code != code {
					t.Errorf("%s: exit code %d, the table has %d (known: %t)\nstdout:\n%s\nstderr:\n%s",
						command, out.code, code, known, out.stdout, out.stderr)
				}
				for _, sign := range []string{"panic", "goroutine ", "a defect of eksa-gitops"} {
					if strings.Contains(out.stderr, sign) {
						t.Errorf("%s: %s", command, out.stderr)
					}
				}
				if !slices.Contains(args, "json") {
					continue
				}
				var object any
				if err := json.Unmarshal([]byte(out.stdout), &object); err != nil {
					t.Errorf("%s: standard output is not one JSON value: %v\n%s", command, err, out.stdout)
				}
				if object, ok := object.(map[string]any); ok && object["exitCode"] != nil &&
					object["exitCode"] != float64(out.code) {
					t.Errorf("%s: exit code %d, and %v in the result", command, out.code, object["exitCode"])
				}
			}
			before.writesNothing()
		})
	}
	if !slices.Equal(made, states) {
		t.Errorf("the table has the states %q, want %q", states, made)
	}
	if len(want) != len(matrixCommands()) {
		t.Errorf("the table has %d commands, want %d", len(want), len(matrixCommands()))
	}
}

// readMatrix reads the table: the code of each command in each state, and the states.
func readMatrix(t *testing.T) (codes map[string]map[string]int, states []string) {
	t.Helper()
	content, err := os.ReadFile(matrixDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(content), "## Every command in every state\n")
	if !found {
		t.Fatalf("%s has no table of commands and states", matrixDoc)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	codes = map[string]map[string]int{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-"):
		case states == nil:
			states = cells[1:]
		default:
			if len(cells) != len(states)+1 {
				t.Fatalf("the table has %d cells in the line %s", len(cells), line)
			}
			row := map[string]int{}
			for i, cell := range cells[1:] {
				if row[states[i]], err = strconv.Atoi(cell); err != nil {
					t.Fatal(fmt.Errorf("%s: %w", line, err))
				}
			}
			codes[strings.Trim(cells[0], "`")] = row
		}
	}
	return codes, states
}
