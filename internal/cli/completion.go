package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// completionLimit bounds how long a shell waits for names when somebody presses Tab.
const completionLimit = 3 * time.Second

type completer = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// completeWith offers names that begin with what was typed. What keeps names from being known is no news to
// somebody who is typing: then nothing is offered. The settings count as in a run.
func completeWith(d *deps, names func(ctx context.Context, args []string) []string) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if applySettings(cmd, d) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeoutCause(ctx, completionLimit, &timeoutError{limit: completionLimit})
		defer cancel()
		found := crash.Go(func() []string { return names(ctx, args) }) // a credential plugin heeds no context
		var offered []string
		select {
		case answer := <-found:
			offered = answer.Value()
		case <-ctx.Done():
		}
		offered = slices.DeleteFunc(offered, func(name string) bool {
			return !strings.HasPrefix(name, begun) ||
				strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0
		})
		slices.Sort(offered)
		return slices.Compact(offered), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeClusters offers the clusters of the management cluster as arguments, each once, and at most so
// many; 0 is any number.
func completeClusters(cmd *cobra.Command, d *deps, o *clusterOptions, most int) {
	cmd.ValidArgsFunction = completeWith(d, func(ctx context.Context, args []string) []string {
		if most > 0 && len(args) >= most {
			return nil
		}
		quiet := *o
		quiet.waiting = func(fluxinstall.RetryEvent) {}
		cluster, err := quiet.openFor(ctx, d, "", false)
		if err != nil {
			return nil
		}
		state, err := cluster.Inspect(ctx, fluxinstall.InspectOptions{})
		if err != nil {
			return nil
		}
		var names []string
		for _, c := range state.Clusters {
			if !slices.Contains(args, c.Name) {
				names = append(names, c.Name)
			}
		}
		return names
	})
}

// completeContexts offers the contexts of the kubeconfig that a run would use.
func completeContexts(cmd *cobra.Command, d *deps, o *clusterOptions) {
	// It fails only for a flag that was never registered, which the command-tree test would show.
	_ = cmd.RegisterFlagCompletionFunc("context", completeWith(d, func(context.Context, []string) []string {
		way, err := o.find(d, "")
		if err != nil {
			return nil
		}
		return fluxinstall.Contexts(way.paths)
	}))
}

// completeRevisions offers branches and tags of the repository that lint would look at.
func completeRevisions(cmd *cobra.Command, d *deps) {
	_ = cmd.RegisterFlagCompletionFunc("base",
		completeWith(d, func(_ context.Context, args []string) []string {
			dir, err := realDirectory(append(args, ".")[0])
			if err != nil {
				return nil
			}
			local, err := gitrepo.OpenLocal(dir)
			if err != nil {
				return nil
			}
			defer local.Close() // it was only read
			return local.Names()
		}))
}
