package eksctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// Programs on PATH. eksctl runs the second one for `eksctl anywhere`.
const (
	program = "eksctl"
	plugin  = "eksctl-anywhere"
)

// How long the child may take.
const (
	versionLimit = 30 * time.Second
	// A child that was asked to end and does not is killed. EKS Anywhere collects diagnostics when it fails.
	endLimit = 30 * time.Second
	// Pipes that grandchildren hold open after the child's end are closed then.
	pipeLimit = 5 * time.Second
)

// Options say how eksctl is run.
type Options struct {
	// Environ is this process's environment, as [os.Environ] gives it. PATH in it finds the programs.
	Environ []string
	// Kubeconfig is the file with which the management cluster is reached: one file, whose current context is
	// the one that is meant. It is given to the child for workload clusters. For a management cluster EKS
	// Anywhere takes the file that it has written itself; only when that is not in this directory, it is
	// given this one.
	Kubeconfig string
	// Dir is the directory in which the child runs and EKS Anywhere keeps its files; the working directory
	// when empty.
	Dir string
	// Args are further arguments for the child, such as --hardware-csv=FILE.
	Args []string
	// Line is told every line of the child's output, without secrets and control characters. It may be nil.
	Line func(line string)
	// Now is the clock for names of log files; [time.Now] when nil.
	Now func() time.Time
}

// Provisioner runs `eksctl anywhere` in the working directory. It implements [gitops.Provisioner].
type Provisioner struct {
	options Options
	redact  *redact.Redactor
}

// New makes a provisioner. It looks for nothing yet; see Check.
func New(options Options) *Provisioner {
	if options.Now == nil {
		options.Now = time.Now
	}
	options.Dir = cmp.Or(options.Dir, ".")
	return &Provisioner{options: options, redact: redact.New(redact.Environment(options.Environ)...)}
}

// MissingError says that a program is not installed.
type MissingError struct{ Program string }

func (e *MissingError) Error() string { return e.Program + " is not on PATH" }

// Hint says where it comes from.
func (e *MissingError) Hint() string {
	if e.Program == program {
		return "install eksctl and its plugin eksctl-anywhere and put both on PATH; for a cluster that is " +
			"up already, --provisioner existing needs neither"
	}
	return "install the plugin, eksctl-anywhere, in a directory of PATH: eksctl runs it for `eksctl " +
		"anywhere`; for a cluster that is up already, --provisioner existing does not need it"
}

// BrokenError says that eksctl is there and does not work.
type BrokenError struct {
	Path string
	Err  error
	Tail []string // the last lines it printed
}

func (e *BrokenError) Error() string {
	text := fmt.Sprintf("%s anywhere version: %v", e.Path, e.Err)
	if len(e.Tail) > 0 {
		text += ": " + strings.Join(e.Tail, "; ")
	}
	return text
}

func (e *BrokenError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *BrokenError) Hint() string {
	return "run `eksctl anywhere version` yourself and fix what it says"
}

// find looks for a program on the environment's PATH. Relative directories are passed over, as in Go's own
// lookup.
func (p *Provisioner) find(name string) (string, error) {
	var path string
	for _, entry := range p.options.Environ {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", &MissingError{Program: name}
}

// Check implements [gitops.Provisioner]: both programs are there and `eksctl anywhere version` works. The
// version is the first word of its output that looks like one. The errors are *MissingError, *BrokenError and
// the context's.
func (p *Provisioner) Check(ctx context.Context) (version string, err error) {
	path, err := p.find(program)
	if err != nil {
		return "", err
	}
	if _, err := p.find(plugin); err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeoutCause(ctx, versionLimit,
		fmt.Errorf("no answer within %s", versionLimit))
	defer cancel()
	cmd := exec.CommandContext(limited, path, "anywhere", "version")
	cmd.Env = childEnvironment(p.options.Environ)
	cmd.WaitDelay = pipeLimit
	var lines []string
	out := &output{redact: p.redact, log: discard{}, line: func(line string) { lines = append(lines, line) }}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	out.flush()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	if err != nil {
		return "", &BrokenError{Path: path, Err: err, Tail: out.tail[max(0, len(out.tail)-3):]}
	}
	return versionIn(lines), nil
}

// versionIn finds the version in what `eksctl anywhere version` prints: "Version: v0.22.3" and further lines.
func versionIn(lines []string) string {
	for word := range strings.FieldsSeq(strings.Join(lines, " ")) {
		if len(word) > 1 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9' {
			return word
		}
	}
	return ""
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// kubeconfigOf is where EKS Anywhere keeps the kubeconfig of a cluster that it made from this directory.
func kubeconfigOf(cluster string) string {
	return filepath.Join(cluster, cluster+"-eks-a-cluster.kubeconfig")
}

// HasKubeconfig implements [gitops.Provisioner].
func (p *Provisioner) HasKubeconfig(cluster string) bool {
	info, err := os.Stat(filepath.Join(p.options.Dir, kubeconfigOf(cluster)))
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// Forget implements [gitops.Provisioner]. `eksctl anywhere create cluster` refuses a name for which that file
// is there.
func (p *Provisioner) Forget(cluster string) (bool, error) {
	return localfile.Remove(filepath.Join(p.options.Dir, kubeconfigOf(cluster)))
}

// arguments are the child's, with the names of the private files.
func (p *Provisioner) arguments(job gitops.ProvisionJob, specFile, kubeconfigFile string) []string {
	args := []string{"anywhere", string(job.Verb), "cluster", "-f", specFile}
	management := job.ManagementCluster == job.Cluster
	if !management && p.options.Kubeconfig != "" {
		args = append(args, "--kubeconfig", p.options.Kubeconfig)
	}
	if management && p.needsOwnKubeconfig(job) {
		kubeconfigFile = p.options.Kubeconfig
	}
	if kubeconfigFile != "" {
		args = append(args, "--w-config", kubeconfigFile)
	}
	return append(args, p.options.Args...)
}

// needsOwnKubeconfig says whether the child looks for the cluster's own kubeconfig, and would not find it.
func (p *Provisioner) needsOwnKubeconfig(job gitops.ProvisionJob) bool {
	return job.Verb != gitops.VerbCreate && !p.HasKubeconfig(job.Cluster)
}

// Command implements [gitops.Provisioner].
func (p *Provisioner) Command(job gitops.ProvisionJob) string {
	kubeconfig := ""
	if p.needsOwnKubeconfig(job) && !job.Kubeconfig.IsZero() {
		kubeconfig = "KUBECONFIG-OF-" + job.Cluster
	}
	words := append([]string{program}, p.arguments(job, job.Cluster+".yaml", kubeconfig)...)
	for i, word := range words {
		if strings.ContainsFunc(word, func(r rune) bool {
			return r <= ' ' || strings.ContainsRune("'\"\\$`!&|;<>()*?[]{}~#", r)
		}) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return p.redact.Text(strings.Join(words, " "))
}

// FailedError says that the child did not do its work.
type FailedError struct {
	Command  string
	ExitCode int    // -1 when a signal ended it
	Signal   string // that signal
	Killed   bool   // by this program, because it did not end
	Log      string // the file with the whole output
	Tail     []string
}

func (e *FailedError) Error() string {
	text := e.Command
	switch {
	case e.Killed:
		text += " was killed, because it did not end when it was asked to"
	case e.Signal != "":
		text += " was ended by a signal: " + e.Signal
	default:
		text += fmt.Sprintf(" failed with exit code %d", e.ExitCode)
	}
	if len(e.Tail) == 0 {
		return text + ", and printed nothing"
	}
	return text + "; it ended with:\n  " + strings.Join(e.Tail, "\n  ")
}

// Hint names the log.
func (e *FailedError) Hint() string { return "all of its output is in " + e.Log }

// Run implements [gitops.Provisioner]. The errors are *MissingError, *FailedError and the context's; both of
// the latter when the child was interrupted.
func (p *Provisioner) Run(ctx context.Context, job gitops.ProvisionJob) (log string, err error) {
	path, err := p.find(program)
	if err != nil {
		return "", err
	}
	private, err := localfile.NewPrivate()
	if err != nil {
		return "", fmt.Errorf("making a private directory for the cluster's file: %w", err)
	}
	defer func() { err = errors.Join(err, private.Remove()) }()
	// From here to the end signals do not end this process: the private files have to go, and the caller may
	// have things to take back.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	spec, err := private.Write(job.Cluster+".yaml", job.Spec)
	if err != nil {
		return "", fmt.Errorf("writing the cluster's file for eksctl: %w", err)
	}
	kubeconfig := ""
	if p.needsOwnKubeconfig(job) && !job.Kubeconfig.IsZero() {
		if kubeconfig, err = private.Write(job.Cluster+".kubeconfig",
			[]byte(job.Kubeconfig.Reveal())); err != nil {
			return "", fmt.Errorf("writing the cluster's kubeconfig for eksctl: %w", err)
		}
	}
	file, log, err := p.openLog(job)
	if err != nil {
		return "", fmt.Errorf("making the log file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	fmt.Fprintln(file, "$ "+p.Command(job))

	cmd := exec.Command(path, p.arguments(job, spec, kubeconfig)...)
	cmd.Env = childEnvironment(p.options.Environ)
	cmd.Dir = p.options.Dir
	cmd.WaitDelay = pipeLimit
	ownGroup(cmd)
	out := &output{redact: p.redact, log: file, line: p.options.Line}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return log, fmt.Errorf("starting %s: %w", path, err)
	}
	killed := p.wait(ctx, cmd, signals, out)
	out.flush()
	if state := cmd.ProcessState; state == nil || !state.Success() {
		failed := &FailedError{Command: p.Command(job), ExitCode: -1, Killed: killed, Log: log,
			Tail: out.tail}
		if state != nil {
			failed.ExitCode, failed.Signal = state.ExitCode(), signalOf(cmd)
		}
		return log, errors.Join(failed, context.Cause(ctx))
	}
	if out.logErr != nil {
		return log, fmt.Errorf("writing %s: %w", log, out.logErr)
	}
	if job.Verb == gitops.VerbDelete {
		if _, err := fmt.Fprintln(file, deletedMark(job.Cluster)); err != nil {
			return log, fmt.Errorf("writing %s: %w", log, err)
		}
	}
	// The work is done, even when somebody asked for its end at the last moment.
	return log, nil
}

// wait follows the child to its end. It says whether the child had to be killed.
func (p *Provisioner) wait(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal,
	out *output) (killed bool) {
	ended := crash.Go(func() error { return cmd.Wait() })
	var late <-chan time.Time
	timer := time.NewTimer(endLimit)
	timer.Stop()
	defer timer.Stop()
	asked, pressed := false, 0
	ask := func() {
		if asked {
			return
		}
		asked = true
		interruptGroup(cmd)
		timer.Reset(endLimit)
		late = timer.C
		out.note("(eksa-gitops has asked eksctl to end; a second Ctrl-C kills it)")
	}
	kill := func() {
		killed = true
		killGroup(cmd)
	}
	done := ctx.Done()
	for {
		select {
		case how := <-ended:
			_ = how.Value() // the state says how it ended
			return killed
		case <-done:
			done = nil
			ask()
		case <-signals:
			pressed++
			if pressed > 1 {
				kill()
			} else {
				ask()
			}
		case <-late:
			kill()
		}
	}
}

// CheckLog implements [gitops.Provisioner].
func (p *Provisioner) CheckLog(cluster string) error {
	return localfile.Check(filepath.Join(p.options.Dir, cluster, cluster+"-eksctl-run.log"))
}

// openLog makes <cluster>/<cluster>-eksctl-<verb>-<time>.log, for the owner's eyes only.
func (p *Provisioner) openLog(job gitops.ProvisionJob) (*os.File, string, error) {
	if err := localfile.Directory(filepath.Join(p.options.Dir, job.Cluster), 0o755); err != nil {
		return nil, "", err
	}
	stamp := p.options.Now().UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf("-%d", n)
		}
		name := filepath.Join(job.Cluster,
			fmt.Sprintf("%s-eksctl-%s-%s%s.log", job.Cluster, cmp.Or(job.Verb, "run"), stamp, suffix))
		file, err := localfile.Create(filepath.Join(p.options.Dir, name))
		if errors.Is(err, fs.ErrExist) && n < 100 {
			continue
		}
		return file, name, err
	}
}

var _ gitops.Provisioner = (*Provisioner)(nil)
