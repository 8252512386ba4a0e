// Command demo shows the program's main job on real parts: a Kubernetes control plane, Flux, Git and a GitHub
// of our own, all started here and stopped again at the end.
//
//	go run ./demo -program ../bin/eksa-gitops [-keep]
//
// With -keep everything stays up until Ctrl-C, and the demo prints how to use it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// specs is where the demo's cluster files are, seen from the folder of the test module.
const specs = "e2e/testdata"

func main() {
	program := flag.String("program", "../bin/eksa-gitops", "the built `program`")
	keep := flag.Bool("keep", false, "leave everything up until Ctrl-C")
	flag.Parse()
	// Ctrl-C ends a tee behind the demo, too: what it writes then must not end it before it has cleaned up.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, *program, *keep); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// show is one demonstration under way.
type show struct {
	ctx     context.Context // one run, one context; every method of the show needs it
	program string
	dir     string
	env     []string
	stack   *stack.Stack
	github  *githubtest.Server
	token   string
}

func run(ctx context.Context, program string, keep bool) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "eksa-gitops-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	title("Starting a Kubernetes control plane, an EKS Anywhere controller and a GitHub on this machine")
	began := time.Now()
	s, err := stack.Start(ctx, stack.Options{Flux: stack.FluxWhenInstalled, Progress: os.Stdout})
	if err != nil {
		return err
	}
	defer s.Stop()
	gh, err := githubtest.New(ctx, githubtest.Options{})
	if err != nil {
		return err
	}
	defer gh.Close()
	gh.AddUser("alice")
	gh.SetCreationLag(githubtest.Lag{}) // it shows a good day
	d := &show{ctx: ctx, program: program, dir: dir, stack: s, github: gh,
		token: gh.AddClassicToken("alice", "repo")}
	d.env = []string{
		"HOME=" + dir, "PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "TERM=" + os.Getenv("TERM"),
		"LANG=C.UTF-8", "KUBECONFIG=" + s.Kubeconfig(), "EKSA_GITHUB_TOKEN=" + d.token,
		"EKSA_GITOPS_GITHUB_API_URL=" + gh.RootAPIURL(), "EKSA_GITOPS_GITHUB_GIT_URL=" + gh.GitURL(),
		"EKSA_GITOPS_GITHUB_SSH_URL=" + gh.SSHURL(), "EKSA_GITOPS_CA_FILE=" + gh.CAFile(),
	}
	for _, name := range []string{"mgmt.yaml", "dev.yaml"} {
		content, err := os.ReadFile(filepath.Join(specs, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
		if name == "mgmt.yaml" {
			if err := s.SeedManagementCluster(ctx, content); err != nil {
				return err
			}
		}
	}
	fmt.Printf("The management cluster mgmt is up, as eksctl anywhere leaves it (%s).\n",
		time.Since(began).Round(100*time.Millisecond))

	if err := d.story(); err != nil {
		return err
	}
	if keep {
		d.explain()
		<-ctx.Done()
	}
	title("Stopping everything")
	return nil
}

func (d *show) story() error {
	title("1. The management cluster goes into Git, and Flux onto it")
	if err := d.command("eksa-gitops", "create", "cluster", "-f", "mgmt.yaml"); err != nil {
		return err
	}
	title("2. The same again: nothing to do")
	if err := d.command("eksa-gitops", "create", "cluster", "-f", "mgmt.yaml"); err != nil {
		return err
	}
	title("3. A workload cluster: Flux creates it from the commit")
	if err := d.command("eksa-gitops", "create", "cluster", "-f", "dev.yaml"); err != nil {
		return err
	}
	title("4. What is in the repository")
	client := d.github.GitClient(githubtest.WithToken(d.token))
	clone, err := client.Clone(d.ctx, d.github.GitURL()+"alice/fleet.git", filepath.Join(d.dir, "fleet"))
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"ls-files"}, {"log", "--format=%h %an: %s"}} {
		fmt.Println("$ git " + shown(args))
		out, err := client.Git(d.ctx, filepath.Join(d.dir, "fleet"), args...)
		if err != nil {
			return err
		}
		fmt.Println(strings.TrimRight(out, "\n"))
	}
	return d.scale(clone)
}

// scale changes the number of workers with plain git, as any colleague would, and watches Flux apply it.
func (d *show) scale(clone *gittest.WorkTree) error {
	title("5. A colleague scales dev from 1 to 3 workers with plain git")
	path := "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"
	content, err := os.ReadFile(filepath.Join(d.dir, "fleet", path))
	if err != nil {
		return err
	}
	clone.Write(path, strings.Replace(string(content), "count: 1   # scaled", "count: 3   # scaled", 1))
	fmt.Println("$ git commit -am 'Scale dev to three workers' && git push")
	commit, err := clone.Commit(d.ctx, "Scale dev to three workers")
	if err != nil {
		return err
	}
	if err := clone.Push(d.ctx); err != nil {
		return err
	}
	fmt.Println("pushed", commit[:7])
	began := time.Now()
	if err := d.reconcileNow(); err != nil {
		return err
	}
	dev := &unstructured.Unstructured{}
	dev.SetGroupVersionKind(schema.GroupVersionKind{Group: "anywhere.eks.amazonaws.com", Version: "v1alpha1",
		Kind: "Cluster"})
	dev.SetNamespace("default")
	dev.SetName("dev")
	err = d.stack.WaitFor(d.ctx, dev, "three workers", func() bool {
		groups, _, _ := unstructured.NestedSlice(dev.Object, "spec", "workerNodeGroupConfigurations")
		if len(groups) == 0 {
			return false
		}
		group, _ := groups[0].(map[string]any)
		return group["count"] == int64(3)
	})
	if err != nil {
		return err
	}
	fmt.Printf("Flux has applied it: Cluster dev now has 3 workers in its spec (%s after the push).\n",
		time.Since(began).Round(100*time.Millisecond))
	err = d.stack.WaitFor(d.ctx, dev, "the workers are there", func() bool {
		observed, _, _ := unstructured.NestedInt64(dev.Object, "status", "observedGeneration")
		conditions, _, _ := unstructured.NestedSlice(dev.Object, "status", "conditions")
		return observed == dev.GetGeneration() && slices.ContainsFunc(conditions, func(c any) bool {
			condition, _ := c.(map[string]any)
			return condition["type"] == "Ready" && condition["status"] == "True"
		})
	})
	if err != nil {
		return err
	}
	fmt.Printf("EKS Anywhere has made them (%s after the push).\n",
		time.Since(began).Round(100*time.Millisecond))
	title("6. What there is now")
	return d.command("eksa-gitops", lastCommand...)
}

// lastCommand ends the story, and is what a person may try afterwards: dev.yaml does not say any more what
// Git says.
var lastCommand = []string{"status"}

// reconcileNow does what a webhook receiver or `flux reconcile` does; without it Flux looks once a minute.
func (d *show) reconcileNow() error {
	source := &unstructured.Unstructured{}
	source.SetGroupVersionKind(schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1",
		Kind: "GitRepository"})
	source.SetNamespace("flux-system")
	source.SetName("flux-system")
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`,
		time.Now().Format(time.RFC3339Nano))
	return d.stack.Client().Patch(d.ctx, source,
		client.RawPatch("application/merge-patch+json", []byte(patch)))
}

// command runs the program with the terminal as it is, so that its output is what a user sees.
func (d *show) command(name string, args ...string) error {
	fmt.Println("$ " + name + " " + shown(args))
	began := time.Now()
	cmd := exec.CommandContext(d.ctx, d.program, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, shown(args), err)
	}
	fmt.Printf("(%s)\n", time.Since(began).Round(10*time.Millisecond))
	return nil
}

// explain says how to use what is left up.
func (d *show) explain() {
	title("Everything stays up until Ctrl-C. In another terminal:")
	fmt.Printf("cd %s\n", d.dir)
	for _, setting := range d.env[4:] {
		fmt.Printf("export %s\n", setting)
	}
	fmt.Printf("export GIT_SSL_CAINFO=%s\n", d.github.CAFile())
	fmt.Println("kubectl get clusters,gitrepositories,kustomizations -A")
	fmt.Printf("%s %s\n", d.program, shown(lastCommand))
}

func title(text string) { fmt.Printf("\n=== %s\n", text) }

func shown(args []string) string {
	words := make([]string, 0, len(args))
	for _, a := range args {
		if strings.ContainsAny(a, " %") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
