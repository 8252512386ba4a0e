package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// TestUnread: a program whose output nobody reads ends without a story, with the exit code that a shell gives
// to one that SIGPIPE has ended. An output that cannot be written for another reason is an error.
func TestUnread(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this machine has no /dev/full: %v", err)
	}
	defer full.Close()
	reader, unread, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	const spec = "../../test/e2e/testdata/mgmt.yaml"
	const plain, broken = "../../testdata/specs/valid/docker-no-gitops.yaml",
		"../../testdata/specs/invalid/empty.yaml"
	const lost = "eksa-gitops: error: the output could not be written: write /dev/stdout: no space left on " +
		"device\neksa-gitops: hint: make room where the output goes, or send it elsewhere, and run the " +
		"same command again\n"
	for _, test := range []struct {
		out  *os.File
		args []string
		code int
		told string
	}{
		{unread, []string{"version"}, 141, ""},
		{unread, []string{"--help"}, 141, ""},
		{unread, []string{"completion", "bash"}, 141, ""},
		{unread, []string{"validate", "-f", spec, "-o", "json"}, 141, ""},
		{full, []string{"version"}, 1, lost},
		{full, []string{"version", "-o", "json"}, 1, lost},
		{full, []string{"--help"}, 1, lost},
		{full, []string{"help", "create", "cluster"}, 1, lost},
		{full, []string{"completion", "bash"}, 1, lost},
		{full, []string{"validate", "-f", spec}, 1, lost},
		{full, []string{"validate", "-f", spec, "-o", "json"}, 1, lost},
		{full, []string{"validate", "-f", spec, "-o", "sarif"}, 1, lost},
		{full, []string{"lint", "../../testdata/layout"}, 1, lost},
		{full, []string{"lint", "../../testdata/layout", "-o", "github"}, 1, lost},
		{full, []string{"convert", "-f", spec, "-q"}, 1, lost},
		{full, []string{"create", "cluster", "-f", plain}, 1, lost}, // without GitOps there is nothing to do
		{full, []string{"validate", "-f", broken}, 1, lost},
	} {
		var told bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "eksa-gitops", test.args...)
		cmd.Stdout, cmd.Stderr = test.out, &told
		if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != test.code || told.String() != test.told {
			t.Errorf("eksa-gitops %v: exit code %d, want %d; it says %q, want %q",
				test.args, code, test.code, told.String(), test.told)
		}
	}
}
