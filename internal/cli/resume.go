package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
)

func newResumeCmd(d *deps) *cobra.Command {
	return newVerbCmd("resume", "Have EKS Anywhere work on something again",
		"  eksa-gitops resume cluster dev", newResumeClusterCmd(d, runPauseCluster))
}

func newResumeClusterCmd(d *deps, run func(context.Context, *deps, *pauseOptions) error) *cobra.Command {
	o := &pauseOptions{resume: true}
	cmd := &cobra.Command{
		Use:   "cluster NAME...",
		Short: "Have EKS Anywhere work on clusters again that are paused",
		Long: strings.TrimSpace(`
Takes the annotation anywhere.eks.amazonaws.com/paused off clusters, wherever it is: out of the cluster's file in Git, off all objects in
it, and off the objects in the management cluster. With the annotation in Git, kubectl annotate would not last: Flux puts it back when it
applies next. The command waits until Flux has applied the commit.

What changed in Git while a cluster was paused, EKS Anywhere does then. A pause that an upgrade which is at work, or was cut off, has made
for itself is left alone; status says how that one ends. The command may be run again at any time.`),
		Example: `  eksa-gitops resume cluster dev
  eksa-gitops resume cluster dev test --dry-run`,
	}
	o.complete(d, cmd, run)
	return cmd
}
