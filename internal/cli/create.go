package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// What to do when the GitOps part of a creation fails.
const (
	onFailureContinue = "continue"
	onFailureFail     = "fail"
)

// defaultTimeout bounds a whole run: EKS Anywhere allows an hour for a cluster to become ready.
const defaultTimeout = time.Hour

// createOptions are the flags of create cluster.
type createOptions struct {
	files           []string
	output          string
	overwrite       bool
	withApps        bool
	onGitOpsFailure string
	timeout         time.Duration
	flux            fluxOptions
	connection      connection
	provision       provisionOptions
	meant           meantOptions
}

func newCreateCmd(d *deps) *cobra.Command {
	return newVerbCmd("create", "Create something", "  eksa-gitops create cluster -f mgmt.yaml",
		newCreateClusterCmd(d, runCreateCluster))
}

func newCreateClusterCmd(d *deps, run func(context.Context, *deps, *createOptions) error) *cobra.Command {
	o := &createOptions{}
	cmd := &cobra.Command{
		Use:   "cluster -f FILE",
		Short: "Put clusters into Git and have Flux manage them",
		Long: strings.TrimSpace(`
Reads EKS Anywhere cluster files, checks them and everything they need, creates the GitHub repository or reuses it, commits the
clusters' files and Flux's own, pushes, installs Flux on the management cluster and waits until Flux has applied that very commit.

A management cluster has to be up already; it is reached through its kubeconfig (--kubeconfig, KUBECONFIG, or
NAME/NAME-eks-a-cluster.kubeconfig). A workload cluster is created by the commit: Flux applies it, EKS Anywhere builds it, and the
command follows its conditions until it is Ready.

With --provisioner eksctl the command makes clusters that do not exist itself: it runs eksctl anywhere create cluster with a copy of the
file that has no GitOps part, shows its output and keeps it in NAME/NAME-eksctl-create-TIME.log, and goes on with Git and Flux. A
management cluster's kubeconfig is then the one that eksctl leaves in NAME/. A cluster that exists is not created again. When no kubeconfig
leads to a management cluster, which is so in any other directory, and the repository has its files or its deploy key, or cannot be looked
at, nothing is built: name its kubeconfig, or say with --build NAME that it is to be built.

With --with-apps every cluster of the run gets an empty directory apps beside its eksa-system, and a Flux Kustomization that applies
what you list in its kustomization.yaml to that cluster, through the cluster's kubeconfig. What is there of it already stays as it is,
also when later runs do not say --with-apps.

In a repository of many fleets nearly all the time until a commit is applied goes into files of others, which
Flux fetches and unpacks. With --sparse-checkout it fetches only its own path (spec.clusterConfigPath). What
it needs from elsewhere would be missing then, such as a base that a kustomization lists: that is named with
its file, and nothing is written. The setting is in gotk-sync.yaml in Git, and later runs keep it as it is
there; --sparse-checkout=false takes it out.

When setting up GitOps fails after the checks have passed, creation goes on without it; the last lines say so, why, and which
command resumes. The exit code is 0 if eksctl made a cluster in this run, else 4 or 5; --on-gitops-failure says otherwise.

The command may be run again at any time; it does what is missing and writes nothing when nothing is.`),
		Example: `  export EKSA_GITHUB_TOKEN=...
  eksa-gitops create cluster -f mgmt.yaml
  eksa-gitops create cluster -f dev.yaml --dry-run
  eksa-gitops create cluster -f mgmt.yaml --provisioner eksctl
  eksa-gitops create cluster -f clusters/ -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.files) == 0 {
				return usagef("a cluster file is needed: -f FILE")
			}
			if err := o.provision.check(cmd, d, &o.connection, &o.timeout); err != nil {
				return err
			}
			return run(cmd.Context(), d, o)
		},
	}
	flags := cmd.Flags()
	addFilesFlag(cmd, &o.files)
	addOutputFlag(cmd, &o.output)
	flags.BoolVar(&o.overwrite, "overwrite", false,
		"replace a cluster's files in Git that differ from what would be written")
	flags.BoolVar(&o.withApps, "with-apps", false,
		"give each cluster a directory apps, which Flux applies to the cluster itself")
	failure := newEnum(&o.onGitOpsFailure, "", onFailureContinue, onFailureFail)
	flags.Var(failure, "on-gitops-failure",
		"exit code if setting up GitOps fails: "+failure.choices()+" (0, or 4 for what has to be allowed "+
			"and 5 for the rest; default: continue if eksctl made a cluster in this run, else fail)")
	completeEnum(cmd, "on-gitops-failure", failure)
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout,
		"time limit for the whole run; with --provisioner eksctl, 4h unless it is given")
	o.flux.addFlags(cmd, "Flux's four default ones")
	o.connection.addFlags(cmd)
	completeContexts(cmd, d, &o.connection.cluster)
	o.provision.addFlags(cmd, gitops.VerbCreate)
	o.meant.addFlags(cmd)
	return cmd
}

func runCreateCluster(ctx context.Context, d *deps, o *createOptions) error {
	limited, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	components, images, err := o.flux.read(limited, d)
	if err != nil {
		return err
	}
	sources, clusters, err := readClusters(limited, d, o.files)
	if err != nil {
		return err
	}
	steps := d.steps()
	defer steps.Close()
	w, err := o.connection.wire(limited, d, fleetOf(clusters), steps)
	if err != nil {
		return err
	}
	w.Ports.Local = localFiles{sources: sources}
	o.provision.wire(d, &o.connection, fleetOf(clusters), fleetOf(clusters).keepsFlux, steps, w)
	result, err := gitops.Create(limited, w.Ports, gitops.CreateOptions{
		Settings: w.Settings, Clusters: clusters, Overwrite: o.overwrite, WithApps: o.withApps,
		Source: w.Source, SourceIsOperators: w.SourceIsOperators, Components: components, Images: images,
		Meant: o.meant.meant(), SparseCheckout: o.flux.sparse,
	})
	steps.Close()
	return finishCreate(ctx, d, o, result, err)
}

// finishCreate decides the exit code, completes the result and prints it.
func finishCreate(ctx context.Context, d *deps, o *createOptions, result *gitops.Result, err error) error {
	resume := d.commandLine()
	if errors.Is(context.Cause(ctx), errInterrupted) {
		err = &interruptedError{err: err, resume: resume}
	}
	code := exitCodeOf(err)
	if err == nil && result.Failure != nil {
		code = withoutGitOps(o.onGitOpsFailure, result)
	}
	if code != exitDone || result.Status == gitops.StatusGitOpsFailed {
		result.Resume = resumeOf(err, resume)
	}
	err = o.connection.exits(code, result, err)
	if o.output == outputJSON {
		if o.connection.dryRun {
			addDiffs(d, result)
		}
		if encodeErr := diagnostics.WriteJSON(d.streams.Out, result); encodeErr != nil {
			return encodeErr
		}
	} else {
		printCreateResult(d, result, o.connection.diff == diffFull)
	}
	return err
}

// commandLine is the command line of this run, as the user can paste it to continue. It holds no secret:
// there is no flag for one.
func (d *deps) commandLine() string {
	words := []string{"eksa-gitops"}
	for _, arg := range d.args {
		words = append(words, text.ShellWord(arg))
	}
	return strings.Join(words, " ")
}

// timeoutError is the cause of a run that took longer than --timeout.
type timeoutError struct{ limit time.Duration }

func (e *timeoutError) Error() string { return fmt.Sprintf("the time limit of %s is over", e.limit) }
func (e *timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded
}
func (e *timeoutError) Hint() string {
	return "run the same command again to continue, with a longer --timeout if need be"
}

// loadClusters reads and checks the files of a run. Its error holds everything that is wrong with them.
func loadClusters(ctx context.Context, d *deps, files []string) ([]*clusterspec.Cluster, error) {
	_, clusters, err := readClusters(ctx, d, files)
	return clusters, err
}

// readClusters is loadClusters for those that need the files, too.
func readClusters(ctx context.Context, d *deps,
	files []string) ([]clusterspec.Source, []*clusterspec.Cluster, error) {
	sources, err := d.readFiles(ctx, files)
	if err != nil {
		return nil, nil, err
	}
	set, err := clusterspec.Parse(sources)
	if set != nil {
		for _, warning := range set.Warnings {
			printLines(d.streams.Err, "warning", warning.String())
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return sources, set.Clusters, checkOneFleet(set.Clusters)
}

// checkOneFleet makes sure that one run has one management cluster and one repository to work with.
func checkOneFleet(clusters []*clusterspec.Cluster) error {
	var problems clusterspec.Problems
	for _, c := range clusters[1:] {
		if first := clusters[0]; c.ManagementCluster != first.ManagementCluster {
			problems = append(problems, clusterspec.Problem{
				Severity: clusterspec.SeverityError, File: c.Objects[0].File, Line: c.Objects[0].Line,
				Object: "Cluster " + c.Name, Field: "spec.managementCluster.name", Message: fmt.Sprintf(
					"%s is managed by %s, and %s by %s; one run works on the clusters of one management "+
						"cluster", c.Name, c.ManagementCluster, first.Name, first.ManagementCluster),
			})
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}
