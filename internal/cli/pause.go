package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
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
		Short: "Have EKS Anywhere leave clusters alone, in a way that holds against Flux",
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
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), d, o)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *pauseOptions) addFlags(cmd *cobra.Command) {
	addOutputFlag(cmd, &o.output)
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "", "`namespace` of the clusters, where there are several of a name")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout, "time limit for the whole run")
	o.connection.addFlags(cmd)
}

func (o *pauseOptions) check() error {
	for _, name := range o.names {
		if !clusterspec.IsClusterName(name) {
			return usagef("%q is no name of a cluster", name)
		}
	}
	return nil
}

func (o *pauseOptions) command() string {
	if o.resume {
		return "resume cluster"
	}
	return "pause cluster"
}

func runPauseCluster(ctx context.Context, d *deps, o *pauseOptions) error {
	limited, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	f, err := doomedFleet(limited, d, &o.connection, o.names[0])
	if err != nil {
		return failed(d, o.output, o.command(), err)
	}
	f.keepsFlux = false
	steps := d.steps()
	defer steps.Close()
	w, err := o.connection.wire(limited, d, f, steps)
	if err != nil {
		return failed(d, o.output, o.command(), err)
	}
	options := gitops.PauseOptions{Settings: w.settings, ManagementCluster: f.managementCluster, GitOps: f.config}
	seen := map[string]bool{}
	for _, name := range o.names {
		if !seen[name] {
			options.Clusters = append(options.Clusters, fluxinstall.ClusterName{Namespace: o.namespace, Name: name})
		}
		seen[name] = true
	}
	set := gitops.PauseClusters
	if o.resume {
		set = gitops.ResumeClusters
	}
	result, err := set(limited, w.ports, options)
	steps.Close()
	return finishPause(ctx, d, o, result, err)
}

// finishPause decides the exit code, completes the result and prints it.
func finishPause(ctx context.Context, d *deps, o *pauseOptions, result *gitops.Result, err error) error {
	resume := d.commandLine()
	if errors.Is(context.Cause(ctx), errInterrupted) {
		err = &interruptedError{err: err, resume: resume}
	}
	result.ExitCode = int(exitCodeOf(err))
	if result.Status == gitops.StatusIncomplete || result.Status == gitops.StatusInterrupted {
		result.Resume = resume
	}
	if o.output == outputJSON {
		if o.connection.dryRun && result.Repository != nil {
			for i, file := range result.Repository.Files {
				result.Repository.Files[i].Diff = ui.Diff(file.Path, file.Before, file.After)
			}
		}
		if encodeErr := diagnostics.WriteJSON(d.streams.Out, result); encodeErr != nil {
			return encodeErr
		}
		return err
	}
	switch result.Status {
	case gitops.StatusPlanned:
		printPausePlan(d, result)
	case gitops.StatusDone:
		printPaused(&lines{w: d.streams.Out}, o, result)
	case gitops.StatusIncomplete:
		return &resumeError{err: err, resume: resume}
	}
	return err
}

func printPausePlan(d *deps, result *gitops.Result) {
	out := &lines{w: d.streams.Out}
	if result.Repository != nil {
		for _, file := range result.Repository.Files {
			fmt.Fprint(out.w, ui.PaintDiff(d.streams, ui.Diff(file.Path, file.Before, file.After)))
		}
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
		out.printf("  eksa-gitops resume cluster %s", strings.Join(names, " "))
		out.printf("      has EKS Anywhere work on it again")
	}
}
