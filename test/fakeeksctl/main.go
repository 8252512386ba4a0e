// Command fakeeksctl stands for eksctl with the plugin `eksctl anywhere` in end-to-end tests. It makes no
// machine: it writes to the stack's API server what the original writes there, keeps the original's files in
// the working directory, and refuses what the original refuses (cmd/eksctl-anywhere/cmd, pkg/validations).
// Whatever it is told, it also prints the secrets of its environment, in several forms, as a careless program
// would.
//
// The environment says what happens: FAKE_EKSCTL is one of
//
//	fail       it fails at its own checks, before it has changed anything
//	fail-late  it fails after half of its work
//	hang       it hangs before it has changed anything, until a signal ends it
//	hang-late  it hangs after it has changed the objects
//	stubborn   as hang, and it does not heed an interrupt
//
// FAKE_EKSCTL_CLUSTER is the kubeconfig of the stack, which is the management cluster that it "makes",
// FAKE_EKSCTL_CALLS a file to which it adds its arguments, one call a line.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/test/eksacontroller"
)

const (
	manager = "eks-a-cli"
	version = "v0.26.0"
	limit   = 60 * time.Second
)

func main() {
	if os.Getenv("FAKE_EKSCTL") == "stubborn" {
		signal.Ignore(os.Interrupt)
	}
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Println("Error:", err)
		os.Exit(255)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 || args[0] != "anywhere" {
		return fmt.Errorf("unknown command %q", args)
	}
	if args[1] == "version" {
		fmt.Println("Version: " + version + "\n" +
			"Release Manifest URL: https://releases.example.com/manifest.yaml\nBundle Manifest URL: UNKNOWN")
		return nil
	}
	if err := record(args); err != nil {
		return err
	}
	leak()
	j, err := parse(args)
	if err != nil {
		return err
	}
	fmt.Printf("Performing setup and validations for %s of %s\n", j.verb, j.name())
	if err := j.check(); err != nil {
		return err
	}
	switch os.Getenv("FAKE_EKSCTL") {
	case "fail":
		return errors.New("failed to " + j.verb +
			" cluster: validation failed with 1 errors: vSphere: no route to host")
	case "hang", "stubborn":
		hang()
	}
	switch j.verb {
	case "create":
		return j.create(ctx)
	case "upgrade":
		return j.upgrade(ctx)
	case "delete":
		return j.delete(ctx)
	default:
		return fmt.Errorf("unknown verb %s", j.verb)
	}
}

func record(args []string) error {
	path := os.Getenv("FAKE_EKSCTL_CALLS")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, strings.Join(args, " "))
	return errors.Join(err, file.Close())
}

// leak prints what no program should, in pieces that end in the middle.
func leak() {
	for _, name := range []string{"EKSA_GITHUB_TOKEN", "EKSA_GIT_PRIVATE_KEY", "EKSA_GIT_SSH_KEY_PASSPHRASE",
		"KUBECONFIG"} {
		if value, ok := os.LookupEnv(name); ok {
			fmt.Printf("the environment has %s=%s, which is none of my business\n", name, value)
		}
	}
	password := os.Getenv("EKSA_VSPHERE_PASSWORD")
	if password == "" {
		return
	}
	fmt.Fprintf(os.Stderr, "govc login -u admin -p %s", password[:len(password)/2])
	time.Sleep(10 * time.Millisecond)
	fmt.Fprintf(os.Stderr, "%s\n\x1b[31mred\x1b[0m\n", password[len(password)/2:])
	fmt.Println("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+password)))
}

func hang() {
	fmt.Println("hanging")
	ended := make(chan os.Signal, 1)
	if os.Getenv("FAKE_EKSCTL") != "stubborn" {
		signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	}
	parent := os.Getppid()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		select {
		case <-ended:
			fmt.Println("interrupted")
			os.Exit(130)
		case <-time.After(100 * time.Millisecond):
			// Whoever started it may be killed; nobody ends it then.
			if os.Getppid() != parent || time.Now().After(deadline) {
				os.Exit(3)
			}
		}
	}
}

// job is one call.
type job struct {
	verb, file, kubeconfig, wConfig string
	objects                         []*unstructured.Unstructured
	cluster                         *unstructured.Unstructured
}

func parse(args []string) (*job, error) {
	if len(args) < 3 || args[2] != "cluster" {
		return nil, fmt.Errorf("unknown command %q", args)
	}
	j := &job{verb: args[1]}
	for i := 3; i < len(args); i++ {
		name, value, inOne := strings.Cut(args[i], "=")
		if !inOne && i+1 < len(args) {
			i++
			value = args[i]
		}
		switch name {
		case "-f", "--filename":
			j.file = value
		case "--kubeconfig":
			j.kubeconfig = value
		case "--w-config":
			j.wConfig = value
		case "--hardware-csv":
		default:
			return nil, fmt.Errorf("unknown flag: %s", name)
		}
	}
	content, err := os.ReadFile(j.file)
	if err != nil {
		return nil, fmt.Errorf("unable to read file due to: %w", err)
	}
	if j.objects, err = eksacontroller.Decode(content); err != nil {
		return nil, err
	}
	for _, object := range j.objects {
		if object.GetNamespace() == "" {
			object.SetNamespace("default")
		}
		if object.GetKind() == "Cluster" {
			j.cluster = object
		}
	}
	if j.cluster == nil {
		return nil, errors.New("no Cluster in the file")
	}
	return j, nil
}

func (j *job) name() string { return j.cluster.GetName() }

func (j *job) managementCluster() string {
	name, _, _ := unstructured.NestedString(j.cluster.Object, "spec", "managementCluster", "name")
	return name
}

func (j *job) selfManaged() bool {
	return j.managementCluster() == "" || j.managementCluster() == j.name()
}

func kubeconfigOf(cluster string) string {
	return filepath.Join(cluster, cluster+"-eks-a-cluster.kubeconfig")
}

func present(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

// check is what the original checks of the command line and of its files.
func (j *job) check() error {
	if _, has, _ := unstructured.NestedMap(j.cluster.Object, "spec", "gitOpsRef"); has {
		return errors.New("validation failed: EKSA_GITHUB_TOKEN: environment variable not set or empty")
	}
	own := kubeconfigOf(j.name())
	if j.verb == "create" && present(own) {
		return fmt.Errorf("old cluster config file exists under %s, please use a different clusterName to "+
			"proceed", j.name())
	}
	if j.verb != "create" && j.wConfig != "" {
		own = j.wConfig
	}
	if j.verb != "create" && !present(own) {
		return fmt.Errorf("kubeconfig file missing: %s", own)
	}
	if j.selfManaged() {
		return nil
	}
	if j.kubeconfig == "" {
		j.kubeconfig = kubeconfigOf(j.managementCluster())
	}
	if !present(j.kubeconfig) {
		return errors.New(
			"management kubeconfig file not found, must be present for workload cluster operations")
	}
	return nil
}

// connect reaches the management cluster.
func (j *job) connect() (client.Client, error) {
	path := j.kubeconfig
	if j.selfManaged() {
		path = os.Getenv("FAKE_EKSCTL_CLUSTER")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.UserAgent = "fake-eksctl"
	return client.New(config, client.Options{})
}

func (j *job) create(ctx context.Context) error {
	c, err := j.connect()
	if err != nil {
		return err
	}
	fmt.Println("Creating new workload cluster")
	late := os.Getenv("FAKE_EKSCTL") == "fail-late"
	if j.selfManaged() {
		if err := j.copyKubeconfig(); err != nil {
			return err
		}
		if late {
			return errors.New(
				"failed to create cluster: waiting for workload cluster control plane to be ready: timed out")
		}
	}
	if err := j.apply(ctx, c, true); err != nil {
		return err
	}
	if late {
		return errors.New("failed to create cluster: waiting for cluster to be ready: timed out")
	}
	if os.Getenv("FAKE_EKSCTL") == "hang-late" {
		hang()
	}
	if err := j.waitReady(ctx, c); err != nil {
		return err
	}
	if err := j.annotate(ctx, c, nil); err != nil {
		return err
	}
	if !j.selfManaged() {
		if err := j.secretKubeconfig(ctx, c); err != nil {
			return err
		}
	}
	fmt.Println("🎉 Cluster created!")
	return nil
}

func (j *job) apply(ctx context.Context, c client.Client, creating bool) error {
	for _, object := range j.objects {
		object = object.DeepCopy()
		if creating && object.GetKind() == "Cluster" && j.selfManaged() {
			annotations := object.GetAnnotations()
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[eksacontroller.ManagedByCLI] = "true"
			object.SetAnnotations(annotations)
		}
		if object.GetKind() == "Cluster" {
			// The original overwrites it with its own version.
			if err := unstructured.SetNestedField(object.Object, version, "spec", "eksaVersion"); err != nil {
				return err
			}
		}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager),
			client.ForceOwnership); err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// annotate sets the annotation of the command line, or takes it off.
func (j *job) annotate(ctx context.Context, c client.Client, value any) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, eksacontroller.ManagedByCLI)
	if value != nil {
		patch = fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, eksacontroller.ManagedByCLI, value)
	}
	return c.Patch(ctx, j.cluster.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)),
		client.FieldOwner(manager))
}

func (j *job) waitReady(ctx context.Context, c client.Client) error {
	return poll(ctx, "cluster to be ready", func() (bool, error) {
		live := j.cluster.DeepCopy()
		if err := c.Get(ctx, client.ObjectKeyFromObject(live), live); err != nil {
			return false, err
		}
		return eksacontroller.Ready(live), nil
	})
}

func poll(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: timed out", what)
		case <-ticker.C:
		}
	}
}

func (j *job) copyKubeconfig() error {
	content, err := os.ReadFile(os.Getenv("FAKE_EKSCTL_CLUSTER"))
	if err != nil {
		return err
	}
	return writeFile(kubeconfigOf(j.name()), content)
}

func (j *job) secretKubeconfig(ctx context.Context, c client.Client) error {
	secret := &unstructured.Unstructured{}
	secret.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Secret"})
	if err := c.Get(ctx, types.NamespacedName{Namespace: "eksa-system", Name: j.name() + "-kubeconfig"},
		secret); err != nil {
		return err
	}
	encoded, _, _ := unstructured.NestedString(secret.Object, "data", "value")
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	return writeFile(kubeconfigOf(j.name()), content)
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func (j *job) upgrade(ctx context.Context) error {
	c, err := j.connect()
	if err != nil {
		return err
	}
	live := j.cluster.DeepCopy()
	if err := c.Get(ctx, client.ObjectKeyFromObject(live), live); err != nil {
		return fmt.Errorf("failed to upgrade cluster: %w", err)
	}
	// The file has none: check has seen to that.
	if _, has, _ := unstructured.NestedMap(live.Object, "spec", "gitOpsRef"); has {
		return errors.New("failed to upgrade cluster: validation failed: once cluster.spec.gitOpsRef is " +
			"set, it is immutable")
	}
	if live.GetAnnotations()[eksacontroller.Paused] == "true" {
		return errors.New("failed to upgrade cluster: validation failed: cluster object is paused")
	}
	fmt.Println("Upgrading workload cluster")
	if err := j.apply(ctx, c, false); err != nil {
		return err
	}
	switch os.Getenv("FAKE_EKSCTL") {
	case "fail-late":
		return errors.New("failed to upgrade cluster: waiting for control plane to be ready: timed out")
	case "hang-late":
		hang()
	}
	if err := j.waitReady(ctx, c); err != nil {
		return err
	}
	fmt.Println("🎉 Cluster upgraded!")
	return nil
}

func (j *job) delete(ctx context.Context) error {
	c, err := j.connect()
	if err != nil {
		return err
	}
	fmt.Println("Deleting workload cluster")
	if j.selfManaged() {
		if err := j.annotate(ctx, c, "true"); err != nil {
			return err
		}
	}
	if os.Getenv("FAKE_EKSCTL") == "fail-late" {
		return errors.New("failed to delete cluster: moving CAPI management from source to target: timed out")
	}
	if err := client.IgnoreNotFound(c.Delete(ctx, j.cluster.DeepCopy())); err != nil {
		return err
	}
	if os.Getenv("FAKE_EKSCTL") == "hang-late" {
		hang()
	}
	err = poll(ctx, "the cluster's end", func() (bool, error) {
		live := j.cluster.DeepCopy()
		err := c.Get(ctx, client.ObjectKeyFromObject(live), live)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	for _, object := range j.objects {
		if err := client.IgnoreNotFound(c.Delete(ctx, object.DeepCopy())); err != nil {
			return err
		}
	}
	fmt.Println("🎉 Cluster deleted!")
	return nil
}
