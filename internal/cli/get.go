package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
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
	return newVerbCmd("get", "Show something",
		"  eksa-gitops get clusters\n  eksa-gitops get kubeconfig dev > dev.kubeconfig",
		newGetClustersCmd(d, runGetClusters), newGetKubeconfigCmd(d, runGetKubeconfig))
}

func newGetKubeconfigCmd(d *deps,
	run func(context.Context, *deps, *getKubeconfigOptions) error) *cobra.Command {
	o := &getKubeconfigOptions{}
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print or write the kubeconfig of a workload cluster",
		Long: strings.TrimSpace(`
Reads the kubeconfig of a cluster from the Secret NAME-kubeconfig in namespace eksa-system of the management cluster, where EKS
Anywhere keeps it, and prints it, or writes it to a file that only its owner can read. Whoever has it administers the cluster. A file
with other content is left as it is without --overwrite; anything but a regular file, such as /dev/stdout, is refused.

--merge adds it to your own kubeconfig, KUBECONFIG's first file or ~/.kube/config, with a context that has the cluster's name. The
current context stays. A context of that name which leads to another server is never replaced without --overwrite. The file is written
in one step and keeps its owner and its mode (0600 for a new one), and what it was before is kept beside it, for its owner alone.
Running it again brings the context up to date.`),
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
	cmd.Flags().StringVar(&o.file, "file", "",
		"write it to this `file` (mode 0600) instead of to standard output")
	cmd.Flags().BoolVar(&o.merge, "merge", false,
		"merge it into your kubeconfig: KUBECONFIG's first file, or ~/.kube/config")
	cmd.Flags().StringVar(&o.contextName, "context-name", "",
		"with --merge: `name` of the context (default: the cluster's)")
	cmd.Flags().BoolVar(&o.setCurrent, "set-current", false, "with --merge: make it the current context")
	cmd.Flags().BoolVar(&o.overwrite, "overwrite", false, "with --merge: replace a context of that name "+
		"which leads to another server; with --file: replace what is in the file")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "time limit for the whole run")
	o.cluster.addFlags(cmd)
	completeClusters(cmd, d, &o.cluster, 1)
	completeContexts(cmd, d, &o.cluster)
	return cmd
}

func (o *getKubeconfigOptions) check() error {
	switch {
	case o.merge && o.file != "":
		return usagef("--merge and --file exclude each other")
	case !o.merge && (o.contextName != "" || o.setCurrent):
		return usagef("--context-name and --set-current belong to --merge")
	case !o.merge && o.file == "" && o.overwrite:
		return usagef("--overwrite belongs to --merge and to --file")
	}
	return nil
}

func runGetKubeconfig(ctx context.Context, d *deps, o *getKubeconfigOptions) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	target, err := o.target(d)
	if err != nil {
		return err
	}
	cluster, err := o.cluster.openFor(ctx, d, o.name, false)
	if err != nil {
		return err
	}
	kubeconfig, err := cluster.Kubeconfig(ctx, o.name)
	if err != nil {
		return err
	}
	if o.merge {
		return mergeKubeconfig(ctx, d, o, target, kubeconfig)
	}
	if o.file == "" {
		content := kubeconfig.Reveal()
		if d.streams.OutTTY {
			content = ui.Escape(content)
		}
		_, err = fmt.Fprint(d.streams.Data(), content)
		return err
	}
	changed, err := writeKubeconfig(target, []byte(kubeconfig.Reveal()), o.overwrite)
	if err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", o.name, err)
	}
	did := "wrote " + target
	if !changed {
		did = target + " is up to date"
	}
	printLines(d.streams.Err, "info",
		did+"; "+text.Command("use it with: kubectl --kubeconfig %s get nodes", target))
	return nil
}

// target is the file to write, which can be written as far as that can be known; empty for standard output.
func (o *getKubeconfigOptions) target(d *deps) (string, error) {
	if !o.merge {
		if o.file == "" {
			return "", nil
		}
		return o.file, checkKubeconfigFile(o.file)
	}
	path, err := userKubeconfig(d)
	if err != nil {
		return "", err
	}
	if err := localfile.Check(path); err != nil {
		return "", fmt.Errorf("--merge: %w", err)
	}
	return path, nil
}
