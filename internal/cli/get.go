package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// getKubeconfigOptions are the flags of get kubeconfig.
type getKubeconfigOptions struct {
	name    string
	file    string
	merge   bool
	timeout time.Duration
	cluster clusterOptions

	contextName string
	setCurrent  bool
	overwrite   bool
}

func newGetCmd(d *deps) *cobra.Command {
	return newVerbCmd("get", "Show something", "  eksa-gitops get clusters\n  eksa-gitops get kubeconfig dev > dev.kubeconfig",
		newGetClustersCmd(d, runGetClusters), newGetKubeconfigCmd(d, runGetKubeconfig))
}

func newGetKubeconfigCmd(d *deps, run func(context.Context, *deps, *getKubeconfigOptions) error) *cobra.Command {
	o := &getKubeconfigOptions{}
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print or write the kubeconfig of a workload cluster",
		Long: strings.TrimSpace(`
Reads the kubeconfig of a cluster from the Secret NAME-kubeconfig in namespace eksa-system of the management cluster, where EKS
Anywhere keeps it, and prints it, or writes it to a file that only its owner can read. Whoever holds it administers the cluster.

--merge adds it to your own kubeconfig, KUBECONFIG's first file or ~/.kube/config, with a context that has the cluster's name. The
current context stays. A context of that name which leads to another server is never replaced without --overwrite. The file is
written in one step, with mode 0600, and what it was before is kept beside it. Running it again brings the context up to date.`),
		Example: `  eksa-gitops get kubeconfig dev > dev.kubeconfig
  eksa-gitops get kubeconfig dev --file dev.kubeconfig
  eksa-gitops get kubeconfig dev --merge && kubectl --context dev get nodes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), d, o)
		},
	}
	cmd.Flags().StringVar(&o.file, "file", "", "write it to this `file` (mode 0600) instead of standard output")
	cmd.Flags().BoolVar(&o.merge, "merge", false, "merge it into your kubeconfig: KUBECONFIG's first file, or ~/.kube/config")
	cmd.Flags().StringVar(&o.contextName, "context-name", "", "with --merge: `name` of the context (default: the cluster's)")
	cmd.Flags().BoolVar(&o.setCurrent, "set-current", false, "with --merge: make it the current context")
	cmd.Flags().BoolVar(&o.overwrite, "overwrite", false, "with --merge: replace a context of that name which leads to another server")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "time limit for the whole run")
	o.cluster.addFlags(cmd)
	return cmd
}

func (o *getKubeconfigOptions) check() error {
	switch {
	case o.merge && o.file != "":
		return usagef("--merge and --file exclude each other")
	case !o.merge && (o.contextName != "" || o.setCurrent || o.overwrite):
		return usagef("--context-name, --set-current and --overwrite belong to --merge")
	}
	return nil
}

func runGetKubeconfig(ctx context.Context, d *deps, o *getKubeconfigOptions) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	cluster, err := o.cluster.openFor(ctx, d, o.name, false)
	if err != nil {
		return err
	}
	kubeconfig, err := cluster.Kubeconfig(ctx, o.name)
	if err != nil {
		return err
	}
	if o.merge {
		return mergeKubeconfig(ctx, d, o, kubeconfig)
	}
	if o.file == "" {
		content := kubeconfig.Reveal()
		if d.streams.OutTTY {
			content = ui.Escape(content)
		}
		_, err = fmt.Fprint(d.streams.Data(), content)
		return err
	}
	if err := writeFile(o.file, []byte(kubeconfig.Reveal()), 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", o.name, err)
	}
	printLines(d.streams.Err, "info", "wrote "+o.file+"; "+text.Command("use it with: kubectl --kubeconfig %s get nodes", o.file))
	return nil
}
