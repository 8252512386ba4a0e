package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// deleteOptions are the arguments and flags of delete cluster.
type deleteOptions struct {
	names      []string
	files      []string
	from       string
	yes        bool
	output     string
	timeout    time.Duration
	connection connection
	provision  provisionOptions
}

func newDeleteCmd(d *deps) *cobra.Command {
	return newVerbCmd("delete", "Delete something", "  eksa-gitops delete cluster dev",
		newDeleteClusterCmd(d, runDeleteCluster))
}

func newDeleteClusterCmd(d *deps, run func(context.Context, *deps, *deleteOptions) error) *cobra.Command {
	o := &deleteOptions{}
	cmd := &cobra.Command{
		Use:   "cluster NAME... | -f FILE",
		Short: "Delete workload clusters through Git, or detach the management cluster from Git",
		Long: strings.TrimSpace(`
Deletes workload clusters: takes their files out of Git in one commit, has Flux apply that, and waits until the clusters are gone. It
shows first what will go, and asks; --yes answers for scripts. Only the files that eksa-gitops and EKS Anywhere write are removed, and those
of objects in namespace eksa-packages-NAME, which EKS Anywhere removes with the cluster; others in the same directories stay and are named. A kustomization that lists what goes is changed so that the rest still builds.

Which repository a cluster is in is read from the gitOpsRef of its management cluster, or from the file given with -f. A cluster that
is gone already, or never was, is not an error: the command says so and exits with 0.

When GitOps does not work (Flux is suspended or fails, or does not manage the cluster), nothing is begun. The two halves can then be
done separately: --from git takes the files out of Git and waits for nothing; --from cluster deletes the Cluster object, does not
look at Git, and waits until the cluster is gone. Take the files out first: from files that are still there, Flux creates the cluster again.

A management cluster is not deleted but detached from Git, which needs all its workload clusters to be gone from Git. Flux stops before
its files go, so that it deletes nothing; then the cluster's and Flux's files leave the repository, the deploy key leaves GitHub, and
Flux, its resource types and spec.gitOpsRef leave the cluster. The cluster goes on running as it is; the repository stays. Delete the
cluster itself, if you want to, with eksctl anywhere afterwards.

With --provisioner eksctl, and the files given with -f, eksctl anywhere delete cluster deletes the clusters, machines included: a workload
cluster once its files have left Git, a management cluster after Flux has stopped and before its files and its deploy key go. When a
management cluster is gone already, and only that rest is left, --from git removes it. That it is gone is then your word: a kubeconfig that
is not found proves nothing, and without it the command begins nothing.

The command may be run again at any time; it goes on where the last run ended.`),
		Example: `  eksa-gitops delete cluster dev
  eksa-gitops delete cluster dev test --dry-run
  eksa-gitops delete cluster -f clusters/dev.yaml --yes -o json
  eksa-gitops delete cluster dev --from git
  eksa-gitops delete cluster -f mgmt.yaml --provisioner eksctl`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if err := o.check(d); err != nil {
				return err
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
	from := newEnum(&o.from, string(gitops.FromBoth), string(gitops.FromBoth), string(gitops.FromGit),
		string(gitops.FromCluster))
	flags.Var(from, "from",
		"delete from Git and, through Flux, from the cluster, or do one half by itself: "+from.choices())
	completeEnum(cmd, "from", from)
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout,
		"time limit for the whole run; with --provisioner eksctl, 4h unless it is given")
	o.connection.addFlags(cmd)
	completeClusters(cmd, d, &o.connection.cluster, 0)
	completeContexts(cmd, d, &o.connection.cluster)
	o.provision.addFlags(cmd, gitops.VerbDelete)
	return cmd
}

// check finds what is wrong with the command line before anything is looked at.
func (o *deleteOptions) check(d *deps) error {
	switch {
	case len(o.names) == 0 && len(o.files) == 0:
		return usagef("clusters are needed: NAME... or -f FILE")
	case len(o.names) > 0 && len(o.files) > 0:
		return usagef("name the clusters or give their files with -f, not both")
	case len(o.names) > 0 && o.provision.usesEksctl():
		return usagef("--provisioner eksctl needs the clusters' files: name them with -f, as in -f %s",
			localSpecPath(o.names[0]))
	case !o.yes && !o.connection.dryRun && !d.streams.InTTY:
		return usagef("there is no terminal to ask on: confirm the deletion with --yes, or look at it " +
			"first with --dry-run")
	}
	for _, name := range o.names {
		if !clusterspec.IsClusterName(name) {
			return usagef("%q is not a cluster name", name)
		}
	}
	return nil
}

func runDeleteCluster(ctx context.Context, d *deps, o *deleteOptions) error {
	limited, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	options, f, err := o.doomed(limited, d)
	if err != nil {
		return err
	}
	steps := d.steps()
	defer steps.Close()
	w, err := o.connection.wire(limited, d, f, steps)
	if err != nil {
		return err
	}
	o.provision.wire(d, &o.connection, f, options.Clusters[0].Name == f.managementCluster, steps, w)
	options.Settings, options.From = w.Settings, gitops.From(o.from)
	if !o.yes {
		options.Confirm = func(ctx context.Context, plan *gitops.Result) error {
			return confirmDeletion(ctx, d, o, plan)
		}
	}
	result, err := gitops.Delete(limited, w.Ports, options)
	steps.Close()
	return finishDelete(ctx, d, o, result, err)
}

// doomed finds out which clusters are meant, and whose they are.
func (o *deleteOptions) doomed(ctx context.Context, d *deps) (gitops.DeleteOptions, fleet, error) {
	var options gitops.DeleteOptions
	var f fleet
	if len(o.files) > 0 {
		clusters, err := loadClusters(ctx, d, o.files)
		if err != nil {
			return options, f, err
		}
		options.Specs = map[string]*clusterspec.Cluster{}
		for _, c := range clusters {
			options.Clusters = append(options.Clusters, gitops.Doomed{Namespace: c.Namespace, Name: c.Name})
			options.Specs[c.Name] = c
		}
		f = fleetOf(clusters)
	} else {
		var err error
		if f, err = doomedFleet(ctx, d, &o.connection, o.names[0]); err != nil {
			return options, f, err
		}
		for _, name := range o.names {
			if doomed := (gitops.Doomed{Name: name}); !slices.Contains(options.Clusters, doomed) {
				options.Clusters = append(options.Clusters, doomed)
			}
		}
	}
	// The cluster gets no credentials in this run.
	f.keepsFlux = false
	options.ManagementCluster, options.GitOps = f.managementCluster, f.config
	return options, f, nil
}

// declinedError says that the person at the terminal does not want it.
type declinedError struct{}

func (*declinedError) Error() string { return "not confirmed; nothing has been changed" }

// confirmDeletion shows what will go and asks. No step is under way, so that nothing draws into the question.
func confirmDeletion(ctx context.Context, d *deps, o *deleteOptions, plan *gitops.Result) error {
	printDoom(&lines{w: d.streams.Err}, plan, o)
	name, question := plan.Clusters[0].Name, "Delete them? [y/N]"
	accepted := []string{"y", "yes"}
	if len(plan.Clusters) == 1 {
		accepted = append(accepted, name)
		question = fmt.Sprintf("Delete cluster %s? Type its name, or y:", name)
		if detached(&plan.Clusters[0], o) {
			question = fmt.Sprintf("Detach management cluster %s? Type its name, or y:", name)
		}
	}
	yes, err := ui.Confirm(ctx, d.streams, question, accepted...)
	switch {
	case errors.Is(err, ui.ErrNoTerminal):
		return usagef("there is no terminal to ask on: confirm the deletion with --yes")
	case err != nil:
		return err
	case !yes:
		return &declinedError{}
	}
	return nil
}

// detached says whether a cluster goes on running without Git.
func detached(c *gitops.ClusterResult, o *deleteOptions) bool {
	return c.Role == clusterspec.RoleManagement && !o.provision.usesEksctl()
}

// printDoom lists what a deletion takes away, and what it leaves.
func printDoom(out *lines, plan *gitops.Result, o *deleteOptions) {
	from, eksctl := o.from, o.provision.usesEksctl()
	for _, c := range plan.Clusters {
		if len(c.Objects) == 0 && c.SpecPath == "" && c.Role == clusterspec.RoleWorkload {
			continue
		}
		version := ""
		if c.KubernetesVersion != "" {
			version = ", Kubernetes " + c.KubernetesVersion
		}
		switch {
		case c.Role == clusterspec.RoleManagement && eksctl && from == string(gitops.FromGit):
			out.printf("What is left of management cluster %s will be removed; --from git says that the "+
				"cluster itself no longer exists:", c.Name)
		case c.Role == clusterspec.RoleManagement && eksctl && c.Provision == nil:
			out.printf("Nothing is left of management cluster %s.", c.Name)
		case c.Role == clusterspec.RoleManagement && eksctl:
			out.printf("Management cluster %s (namespace %s%s) will be deleted, with all its machines and "+
				"all that runs on it:", c.Name, c.Namespace, version)
		case c.Role == clusterspec.RoleManagement:
			out.printf("Management cluster %s (namespace %s%s) is detached from Git and keeps running.",
				c.Name, c.Namespace, version)
			out.printf("  Flux is removed, with its controllers, its resource types and their objects:")
		case from == string(gitops.FromGit):
			out.printf("Cluster %s (namespace %s%s) leaves Git. Flux, when it works, deletes it with all "+
				"its machines:", c.Name, c.Namespace, version)
		default:
			out.printf("Cluster %s (namespace %s%s) will be deleted, with all its machines:",
				c.Name, c.Namespace, version)
		}
		for _, object := range c.Objects {
			out.printf("  object  %s", object)
		}
		if c.Provision != nil {
			out.printf("  run     %s", c.Provision.Command)
		}
	}
	if plan.Repository != nil && len(plan.Repository.Files) > 0 {
		out.printf("In branch %s of %s:", plan.Repository.Branch, plan.Repository.URL)
		for _, file := range plan.Repository.Files {
			out.printf("  %-6s  %s", file.Change, file.Path)
		}
	}
	for _, file := range plan.Kept {
		out.printf("  keep    %s", file)
	}
}

// finishDelete completes the result and prints it.
func finishDelete(ctx context.Context, d *deps, o *deleteOptions, result *gitops.Result, err error) error {
	return finishChange(ctx, d, o.output, &o.connection, result, err, func(out *lines) {
		switch result.Status {
		case gitops.StatusPlanned:
			printDeletePlan(d, out, o, result)
		case gitops.StatusDone:
			printDeleted(out, o, result)
		}
	})
}

// finishChange decides the exit code of a run that names clusters, completes the result, and prints it: what
// was done, or would be, by print.
func finishChange(ctx context.Context, d *deps, output string, c *connection, result *gitops.Result,
	err error, print func(out *lines)) error {
	resume := d.commandLine()
	if errors.Is(context.Cause(ctx), errInterrupted) {
		err = &interruptedError{err: err, resume: resume}
	}
	err = c.exits(exitCodeOf(err), result, err)
	if result.Status == gitops.StatusIncomplete || result.Status == gitops.StatusInterrupted {
		result.Resume = resume
	}
	if output == outputJSON {
		if c.dryRun {
			addDiffs(d, result)
		}
		if encodeErr := diagnostics.WriteJSON(d.streams.Out, result); encodeErr != nil {
			return encodeErr
		}
		return err
	}
	if result.Status == gitops.StatusIncomplete {
		return &resumeError{err: err, resume: resume}
	}
	print(&lines{w: d.streams.Out})
	return err
}

// resumeError adds the command that continues to an error.
type resumeError struct {
	err    error
	resume string
}

func (e *resumeError) Error() string { return e.err.Error() }
func (e *resumeError) Unwrap() error { return e.err }
func (e *resumeError) Hint() string  { return continueHint(e.resume) }

func printDeletePlan(d *deps, out *lines, o *deleteOptions, result *gitops.Result) {
	printDoom(out, result, o)
	if result.Repository != nil {
		printDiffs(d, out, result.Repository.Files, o.connection.diff == diffFull)
	}
	out.printf("This was a dry run: nothing has been changed.")
}

func printDeleted(out *lines, o *deleteOptions, result *gitops.Result) {
	names := make([]string, 0, len(result.Clusters))
	for _, c := range result.Clusters {
		names = append(names, c.Name)
	}
	what := isAre("cluster", names)
	management := detached(&result.Clusters[0], o)
	switch {
	case management:
		what = fmt.Sprintf("management cluster %s is detached from Git", names[0])
	case o.from == string(gitops.FromGit):
		what += " not in Git"
		if result.Changed {
			what += " any more"
		}
	default:
		what += " gone"
	}
	if !result.Changed {
		out.printf("Nothing to do: %s.", what)
		return
	}
	out.printf("%s.", capital(what))
	if repo := result.Repository; repo != nil && repo.Pushed {
		out.printf("  repository  %s", repo.URL)
		out.printf("  branch      %s at %s", repo.Branch, repo.Commit[:min(7, len(repo.Commit))])
	}
	for _, c := range result.Clusters {
		if c.Provision != nil && c.Provision.Log != "" {
			out.printf("  eksctl log  %s", c.Provision.Log)
		}
	}
	for _, file := range result.Kept {
		out.printf("  kept        %s", file)
	}
	switch {
	case management:
		out.printf("")
		out.printf("Next:")
		out.printf("  take gitOpsRef and the %s out of the cluster's file before you use it with eksctl "+
			"anywhere, or", gitOpsKinds)
		out.printf("  eksa-gitops create cluster -f FILE")
		out.printf("      to manage the cluster through Git again")
	case o.from == string(gitops.FromGit) && result.Clusters[0].Role == clusterspec.RoleWorkload:
		out.printf("")
		out.printf("Next:")
		out.printf("  %s", text.Command("eksa-gitops delete cluster %s", names))
		out.printf("      waits until Flux has deleted it; if Flux does not work, add --from cluster")
	}
}

// gitOpsKinds are the kinds that a gitOpsRef refers to.
const gitOpsKinds = "FluxConfig or GitOpsConfig"
