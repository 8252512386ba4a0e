package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// pauseOptions are the arguments and flags of pause cluster and resume cluster.
type pauseOptions struct {
	resume     bool
	names      []string
	namespace  string
	output     string
	timeout    time.Duration
	connection connection
}

func newPauseCmd(d *deps) *cobra.Command {
	return newVerbCmd("pause", "Have EKS Anywhere leave something alone", "  eksa-gitops pause cluster dev",
		newPauseClusterCmd(d, runPauseCluster))
}

func newPauseClusterCmd(d *deps, run func(context.Context, *deps, *pauseOptions) error) *cobra.Command {
	o := &pauseOptions{}
	cmd := &cobra.Command{
		Use:   "cluster NAME...",
		Short: "Have EKS Anywhere leave clusters alone, in a way that Flux does not undo",
		Long: strings.TrimSpace(`
Puts the annotation anywhere.eks.amazonaws.com/paused on clusters, with which EKS Anywhere neither changes nor deletes them; what runs on
them goes on running. A management cluster can be paused, too.

What kubectl annotate puts on a cluster that is managed through Git, Flux takes off again when it applies next. So the annotation goes into
the cluster's file in Git, in one commit, and the command waits until Flux has applied that and the cluster carries it. A cluster that is
not in Git gets it on its object alone.

eksa-gitops resume cluster ends it. The command may be run again at any time; a cluster that is paused already stays as it is.`),
		Example: `  eksa-gitops pause cluster dev
  eksa-gitops pause cluster dev test --dry-run
  eksa-gitops pause cluster mgmt -o json`,
	}
	o.complete(d, cmd, run)
	return cmd
}

// complete gives one of the two commands what they share.
func (o *pauseOptions) complete(d *deps, cmd *cobra.Command,
	run func(context.Context, *deps, *pauseOptions) error) {
	cmd.Args = cobra.MinimumNArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.names = args
		if err := errors.Join(o.check(), o.connection.check()); err != nil {
			return err
		}
		return run(cmd.Context(), d, o)
	}
	addOutputFlag(cmd, &o.output)
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "",
		"`namespace` of the clusters, where there are several of a name")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout, "time limit for the whole run")
	o.connection.addFlags(cmd)
	completeClusters(cmd, d, &o.connection.cluster, 0)
	completeContexts(cmd, d, &o.connection.cluster)
}

func (o *pauseOptions) check() error {
	for _, name := range o.names {
		if !clusterspec.IsClusterName(name) {
			return usagef("%q is not a cluster name", name)
		}
	}
	return nil
}

func runPauseCluster(ctx context.Context, d *deps, o *pauseOptions) error {
	limited, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	f, err := doomedFleet(limited, d, &o.connection, o.names[0])
	if err != nil {
		return err
	}
	f.keepsFlux = false
	steps := d.steps()
	defer steps.Close()
	w, err := o.connection.wire(limited, d, f, steps)
	if err != nil {
		return err
	}
	options := gitops.PauseOptions{Settings: w.Settings, ManagementCluster: f.managementCluster,
		GitOps: f.config}
	seen := map[string]bool{}
	for _, name := range o.names {
		if !seen[name] {
			options.Clusters = append(options.Clusters,
				fluxinstall.ClusterName{Namespace: o.namespace, Name: name})
		}
		seen[name] = true
	}
	set := gitops.PauseClusters
	if o.resume {
		set = gitops.ResumeClusters
	}
	result, err := set(limited, w.Ports, options)
	steps.Close()
	return finishPause(ctx, d, o, result, err)
}

// finishPause completes the result and prints it.
func finishPause(ctx context.Context, d *deps, o *pauseOptions, result *gitops.Result, err error) error {
	return finishChange(ctx, d, o.output, &o.connection, result, err, func(out *lines) {
		switch result.Status {
		case gitops.StatusPlanned:
			printPausePlan(d, out, o, result)
		case gitops.StatusDone:
			printPaused(out, o, result)
		}
	})
}

func printPausePlan(d *deps, out *lines, o *pauseOptions, result *gitops.Result) {
	if result.Repository != nil {
		printDiffs(d, out, result.Repository.Files, o.connection.diff == diffFull)
	}
	out.printf("This was a dry run: nothing has been changed.")
}

func printPaused(out *lines, o *pauseOptions, result *gitops.Result) {
	var names []string
	for _, c := range result.Clusters {
		names = append(names, c.Name)
	}
	what := isAre("cluster", names) + " paused"
	if o.resume {
		what = isAre("cluster", names) + " not paused"
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
	if !o.resume {
		out.printf("")
		out.printf("Next:")
		out.printf("  %s", text.Command("eksa-gitops resume cluster %s", names))
		out.printf("      has EKS Anywhere work on it again")
	}
}
