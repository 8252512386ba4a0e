package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"
)

// kubernetesVersion is the version of k8s.io/kubernetes in build/go.mod, which
// the linker stamps into the control plane: without it clients cannot parse
// what the server says about itself.
const kubernetesVersion = "v1.36.3"

// buildTargets are the packages that are built, relative to the build module.
func buildTargets() []string {
	return []string{
		"./etcd",
		"./controlplane",
		"sigs.k8s.io/kwok/cmd/kwok",
		"github.com/fluxcd/source-controller",
		"github.com/fluxcd/kustomize-controller",
	}
}

// Command is a program and its leading arguments.
type Command []string

// Bins are the programs of a stack.
type Bins struct {
	Etcd, APIServer, ControllerManager, Scheduler, Kwok Command
	SourceController, KustomizeController               Command
}

// CacheDir is where built programs are kept: $EKSA_GITOPS_STACK_CACHE, else
// eksa-gitops/stack in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("EKSA_GITOPS_STACK_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the stack's cache (set EKSA_GITOPS_STACK_CACHE): %w", err)
	}
	return filepath.Join(dir, "eksa-gitops", "stack"), nil
}

// Clean removes the built programs of all versions. It waits for a build in
// progress to end, and succeeds when there is nothing to remove.
func Clean() error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(cache); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := lockFile(context.Background(), lockPath(cache))
	if err != nil {
		return fmt.Errorf("locking %s: %w", cache, err)
	}
	defer unlock()
	if err := os.RemoveAll(cache); err != nil {
		return fmt.Errorf("removing the built programs: %w", err)
	}
	return nil
}

// Binaries returns the programs of the stack, building them first when these
// versions, for this version of Go, were not built before. A build takes
// minutes and downloads modules; what it does is told to progress (nil: to
// nobody). At any time one process builds and others wait; a build that fails
// or is cancelled leaves nothing that a later call could mistake for a
// finished one. Where KUBEBUILDER_ASSETS names a directory, its etcd and
// kube-apiserver are returned in place of ours.
func Binaries(ctx context.Context, progress io.Writer) (Bins, error) {
	if progress == nil {
		progress = io.Discard
	}
	source, err := sourceDir(ctx)
	if err != nil {
		return Bins{}, err
	}
	key, err := buildKey(ctx, source)
	if err != nil {
		return Bins{}, fmt.Errorf("computing the key of the stack's build: %w", err)
	}
	cache, err := CacheDir()
	if err != nil {
		return Bins{}, err
	}
	dir := filepath.Join(cache, key)
	if _, err := os.Stat(dir); err != nil {
		if err := buildLocked(ctx, source, dir, progress); err != nil {
			return Bins{}, err
		}
	}
	return withAssets(binsIn(dir))
}

func binsIn(dir string) Bins {
	program := func(name string, args ...string) Command {
		return append(Command{filepath.Join(dir, name)}, args...)
	}
	return Bins{
		Etcd:                program("etcd"),
		APIServer:           program("controlplane", "kube-apiserver"),
		ControllerManager:   program("controlplane", "kube-controller-manager"),
		Scheduler:           program("controlplane", "kube-scheduler"),
		Kwok:                program("kwok"),
		SourceController:    program("source-controller"),
		KustomizeController: program("kustomize-controller"),
	}
}

// withAssets puts the programs of setup-envtest in the place of ours.
func withAssets(b Bins) (Bins, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return b, nil
	}
	for name, command := range map[string]*Command{"etcd": &b.Etcd, "kube-apiserver": &b.APIServer} {
		path := filepath.Join(assets, name)
		if _, err := os.Stat(path); err != nil {
			return Bins{}, fmt.Errorf("using KUBEBUILDER_ASSETS: %w", err)
		}
		*command = Command{path}
	}
	return b, nil
}

// sourceDir finds the build module beside this file. A binary built with
// -trimpath does not know where that is; the go command, run from inside the
// test module, does.
func sourceDir(ctx context.Context) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dir := filepath.Join(filepath.Dir(file), "build")
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}",
		"github.com/eksa-gitops/eksa-gitops/test/stack").Output()
	if err != nil {
		return "", fmt.Errorf("finding the stack's build module (run from inside the test module): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "build"), nil
}

// buildKey hashes all that decides what a build makes.
func buildKey(ctx context.Context, source string) (string, error) {
	goVersion, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("asking the go command for its version: %w", err)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n", goVersion, strings.Join(buildArgs(""), " "))
	var files []string
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	sort.Strings(files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		name, err := filepath.Rel(source, file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", filepath.ToSlash(name), len(content), content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// buildArgs are the go command's arguments. The linker leaves symbol tables
// and DWARF out, which shortens linking and thirds the files; -v names the
// packages as they are compiled, for the progress lines.
func buildArgs(into string) []string {
	version := "k8s.io/component-base/version."
	minor := strings.Split(kubernetesVersion, ".")[1]
	ldflags := strings.Join([]string{
		"-s -w",
		"-X " + version + "gitVersion=" + kubernetesVersion,
		"-X " + version + "gitMajor=1",
		"-X " + version + "gitMinor=" + minor,
		"-X " + version + "gitTreeState=clean",
	}, " ")
	args := []string{"build", "-v", "-buildvcs=false", "-ldflags", ldflags, "-o",
		into + string(filepath.Separator)}
	return append(args, buildTargets()...)
}

// lockPath lies beside the cache, not in it, so that removing the cache does
// not remove the lock others wait for.
func lockPath(cache string) string { return cache + ".lock" }

func buildLocked(ctx context.Context, source, dir string, progress io.Writer) error {
	cache := filepath.Dir(dir)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("making the stack's cache: %w", err)
	}
	unlock, err := lockFile(ctx, lockPath(cache))
	if err != nil {
		return fmt.Errorf("waiting for another build of the stack: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return nil // built while we waited
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { // Clean may have run
		return fmt.Errorf("making the stack's cache: %w", err)
	}
	// We hold the lock: unfinished directories are of builds that were killed.
	leftovers, err := filepath.Glob(filepath.Join(cache, "unfinished-*"))
	if err != nil {
		return err
	}
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return fmt.Errorf("removing an unfinished build: %w", err)
		}
	}
	unfinished, err := os.MkdirTemp(cache, "unfinished-")
	if err != nil {
		return fmt.Errorf("making a directory to build in: %w", err)
	}
	if err := build(ctx, source, unfinished, progress); err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

func build(ctx context.Context, source, into string, progress io.Writer) error {
	started := time.Now()
	fmt.Fprintf(progress, "stack: building etcd, Kubernetes %s, kwok and the Flux controllers (once; 6 to "+
		"12 minutes on two cores)\n", kubernetesVersion)
	cmd := exec.CommandContext(ctx, "go", buildArgs(into)...)
	cmd.Dir = source
	// GOWORK and GOFLAGS of the caller are about another module.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	output := &buildOutput{progress: progress, started: started}
	cmd.Stderr = output
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("building the stack's programs: %w\n%s", err, output.tail())
	}
	fmt.Fprintf(progress, "stack: built in %s\n", time.Since(started).Round(time.Second))
	return nil
}

// buildOutput turns the go command's one line per package into a line per
// quarter minute, and keeps the last lines for an error.
type buildOutput struct {
	progress io.Writer
	started  time.Time
	told     time.Duration
	lines    int
	last     []byte
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.lines += strings.Count(string(p), "\n")
	o.last = append(o.last, p...)
	if over := len(o.last) - 8000; over > 0 {
		o.last = o.last[over:]
	}
	if passed := time.Since(o.started); passed-o.told > 15*time.Second {
		o.told = passed
		fmt.Fprintf(o.progress, "stack: %d packages compiled, %s\n", o.lines, passed.Round(time.Second))
	}
	return len(p), nil
}

func (o *buildOutput) tail() string {
	lines := strings.Split(strings.TrimSpace(string(o.last)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
