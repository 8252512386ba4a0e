package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// bursting is a stream that panics.
type bursting struct{ words string }

func (b bursting) Read([]byte) (int, error)  { panic(b.words) }
func (b bursting) Write([]byte) (int, error) { panic(b.words) }

const (
	panicToken = "ghp_sentinel0123456789"
	panicWords = "it broke over " + panicToken + "\nand more"
)

// broken runs a command line with a token in the environment, and gives the exit code, standard error, and
// the traces it has left.
func broken(t *testing.T, change func(d *deps), args ...string) (code int, stderr string, traces []string) {
	t.Helper()
	var out, errs bytes.Buffer
	environ := map[string]string{"XDG_CONFIG_HOME": t.TempDir(), "TMPDIR": t.TempDir(),
		tokenVariable: panicToken}
	lookupEnv := func(name string) (string, bool) { value, ok := environ[name]; return value, ok }
	d := newDeps(args,
		ui.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Width: func() int { return 80 }},
		lookupEnv)
	if change != nil {
		change(d)
	}
	code = runTree(t.Context(), d, newRootCmd(d))
	files, err := filepath.Glob(filepath.Join(environ["TMPDIR"], "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, mode %v", err, info.Mode())
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		traces = append(traces, string(content))
		if !strings.Contains(errs.String(), file) {
			t.Errorf("%s is not named:\n%s", file, errs.String())
		}
	}
	if all := errs.String() + strings.Join(traces, ""); strings.Contains(all, panicToken) {
		t.Errorf("the token was printed:\n%s", all)
	}
	return code, errs.String(), traces
}

// TestPanic has panics in places that a test can reach: what the command reads, also in a goroutine of its
// own, what it writes, its environment, the command itself, and a goroutine that nobody waits for. Each ends
// with one line and exit code 1.
func TestPanic(t *testing.T) {
	t.Parallel()
	spec := "../../test/e2e/testdata/mgmt.yaml"
	for _, test := range []struct {
		name   string
		change func(d *deps)
		args   []string
		in     string // a function that the trace holds
	}{
		{"standard input", func(d *deps) { d.streams.In = bursting{panicWords} },
			[]string{"validate", "-f", "-"}, "clusterspec.(*pathReader).readAll"},
		{"standard output", func(d *deps) { d.streams.Out = bursting{panicWords} },
			[]string{"validate", "-f", spec}, "cli.bursting.Write"},
		{"environment", func(d *deps) {
			lookup, once := d.lookupEnv, true
			d.lookupEnv = func(name string) (string, bool) {
				if name == tokenVariable && once {
					once = false
					panic(panicWords)
				}
				return lookup(name)
			}
		}, []string{"create", "cluster", "-f", spec, "--dry-run"}, "cli.(*gitOptions).onGitHub"},
		{"JSON", func(d *deps) { d.streams.Out = bursting{panicWords} }, []string{"version", "-o", "json"},
			"diagnostics.WriteJSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stderr, traces := broken(t, test.change, test.args...)
			const line = "eksa-gitops: error: this is a defect of eksa-gitops, please report it with "
			if code != 1 || !strings.HasPrefix(stderr, line) || strings.Count(stderr, "\n") != 1 ||
				!strings.Contains(stderr, ": panic: it broke over *** and more (") {
				t.Errorf("exit code %d\n%s", code, stderr)
			}
			if len(traces) != 1 || !strings.Contains(traces[0], test.in) ||
				!strings.Contains(traces[0], "eksa-gitops "+strings.Join(test.args, " ")+"\n") {
				t.Errorf("traces:\n%s", strings.Join(traces, "\n---\n"))
			}
		})
	}
	t.Run("--verbose", func(t *testing.T) {
		t.Parallel()
		code, stderr, traces := broken(t, func(d *deps) { d.streams.Out = bursting{panicWords} },
			"version", "-v")
		if code != 1 || len(traces) > 0 || !strings.Contains(stderr, "cli.bursting.Write") ||
			!strings.Contains(stderr, "\neksa-gitops: error: this is a defect of eksa-gitops, please "+
				"report it with the trace above: panic: ") {
			t.Errorf("exit code %d\n%s\n%v", code, stderr, traces)
		}
	})
	t.Run("nowhere to write", func(t *testing.T) {
		t.Parallel()
		code, stderr, _ := broken(t, func(d *deps) {
			d.streams.Out = bursting{panicWords}
			lookup := d.lookupEnv
			d.lookupEnv = func(name string) (string, bool) {
				if name == "TMPDIR" {
					return "/nowhere/at/all", true
				}
				return lookup(name)
			}
		}, "version")
		if code != 1 || !strings.Contains(stderr, "cli.bursting.Write") ||
			!strings.Contains(stderr, "please report it with the trace above") {
			t.Errorf("exit code %d\n%s", code, stderr)
		}
	})
}

// TestPanic_loose has a panic in a goroutine that nobody waits for: it ends the run, what was deferred is
// done, and whatever the command makes of its end, the exit code is 1.
func TestPanic_loose(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx context.Context) error{
		"ends with it":  context.Cause,
		"says nothing":  func(context.Context) error { return nil },
		"says it cause": func(ctx context.Context) error { return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var errs bytes.Buffer
			deferred := false
			d := newDeps(nil, ui.Streams{Out: io.Discard, Err: &errs}, func(name string) (string, bool) {
				return t.TempDir(), name == "TMPDIR"
			})
			root := &cobra.Command{Use: "eksa-gitops", SilenceErrors: true, SilenceUsage: true,
				RunE: func(cmd *cobra.Command, _ []string) error {
					defer func() { deferred = true }()
					crash.Loose(cmd.Context(), func() { panic("loose") })
					<-cmd.Context().Done()
					return end(cmd.Context())
				}}
			if code := runTree(t.Context(), d, root); code != 1 || !deferred ||
				!strings.Contains(errs.String(), "panic: loose") {
				t.Errorf("exit code %d, deferred %v\n%s", code, deferred, errs.String())
			}
		})
	}
}
