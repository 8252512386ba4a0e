//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program runs the program in a directory of the test's, with these variables and no others, and returns its
// exit code and what it printed.
func program(t *testing.T, dir string, env []string, args ...string) (code int, out, errs string) {
	t.Helper()
	path, err := exec.LookPath("eksa-gitops")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"TERM=dumb", "LANG=C.UTF-8"}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("eksa-gitops %s does not end", strings.Join(args, " "))
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// specsIn puts the cluster files of the end-to-end tests into a new directory.
func specsIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := copySpecs(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pipeIn(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A home directory may be anything: what needs nothing from it works all the same.
func TestOddHome(t *testing.T) {
	t.Parallel()
	dir := specsIn(t)
	loop := filepath.Join(dir, "loop")
	piped := filepath.Join(dir, "piped", ".config", "eksa-gitops")
	listed := filepath.Join(dir, "listed", ".config", "eksa-gitops", "config.yaml")
	broken := filepath.Join(dir, "broken", ".config", "eksa-gitops")
	for _, err := range []error{
		os.Symlink("loop", loop), os.MkdirAll(piped, 0o700),
		syscall.Mkfifo(filepath.Join(piped, "config.yaml"), 0o600), os.MkdirAll(listed, 0o700),
		os.MkdirAll(broken, 0o700), os.WriteFile(filepath.Join(broken, "config.yaml"), []byte("{"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	homes := []string{
		"", "relative", "/none", os.DevNull, filepath.Join(dir, "mgmt.yaml"), loop,
		filepath.Join(dir, strings.Repeat("x", 4000)), filepath.Join(dir, "piped"), filepath.Join(dir,
			"listed"),
	}
	if testing.Short() {
		homes = homes[:2]
	}
	for _, home := range homes {
		for _, args := range [][]string{{"version"}, {"completion", "bash"}, {"help"},
			{"__complete", "create", ""}, {"validate", "-f", "mgmt.yaml"}} {
			if code, out, errs := program(t, dir, []string{"HOME=" + home}, args...); code != 0 ||
				out == "" || strings.Contains(errs, "error") {
				t.Errorf("HOME=%.60s eksa-gitops %s: exit code %d: %s",
					home, strings.Join(args, " "), code, errs)
			}
		}
	}
	// Settings that cannot be read are no settings for a command that has any, but nothing to it that has
	// none.
	for command, want := range map[string]int{"version": 0, "completion bash": 0, "help": 0,
		"validate -f mgmt.yaml": 2} {
		if code, _, errs := program(t, dir, []string{"HOME=" + filepath.Join(dir, "broken")},
			strings.Fields(command)...); code != want {
			t.Errorf("broken settings: eksa-gitops %s: exit code %d, want %d: %s", command, code, want, errs)
		}
	}
}

// Whatever file is a pipe that nobody writes to, the time limit of the run ends the wait, or it is refused at
// once.
func TestPipes(t *testing.T) {
	t.Parallel()
	dir := specsIn(t)
	pipe := pipeIn(t, dir)
	generic := strings.Replace(readFile(t, filepath.Join(dir, "mgmt.yaml")),
		"  github:\n    personal: true\n    owner: alice\n    repository: fleet\n",
		"  git:\n    repositoryUrl: ssh://git@git.example.com/fleet.git\n", 1)
	if !strings.Contains(generic, "repositoryUrl") {
		t.Fatal("mgmt.yaml is not what this test changes")
	}
	if err := os.WriteFile(filepath.Join(dir, "git.yaml"), []byte(generic), 0o600); err != nil {
		t.Fatal(err)
	}
	const over = "the time limit of 1s is over"
	for _, c := range []struct {
		args string
		env  []string
		told string
	}{
		{"create cluster -f mgmt.yaml --timeout 1s --config " + pipe, nil, over},
		{"create cluster -f mgmt.yaml --timeout 1s", []string{"EKSA_GITOPS_CONFIG=" + pipe}, over},
		{"create cluster --timeout 1s -f " + pipe, nil, over},
		{"upgrade cluster --timeout 1s -f " + pipe, nil, over},
		{"delete cluster --yes --timeout 1s -f " + pipe, nil, over},
		{"validate --timeout 1s -f " + pipe, nil, over},
		{"validate -f " + pipe, []string{"EKSA_GITOPS_TIMEOUT=1s"}, over},
		{"create cluster -f mgmt.yaml --timeout 1s --bundles " + pipe, nil, over},
		{"create cluster -f mgmt.yaml --timeout 1s --ca-file " + pipe, nil, over},
		{"create cluster -f git.yaml --timeout 1s",
			[]string{"EKSA_GIT_PRIVATE_KEY=" + pipe, "EKSA_GIT_KNOWN_HOSTS=mgmt.yaml"}, over},
		{"create cluster -f git.yaml --timeout 1s --cluster-private-key " + pipe,
			[]string{"SSH_AUTH_SOCK=none"}, over},
		{"create cluster -f git.yaml --timeout 1s", []string{"EKSA_GIT_KNOWN_HOSTS=" + pipe}, over},
		{"status --timeout 1s --kubeconfig " + pipe, nil, pipe + " is not a regular file"},
		{"status --timeout 1s", []string{"KUBECONFIG=" + pipe}, pipe + " is not a regular file"},
		// Where Git looks for its own configuration, nobody waits.
		{"create cluster -f mgmt.yaml --timeout 50s", []string{"GIT_CONFIG_GLOBAL=" + pipe,
			"EKSA_GITHUB_TOKEN=none", "EKSA_GITOPS_GITHUB_API_URL=https://127.0.0.1:1"},
			"there is no kubeconfig"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			code, _, errs := program(t, dir, append(c.env, "HOME=/none"), strings.Fields(c.args)...)
			if code == 0 || !strings.Contains(errs, c.told) {
				t.Errorf("%v: exit code %d, says %s; want %q", c.env, code, errs, c.told)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// A file to write that cannot be one is refused before the cluster is looked at.
func TestGetKubeconfig_target(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := pipeIn(t, dir)
	for name, mode := range map[string]os.FileMode{"open": 0o644, "file": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		file string
		told string
	}{
		{os.DevNull, "/dev/null is a device, not a regular file"},
		{"/dev/stdout", "/dev/stdout is a pipe, not a regular file"},
		{pipe, pipe + " is a pipe, not a regular file"},
		{dir, dir + " is a directory, not a regular file"},
		{filepath.Join(dir, "file", "new"),
			"no file can be written in directory " + filepath.Join(dir, "file") + ": not a directory"},
	} {
		for _, args := range [][]string{{"--file", c.file}, {"--merge"}} {
			code, out, errs := program(t, dir, []string{"HOME=/none", "KUBECONFIG=" + c.file},
				append([]string{"get", "kubeconfig", "dev", "--kubeconfig", "none"}, args...)...)
			if want := "eksa-gitops: error: " + args[0] + ": " + c.told; code != 3 ||
				!strings.HasPrefix(errs, want) || out != "" {
				t.Errorf("%v: exit code %d, says %s; want %s", args, code, errs, want)
			}
		}
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", info.Mode(), err)
	}
	code, _, errs := program(t, dir, []string{"HOME=/none"}, "get", "kubeconfig", "dev", "--kubeconfig",
		"none", "--file", "open")
	if code != 3 || !strings.HasPrefix(errs,
		"eksa-gitops: error: others can read open, and whoever has the kubeconfig administers the cluster\n"+
			"eksa-gitops: hint: chmod 600 open\n") {
		t.Errorf("exit code %d, says %s", code, errs)
	}
}
