package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files of the person who runs the program: what is in the place of a local copy and was not written by
// this program stays as it is, bytes and mode, and the result says so; and so does every other file that a
// run would write.
func TestLocalFiles(t *testing.T) {
	w := newFleetWorld(t)
	const place = "dev/dev-eks-a-cluster.yaml"
	if err := os.RemoveAll(filepath.Join(w.dir, "dev")); err != nil {
		t.Fatal(err)
	}
	own := w.read("dev.yaml") +
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\n  namespace: default\n"
	path := filepath.Join(w.dir, place)
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write(place, own)
	inGit := func() string { return w.files()["clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"] }
	stays := func(content string, beside ...string) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || w.read(place) != content || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v; %s holds\n%s", info.Mode(), err, place, w.read(place))
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1+len(beside) {
			t.Errorf("%d files are in the folder, %v", len(entries), err)
		}
		for _, name := range beside {
			if w.read(name) != inGit() {
				t.Errorf("%s holds\n%s", name, w.read(name))
			}
		}
	}

	// It is the file that was given.
	w.run("create", "cluster", "-f", place).exits(0).prints(place +
		" was left as it is; no copy was written.")
	stays(own)
	w.run("upgrade", "cluster", "-f", place).exits(0).prints(place +
		" was left as it is; no copy was written.")
	stays(own)
	// It holds an edit that is nowhere else.
	pending := strings.Replace(own, "numCPUs: 2", "numCPUs: 3", 1)
	if pending == own {
		t.Fatal("dev.yaml is not what this test edits")
	}
	w.write(place, pending)
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Nothing to do",
		place+" was left as it is; the copy is in "+place+".from-git.")
	stays(pending, place+".from-git")
	w.run("upgrade", "cluster", "-f", "dev.yaml", "-o", "json").exits(0).prints(`"localSpec": "`+place+
		`.from-git"`, `"localSpecKept": "`+place+`"`)
	stays(pending, place+".from-git")
	// What Git has had is brought up to date.
	w.write(place, inGit())
	w.edit("dev.yaml", "memoryMiB: 8192", "memoryMiB: 10240")
	w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0).prints("local copy  " + place)
	if w.read(place) != inGit() || !strings.Contains(inGit(), "memoryMiB: 10240") {
		t.Errorf("%s holds\n%s", place, w.read(place))
	}

	// A place that cannot be written is found before anything is done.
	if err := os.Rename(filepath.Dir(path), filepath.Join(w.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	w.write("dev", "a file in the place of the folder")
	w.edit("dev.yaml", "memoryMiB: 10240", "memoryMiB: 12288")
	before := w.mark()
	for _, args := range [][]string{{"create", "cluster", "-f", "dev.yaml", "--overwrite"},
		{"upgrade", "cluster", "-f", "dev.yaml"}, {"upgrade", "cluster", "-f", "dev.yaml", "--dry-run"}} {
		w.run(args...).exits(3).tells("the local copy of the cluster's file cannot be written: no file can "+
			"be written in directory "+filepath.Join(w.dir, "dev"), "nothing has been changed")
	}
	before.writesNothing()

	// A kubeconfig replaces nothing either.
	w.run("get", "kubeconfig", "dev", "--file", "dev.kubeconfig").exits(0).tells("wrote dev.kubeconfig")
	w.run("get", "kubeconfig", "dev", "--file", "dev.kubeconfig").exits(0).tells(
		"dev.kubeconfig is up to date")
	kubeconfig := w.read("dev.kubeconfig")
	w.write("dev.kubeconfig", "mine")
	w.run("get", "kubeconfig", "dev", "--file", "dev.kubeconfig").exits(3).tells(
		"dev.kubeconfig already contains something else, and was left as it is", "--overwrite")
	if got := w.read("dev.kubeconfig"); got != "mine" {
		t.Errorf("dev.kubeconfig holds %q", got)
	}
	w.run("get", "kubeconfig", "dev", "--file", "dev.kubeconfig", "--overwrite").exits(0)
	if got := w.read("dev.kubeconfig"); got != kubeconfig {
		t.Errorf("dev.kubeconfig holds %q", got)
	}

	// An output that cannot be written is a failure of the commands that look, too.
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this machine has no /dev/full: %v", err)
	}
	defer full.Close()
	for _, args := range [][]string{{"status"}, {"get", "clusters"}, {"get", "kubeconfig", "dev"},
		{"delete", "cluster", "dev", "--dry-run"}} {
		p := w.command(args)
		p.cmd.Stdout, p.cmd.Stderr = full, &p.stderr
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p.wait().exits(1).tells("error: the output could not be written")
	}
}
