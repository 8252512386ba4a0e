package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/eksctl"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/connect"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// Who makes, changes and deletes the clusters themselves.
const (
	provisionerExisting = "existing"
	provisionerEksctl   = "eksctl"
)

// eksctlTimeout bounds a run in which EKS Anywhere builds machines. It has time limits of its own, of an hour
// for each of several waits.
const eksctlTimeout = 4 * time.Hour

// provisionOptions are the flags about the provisioner.
type provisionOptions struct {
	provisioner string
	args        []string
}

// addFlags adds them; verb is what eksctl anywhere does here.
func (o *provisionOptions) addFlags(cmd *cobra.Command, verb gitops.Verb) {
	flags := cmd.Flags()
	provisioner := newEnum(&o.provisioner, provisionerExisting, provisionerExisting, provisionerEksctl)
	flags.Var(provisioner, "provisioner",
		fmt.Sprintf("who makes the machines: with existing, EKS Anywhere's controller; with eksctl, the "+
			"command runs eksctl anywhere %s cluster: %s", verb, provisioner.choices()))
	completeEnum(cmd, "provisioner", provisioner)
	flags.StringArrayVar(&o.args, "eksctl-arg", nil,
		"further `argument` for eksctl anywhere, such as --eksctl-arg=--hardware-csv=FILE; may be repeated")
}

func (o *provisionOptions) usesEksctl() bool { return o.provisioner == provisionerEksctl }

// check finds what is wrong with the command line, and gives the whole run the time that machines take.
func (o *provisionOptions) check(cmd *cobra.Command, d *deps, c *connection, timeout *time.Duration) error {
	if err := c.check(); err != nil {
		return err
	}
	if !o.usesEksctl() {
		if len(o.args) > 0 {
			return usagef("--eksctl-arg works only with --provisioner eksctl")
		}
		return nil
	}
	for _, arg := range o.args {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case name == "-f" || name == "--filename" || name == "--kubeconfig" || name == "--w-config":
			return usagef("--eksctl-arg: %s is given to eksctl anywhere already", name)
		case !strings.HasPrefix(arg, "-"):
			return usagef("--eksctl-arg: %q is not a flag; write a flag and its value in one, as in "+
				"--eksctl-arg=--hardware-csv=FILE", arg)
		}
	}
	if c.cluster.context != "" {
		return usagef("--context cannot be used with --provisioner eksctl: eksctl anywhere knows the " +
			"current context only; name a kubeconfig that has it with --kubeconfig")
	}
	if c.cluster.kubeconfig == "" && len(filepath.SplitList(d.getenv("KUBECONFIG"))) > 1 {
		return usagef("KUBECONFIG names several files, of which eksctl anywhere would use the first alone; " +
			"name the one that is meant with --kubeconfig")
	}
	if !cmd.Flags().Changed("timeout") {
		*timeout = eksctlTimeout
	}
	return nil
}

// wire puts the provisioner into the ports of a run, which is about the management cluster itself or about
// others. It starts nothing.
func (o *provisionOptions) wire(d *deps, c *connection, f fleet, management bool, steps *ui.Steps,
	w *connect.Way) {
	if !o.usesEksctl() {
		return
	}
	w.Settings.Operator = operator()
	w.Ports.Shield = shield
	w.Ports.Provisioner = eksctl.New(eksctl.Options{
		Environ: os.Environ(), Kubeconfig: c.cluster.path(d, f.managementCluster, management), Args: o.args,
		Line: func(line string) { steps.Output("eksctl", line) },
	})
	if management {
		w.Ports.OpenCluster = func(ctx context.Context) (gitops.Cluster, error) {
			cluster, err := c.cluster.openProvisioned(ctx, d, f.managementCluster)
			if err != nil {
				return nil, err
			}
			return cluster, nil
		}
	}
}

// operator is who runs the program: user@host.
func operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// shield takes further interrupts until end is called, so that they do not end the process.
func shield() (end func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return func() { signal.Stop(signals) }
}
