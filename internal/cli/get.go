package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// getKubeconfigOptions are the flags of get kubeconfig.
type getKubeconfigOptions struct {
	name    string
	file    string
	timeout time.Duration
	cluster clusterOptions
}

func newGetCmd(d *deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get",
		Short:   "Show something",
		Example: "  eksa-gitops get kubeconfig dev > dev.kubeconfig",
		Args:    cobra.NoArgs,
		RunE:    needsSubcommand,
	}
	cmd.AddCommand(newGetKubeconfigCmd(d, runGetKubeconfig))
	return cmd
}

func newGetKubeconfigCmd(d *deps, run func(context.Context, *deps, *getKubeconfigOptions) error) *cobra.Command {
	o := &getKubeconfigOptions{}
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print or write the kubeconfig of a workload cluster",
		Long: strings.TrimSpace(`
Reads the kubeconfig of a cluster from the Secret NAME-kubeconfig in namespace eksa-system of the management cluster, where EKS
Anywhere keeps it, and prints it, or writes it to a file that only its owner can read. Whoever holds it administers the cluster.`),
		Example: `  eksa-gitops get kubeconfig dev > dev.kubeconfig
  eksa-gitops get kubeconfig dev --file dev.kubeconfig`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return run(cmd.Context(), d, o)
		},
	}
	cmd.Flags().StringVar(&o.file, "file", "", "write it to this `file` (mode 0600) instead of standard output")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "time limit for the whole run")
	o.cluster.addFlags(cmd)
	return cmd
}

func runGetKubeconfig(ctx context.Context, d *deps, o *getKubeconfigOptions) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	cluster, err := o.cluster.open(ctx, d, "")
	if err != nil {
		return err
	}
	kubeconfig, err := cluster.Kubeconfig(ctx, o.name)
	if err != nil {
		return err
	}
	if o.file == "" {
		_, err = fmt.Fprint(d.streams.Out, kubeconfig.Reveal())
		return err
	}
	if err := writeFile(o.file, []byte(kubeconfig.Reveal()), 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", o.name, err)
	}
	printLines(d.streams.Err, "info", fmt.Sprintf("wrote %s; use it with: kubectl --kubeconfig %s get nodes", o.file, shellQuote(o.file)))
	return nil
}
