package eksctl_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/eksctl"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// TestMain is the child, too: linked to as eksctl, the test program does what ACT says.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "eksctl" {
		os.Exit(act(os.Getenv("ACT")))
	}
	os.Exit(m.Run())
}

func act(what string) int {
	if slices.Contains(os.Args, "version") {
		if what == "broken" {
			fmt.Println("unknown command \"anywhere\" for \"eksctl\", password sup3rs3cret")
			return 1
		}
		fmt.Println("Version: v0.22.3\nRelease Manifest URL: https://releases.example/manifest.yaml")
		return 0
	}
	fmt.Println("args:", strings.Join(os.Args[1:], " "))
	switch what {
	case "environment":
		for _, entry := range os.Environ() {
			name, _, _ := strings.Cut(entry, "=")
			fmt.Println("has", name)
		}
	case "file":
		path := os.Args[slices.Index(os.Args, "-f")+1]
		content, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		parent, parentErr := os.Stat(filepath.Dir(path))
		if err := errors.Join(err, statErr, parentErr); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Printf("spec %s\nmode %v %v\n", content, info.Mode(), parent.Mode())
		if i := slices.Index(os.Args, "--w-config"); i > 0 {
			content, err := os.ReadFile(os.Args[i+1])
			fmt.Printf("own kubeconfig %s %v\n", content, err)
		}
	case "leak":
		fmt.Fprint(os.Stderr, "password sup3r")
		time.Sleep(20 * time.Millisecond)
		fmt.Fprint(os.Stderr, "s3cret in two writes\n")
		fmt.Println(base64.StdEncoding.EncodeToString([]byte("administrator:sup3rs3cret")))
		fmt.Println("title \x1b]0;owned\x07 done\rnext")
		fmt.Print("no line end: sup3rs3cret")
	case "fail":
		for i := range 30 {
			fmt.Println("line", i)
		}
		return 7
	case "hang":
		fmt.Println("hanging")
		time.Sleep(time.Minute)
	}
	return 0
}

type child struct {
	t     *testing.T
	dir   string
	mu    sync.Mutex
	lines []string
	said  chan string
}

func newChild(t *testing.T) *child {
	t.Helper()
	t.Parallel()
	return &child{t: t, dir: t.TempDir(), said: make(chan string, 1000)}
}

// provisioner links the programs into a PATH of its own.
func (c *child) provisioner(act string, o eksctl.Options) *eksctl.Provisioner {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	bin := filepath.Join(c.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{"eksctl", "eksctl-anywhere"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			c.t.Fatal(err)
		}
	}
	o.Dir = c.dir
	o.Environ = append([]string{"PATH=relative" + string(os.PathListSeparator) + bin, "ACT=" + act,
		"EKSA_VSPHERE_PASSWORD=sup3rs3cret"},
		o.Environ...)
	o.Now = func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	o.Line = func(line string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lines = append(c.lines, line)
		c.said <- line
	}
	return eksctl.New(o)
}

func (c *child) output() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

var createDev = gitops.ProvisionJob{Verb: gitops.VerbCreate, Cluster: "dev", ManagementCluster: "mgmt",
	Spec: []byte("kind: Cluster\n")}

func TestCheck(t *testing.T) {
	c := newChild(t)
	version, err := c.provisioner("", eksctl.Options{}).Check(t.Context())
	if version != "v0.22.3" || err != nil {
		t.Errorf("Check: %q, %v", version, err)
	}
	var broken *eksctl.BrokenError
	_, err = c.provisioner("broken", eksctl.Options{}).Check(t.Context())
	if !errors.As(err, &broken) || !strings.Contains(err.Error(),
		`exit status 1: unknown command "anywhere" for "eksctl", password ***`) {
		t.Errorf("broken: %v", err)
	}
	if err := os.Remove(filepath.Join(c.dir, "bin", "eksctl-anywhere")); err != nil {
		t.Fatal(err)
	}
	without := eksctl.New(eksctl.Options{Environ: []string{"PATH=" + filepath.Join(c.dir, "bin")}})
	if _, err := without.Check(t.Context()); err == nil || err.Error() != "eksctl-anywhere is not on PATH" {
		t.Errorf("without the plugin: %v", err)
	}
	nowhere := eksctl.New(eksctl.Options{Environ: []string{"PATH=/nowhere"}})
	if _, err := nowhere.Check(t.Context()); err == nil || err.Error() != "eksctl is not on PATH" {
		t.Errorf("without eksctl: %v", err)
	}
}

// The child gets a private copy of the spec, which is gone afterwards, and the flags that EKS Anywhere
// documents.
func TestRun_arguments(t *testing.T) {
	c := newChild(t)
	p := c.provisioner("file",
		eksctl.Options{Kubeconfig: "mgmt.kubeconfig", Args: []string{"--skip-ip-check"}})
	if got, want := p.Command(createDev), "eksctl anywhere create cluster -f dev.yaml --kubeconfig "+
		"mgmt.kubeconfig --skip-ip-check"; got != want {
		t.Errorf("Command: %s", got)
	}
	log, err := p.Run(t.Context(), createDev)
	if err != nil {
		t.Fatal(err)
	}
	out := c.output()
	for _, want := range []string{"/dev.yaml --kubeconfig mgmt.kubeconfig --skip-ip-check",
		"spec kind: Cluster", "mode -rw------- drwx------"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	_, rest, _ := strings.Cut(out, "-f ")
	path, _, _ := strings.Cut(rest, " ")
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the private copy is still there: %v", err)
	}
	if log != filepath.Join("dev", "dev-eksctl-create-20260301T120000Z.log") {
		t.Errorf("log %s", log)
	}
	info, err := os.Stat(filepath.Join(c.dir, log))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log: %v, %v", info, err)
	}
	content, err := os.ReadFile(filepath.Join(c.dir, log))
	if err != nil || string(content) != "$ "+p.Command(createDev)+"\n"+out+"\n" {
		t.Errorf("log: %s (%v)", content, err)
	}

	// A deletion needs the cluster's own kubeconfig, and is given it unless it finds it.
	job := gitops.ProvisionJob{Verb: gitops.VerbDelete, Cluster: "dev", ManagementCluster: "mgmt",
		Kubeconfig: secret.New("apiVersion: v1")}
	if _, err := p.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if out := c.output(); !strings.Contains(out, "own kubeconfig apiVersion: v1 <nil>") {
		t.Errorf("the child has not got the cluster's kubeconfig:\n%s", out)
	}
	kubeconfig := filepath.Join(c.dir, "dev", "dev-eks-a-cluster.kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if command := p.Command(job); !p.HasKubeconfig("dev") || strings.Contains(command, "w-config") {
		t.Errorf("with a kubeconfig in place: %s", command)
	}
	for _, want := range []bool{true, false} {
		if forgot, err := p.Forget("dev"); forgot != want || err != nil {
			t.Errorf("Forget: %v, %v, want %v", forgot, err, want)
		}
	}
	// A management cluster's kubeconfig is the one that EKS Anywhere writes.
	job = gitops.ProvisionJob{Verb: gitops.VerbCreate, Cluster: "mgmt", ManagementCluster: "mgmt"}
	if got, want := p.Command(job),
		"eksctl anywhere create cluster -f mgmt.yaml --skip-ip-check"; got != want {
		t.Errorf("Command: %s", got)
	}
}

func TestRun_environment(t *testing.T) {
	c := newChild(t)
	p := c.provisioner("environment", eksctl.Options{Environ: []string{
		"EKSA_GITHUB_TOKEN=ghp_x", "EKSA_GIT_PRIVATE_KEY=/k", "EKSA_GIT_SSH_KEY_PASSPHRASE=p",
		"EKSA_GITOPS_TIMEOUT=1h", "KUBECONFIG=/k", "SSH_AUTH_SOCK=/s", "EKSA_VSPHERE_USERNAME=u",
		"HTTPS_PROXY=http://proxy", "HOME=/h",
	}})
	if _, err := p.Run(t.Context(), createDev); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.SplitSeq(c.output(), "\n") {
		if name, ok := strings.CutPrefix(line, "has "); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if want := []string{"ACT", "EKSA_VSPHERE_PASSWORD", "EKSA_VSPHERE_USERNAME", "HOME", "HTTPS_PROXY",
		"PATH"}; !slices.Equal(names, want) {
		t.Errorf("the child's environment: %v, want %v", names, want)
	}
}

func TestRun_secretsAndControlCharacters(t *testing.T) {
	c := newChild(t)
	log, err := c.provisioner("leak", eksctl.Options{}).Run(t.Context(), createDev)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(c.dir, log))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"output": c.output(), "log": string(content)} {
		for _, want := range []string{"password *** in two writes", `title \x1b]0;owned\x07 done` + "\nnext",
			"no line end: ***"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in:\n%s", where, want, text)
			}
		}
		if strings.Contains(text, "sup3r") || strings.Contains(text, "c3VwM3J") ||
			strings.Contains(text, "N1cDNyczNj") {
			t.Errorf("%s holds the secret:\n%s", where, text)
		}
	}
}

func TestRun_failure(t *testing.T) {
	c := newChild(t)
	log, err := c.provisioner("fail", eksctl.Options{}).Run(t.Context(), createDev)
	var failed *eksctl.FailedError
	if !errors.As(err, &failed) || failed.ExitCode != 7 || failed.Log != log || failed.Tail[0] != "line 18" ||
		len(failed.Tail) != 12 {
		t.Fatalf("%#v", err)
	}
	if want := "eksctl anywhere create cluster -f dev.yaml failed with exit code 7; it ended with:\n" +
		"  line 18\n"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("message: %s", err)
	}
	if failed.Hint() != "all of its output is in "+log {
		t.Errorf("hint: %s", failed.Hint())
	}
	// The next run has a log of its own.
	again, _ := c.provisioner("fail", eksctl.Options{}).Run(t.Context(), createDev)
	if again == log || !strings.HasSuffix(again, "-2.log") {
		t.Errorf("second log %s", again)
	}
}

func TestRun_interrupted(t *testing.T) {
	c := newChild(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := c.provisioner("hang", eksctl.Options{})
	go func() {
		for line := range c.said {
			if line == "hanging" {
				cancel()
				return
			}
		}
	}()
	began := time.Now()
	_, err := p.Run(ctx, createDev)
	var failed *eksctl.FailedError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &failed) || failed.Signal != "interrupt" ||
		failed.Killed {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
