package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// asked is what one flag has come to when its command runs.
type asked struct {
	code           int
	value          string
	changed        bool
	stdout, stderr string
}

// ask runs the command at path with a body of the test's own, and looks at one flag there.
func ask(t *testing.T, path []string, flag string, environ map[string]string, args ...string) asked {
	t.Helper()
	var out, errs bytes.Buffer
	lookupEnv := func(name string) (string, bool) { value, ok := environ[name]; return value, ok }
	d := newDeps(nil, ui.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, lookupEnv)
	for name, value := range environ {
		d.environ = append(d.environ, name+"="+value)
	}
	root := newRootCmd(d)
	cmd, _, err := root.Find(path)
	if err != nil {
		t.Fatal(err)
	}
	var found asked
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f := cmd.Flags().Lookup(flag)
		found.value, found.changed = f.Value.String(), f.Changed
		return nil
	}
	d.args = append(append([]string{}, path...), args...)
	found.code = runTree(context.Background(), d, root)
	found.stdout, found.stderr = out.String(), errs.String()
	return found
}

// sample is a value for a flag that is not its default.
func sample(t *testing.T, f *pflag.Flag) string {
	t.Helper()
	if enum, ok := f.Value.(*enumFlag); ok {
		return enum.values[len(enum.values)-1]
	}
	switch f.Value.Type() {
	case "bool":
		return fmt.Sprint(f.DefValue != "true")
	case "duration":
		return "7m13s"
	case "string":
		return "some, \"text\" of it"
	case "stringSlice":
		return `one,"two,three"`
	case "stringArray":
		return "one,two"
	case "int":
		return "17"
	}
	t.Fatalf("--%s is of type %s, for which this test has no value", f.Name, f.Value.Type())
	return ""
}

// TestSettings_everyFlag goes over every flag of every command. Its variable does what the flag does, and so
// does its place in the configuration file; where there is none, setting it is an error that says why.
func TestSettings_everyFlag(t *testing.T) {
	t.Parallel()
	checked := 0
	root := newRootCmd(newDeps(nil, ui.Streams{}, func(string) (string, bool) { return "", false }))
	for _, c := range allCommands(root) {
		if !c.Runnable() || c.Hidden || c.Name() == "help" {
			continue
		}
		path := strings.Fields(c.CommandPath())[1:]
		c.InitDefaultHelpFlag()
		flags := map[string]*pflag.Flag{}
		collect := func(f *pflag.Flag) { flags[f.Name] = f }
		c.Flags().VisitAll(collect)
		c.InheritedFlags().VisitAll(collect)
		for name, f := range flags {
			checked++
			t.Run(c.CommandPath()+" --"+name, func(t *testing.T) {
				t.Parallel()
				value := sample(t, f)
				if name == "config" {
					value = filepath.Join(t.TempDir(), "settings.yaml")
					writeText(t, value, "quiet: true\n")
				}
				variable := "EKSA_GITOPS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
				none := map[string]string{"XDG_CONFIG_HOME": t.TempDir()}
				byVariable := ask(t, path, name,
					map[string]string{"XDG_CONFIG_HOME": none["XDG_CONFIG_HOME"], variable: value})
				file := filepath.Join(t.TempDir(), "config.yaml")
				writeText(t, file, fmt.Sprintf("%s: %q\n", name, value))
				byFile := ask(t, path, name, none, "--config", file)
				if why := commandLineOnly[name]; why != "" {
					for source, got := range map[string]asked{variable: byVariable, file: byFile} {
						if got.code != 2 ||
							!strings.Contains(got.stderr, source) || !strings.Contains(got.stderr,
							"--"+name+" has to be given on the command line: "+why) {
							t.Errorf("exit code %d\n%s", got.code, got.stderr)
						}
					}
					return
				}
				byFlag := ask(t, path, name, none, "--"+name+"="+value)
				if byFlag.code != 0 || byFlag.value == f.DefValue || !byFlag.changed {
					t.Fatalf("on the command line: %+v", byFlag)
				}
				if byVariable != byFlag {
					t.Errorf("%s gives %+v, and the flag %+v", variable, byVariable, byFlag)
				}
				if name == "config" {
					if byFile = ask(t, path, "quiet", none, "--config", file); byFile.code != 2 {
						t.Errorf("config in a configuration file: %+v", byFile)
					}
				} else if byFile != byFlag {
					t.Errorf("the file gives %+v, and the flag %+v", byFile, byFlag)
				}
				// The command line wins.
				if f.Value.Type() != "bool" && name != "config" && !isEnum(f) {
					if got := ask(t, path, name,
						map[string]string{"XDG_CONFIG_HOME": none["XDG_CONFIG_HOME"], variable: sample2(f)},
						"--"+name+"="+value); got != byFlag {
						t.Errorf("with both: %+v", got)
					}
				}
			})
		}
	}
	if checked < 100 {
		t.Errorf("only %d flags were found", checked)
	}
}

func isEnum(f *pflag.Flag) bool { _, ok := f.Value.(*enumFlag); return ok }

func sample2(f *pflag.Flag) string {
	if f.Value.Type() == "duration" {
		return "3s"
	}
	return "other"
}

// TestSettings_refused has settings that nobody could heed, or that mean nothing. Each is named, with what
// was probably meant.
func TestSettings_refused(t *testing.T) {
	t.Parallel()
	create := []string{"create", "cluster"}
	for _, test := range []struct {
		environ map[string]string
		file    string
		want    string
	}{
		{environ: map[string]string{"EKSA_GITOPS_DRYRUN": "1"},
			want: "unknown environment variable EKSA_GITOPS_DRYRUN; did you mean EKSA_GITOPS_DRY_RUN?"},
		{environ: map[string]string{"EKSA_GITOPS_dry_run": "1"},
			want: "unknown environment variable EKSA_GITOPS_dry_run; did you mean EKSA_GITOPS_DRY_RUN?"},
		{environ: map[string]string{"EKSA_GITOPS_FILENAMES": ""},
			want: "unknown environment variable EKSA_GITOPS_FILENAMES; did you mean EKSA_GITOPS_FILENAME?"},
		{environ: map[string]string{"EKSA_GITOPS_CLUSTER_PRIVATE_KEY_PASSPRASE": "hunter2"},
			want: "did you mean EKSA_GITOPS_CLUSTER_PRIVATE_KEY_PASSPHRASE?"},
		{environ: map[string]string{"EKSA_GITOPS_COLOUR": "red"},
			want: "unknown environment variable EKSA_GITOPS_COLOUR; the variable of a flag is EKSA_GITOPS_ " +
				"and its name in capitals, as in EKSA_GITOPS_FLUX_TIMEOUT"},
		{environ: map[string]string{"EKSA_GITOPS_YES": "false"},
			want: "environment variable EKSA_GITOPS_YES: --yes has to be given on the command line: it " +
				"answers the question of one deletion"},
		{environ: map[string]string{"EKSA_GITOPS_DRY_RUN": "maybe"},
			want: `environment variable EKSA_GITOPS_DRY_RUN: invalid value "maybe": must be true or false`},
		{environ: map[string]string{"EKSA_GITOPS_DRY_RUN": ""},
			want: `environment variable EKSA_GITOPS_DRY_RUN: invalid value "": must be true or false`},
		{environ: map[string]string{"EKSA_GITOPS_TIMEOUT": "soon"}, want: `environment variable EKSA_GITOPS_TIMEOUT: invalid value "soon": must be a time such as 90s, 15m or 1h30m`},
		{environ: map[string]string{"EKSA_GITOPS_BUILD": `a"b`},
			want: "environment variable EKSA_GITOPS_BUILD: invalid value"},
		{environ: map[string]string{"EKSA_GITOPS_OUTPUT": "xml"},
			want: `environment variable EKSA_GITOPS_OUTPUT: invalid value "xml": must be one of text|json`},
		{file: "dry-run: yes\n", want: `dry-run: invalid value "yes": must be true or false`},
		{file: "dry_run: true\n", want: `unknown setting "dry_run"; did you mean "dry-run"?`},
		{file: "kubeconfig: [a, b]\n", want: "kubeconfig: must be one value, not a list"},
		{file: "filename: [[a]]\n", want: "filename: must be a text, a number, true or false"},
		{file: "kubeconfig: {a: b}\n", want: `unknown setting "kubeconfig.a"`},
		{file: "config: x\n",
			want: "the setting config is this file's own name: use --config or EKSA_GITOPS_CONFIG"},
		{file: "yes: true\n", want: "--yes has to be given on the command line"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			environ := map[string]string{"XDG_CONFIG_HOME": t.TempDir()}
			for name, value := range test.environ {
				environ[name] = value
			}
			var args []string
			if test.file != "" {
				path := filepath.Join(t.TempDir(), "config.yaml")
				writeText(t, path, test.file)
				args = []string{"--config", path}
			}
			got := ask(t, create, "dry-run", environ, args...)
			if got.code != 2 || !strings.Contains(got.stderr, test.want) {
				t.Errorf("exit code %d, want 2\n%s\nwant %s", got.code, got.stderr, test.want)
			}
			if strings.Contains(got.stderr, "strconv") || strings.Contains(got.stderr, "hunter2") {
				t.Errorf("printed:\n%s", got.stderr)
			}
		})
	}
}

// TestSettings_fileLists has lists of the configuration file in both forms; spaces do not part values.
func TestSettings_fileLists(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"build: [dev, test]\n": "[dev,test]",
		"build: dev,test\n":    "[dev,test]",
		"build: dev test\n":    "[dev test]",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		writeText(t, path, content)
		if got := ask(t, []string{"create", "cluster"}, "build", map[string]string{}, "--config",
			path); got.code != 0 || got.value != want || !got.changed {
			t.Errorf("%q gives %+v, want %s", content, got, want)
		}
	}
}

func writeText(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
