package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

func TestMain(m *testing.M) {
	if !fluxmanifests.Complete() {
		fmt.Fprintln(os.Stderr,
			"Flux's manifests are missing; they are generated, not committed: run make generate first")
		os.Exit(1)
	}
	testscript.Main(m, map[string]func(){
		"eksa-gitops": func() { os.Exit(cli.Main()) },
	})
}

// serverKey finds the GitHub of a script among the values of its environment.
type serverKey struct{}

// scripts are the files of testdata/script; where tests are asked to be short, as for the race detector,
// those are left out that start the program often and have it do nothing side by side but what the tests of
// pkg/lint and pkg/clusterspec do, too.
func scripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	if testing.Short() {
		again := regexp.MustCompile(`^(lint|validate|convert|between)_?`)
		files = slices.DeleteFunc(files, func(file string) bool {
			return again.MatchString(filepath.Base(file))
		})
	}
	return files
}

// TestScripts runs the program as a user would, one script a promise, against a GitHub of the script's own
// and without a cluster. After each script the GitHub has seen no write, and nothing that the program printed
// holds the token.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Files:               scripts(t),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			gh := githubtest.Start(t)
			gh.AddUser("alice")
			token := gh.AddClassicToken("alice", "repo")
			env.Values[serverKey{}] = gh
			env.Setenv("HOME", "/no-home")
			env.Setenv("LANG", "C.UTF-8")
			env.Setenv("TERM", "dumb")
			env.Setenv("EKSA_GITHUB_TOKEN", token)
			env.Setenv("SENTINEL", token)
			env.Setenv("EKSA_GITOPS_GITHUB_API_URL", gh.RootAPIURL())
			env.Setenv("EKSA_GITOPS_GITHUB_GIT_URL", gh.GitURL())
			env.Setenv("EKSA_GITOPS_GITHUB_SSH_URL", gh.SSHURL())
			env.Setenv("EKSA_GITOPS_CA_FILE", gh.CAFile())
			return copySpecs(env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"replace": replace,
			"fleet":   fleet,
			"nothing-written": func(ts *testscript.TestScript, _ bool, _ []string) {
				gh, _ := ts.Value(serverKey{}).(*githubtest.Server)
				if writes := gh.Mutations(); len(writes) > 0 {
					ts.Fatalf("GitHub saw writes: %v", writes)
				}
			},
		},
	})
}

// copySpecs puts the cluster files of the end-to-end tests where scripts find them.
func copySpecs(dir string) error {
	for _, name := range []string{"mgmt.yaml", "dev.yaml"} {
		content, err := os.ReadFile(filepath.Join("../../test/e2e/testdata", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// exits runs a command and asserts its exit code: exits 3 eksa-gitops create cluster -f x.yaml. What it
// printed is in stdout and stderr afterwards, holds no token, and is as the schemas say where it is JSON.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		// The error of os/exec reads "exit status N".
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &code); scanErr != nil {
			ts.Fatalf("%v", err)
		}
	}
	printed := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	if want := args[0]; fmt.Sprint(code) != want {
		ts.Fatalf("exit code %d, want %s\n%s", code, want, printed)
	}
	if token := ts.Getenv("SENTINEL"); strings.Contains(printed, token) {
		ts.Fatalf("the token was printed")
	}
	if args[1] == "eksa-gitops" {
		ts.Check(checkForms(args[2:], ts.Getenv, ts.ReadFile("stdout"), ts.ReadFile("stderr")))
	}
}

// replace changes a file: replace FILE OLD NEW.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	unescape := strings.NewReplacer(`\n`, "\n", `\t`, "\t")
	content := ts.ReadFile(args[0])
	changed := strings.Replace(content, unescape.Replace(args[1]), unescape.Replace(args[2]), 1)
	if changed == content {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(changed), 0o600))
}
