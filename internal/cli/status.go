package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/pkg/connect"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// What a watch looks at how often: the cluster costs nothing, the Git server and its API are somebody else's.
const (
	watchCluster = 3 * time.Second
	watchGit     = 30 * time.Second
)

// statusOptions are the flags of status.
type statusOptions struct {
	name    string
	output  string
	watch   bool
	timeout time.Duration
	cluster clusterOptions
	git     gitOptions
}

func newStatusCmd(d *deps, run func(context.Context, *deps, *statusOptions) error) *cobra.Command {
	o := &statusOptions{}
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show whether Git, Flux and the clusters agree, and why not",
		Long: strings.TrimSpace(`
Shows on one page the repository, the key that Flux reads it with, Flux, the clusters, and every field that Git sets and that is
different in the cluster. For whatever is not well it says why in plain words, and which command is next. With NAME, only that
cluster is looked at, in more detail.

The management cluster says where the repository is; no file is needed. Without --kubeconfig and KUBECONFIG, the kubeconfig is that of NAME's
management cluster in its folder here, or the only one that there is in such a folder. Without EKSA_GITHUB_TOKEN, or when the Git server
cannot be reached, that is one of the things that are not well, and the rest is shown.

Exit code 0 means that all is well, as far as the kubeconfig's user may look; 5 that something is not, or that the repository
could not be looked at.`),
		Example: `  eksa-gitops status
  eksa-gitops status dev --watch
  eksa-gitops status -o json | jq -r '.problems[] | .object + ": " + .cause'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return run(cmd.Context(), d, o)
		},
	}
	addOutputFlag(cmd, &o.output)
	flags := cmd.Flags()
	flags.BoolVarP(&o.watch, "watch", "w", false,
		"show it again whenever it changes, until interrupted or until --timeout is over")
	flags.DurationVar(&o.timeout, "timeout", 0,
		"time limit for the whole run (default: 1m, with --watch none)")
	o.cluster.addFlags(cmd)
	completeClusters(cmd, d, &o.cluster, 1)
	completeContexts(cmd, d, &o.cluster)
	o.git.addServerFlags(cmd)
	return cmd
}

func runStatus(ctx context.Context, d *deps, o *statusOptions) error {
	ctx, cancel := limitLook(ctx, o.timeout, o.watch)
	defer cancel()
	look := newLook(d, &o.cluster, &o.git, o.name, false)
	if o.watch {
		return watchStatus(ctx, d, o, look)
	}
	report, err := look.once(ctx)
	if err != nil {
		return err
	}
	return showStatus(d, o, report)
}

// limitLook bounds a command that looks once; a watch goes on until it is interrupted, unless told otherwise.
func limitLook(ctx context.Context, timeout time.Duration, watch bool) (context.Context, context.CancelFunc) {
	if timeout == 0 && !watch {
		timeout = time.Minute
	}
	if timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, &timeoutError{limit: timeout})
}

// showStatus prints a report; its error is the exit code alone.
func showStatus(d *deps, o *statusOptions, report *status.Report) error {
	if !report.Healthy {
		report.ExitCode = int(exitPartly)
	}
	if o.output == outputJSON {
		if err := diagnostics.WriteJSON(d.streams.Out, report); err != nil {
			return err
		}
	} else {
		printStatus(d, report, o.name)
	}
	if !report.Healthy {
		return &reportedError{code: exitPartly}
	}
	return nil
}

// look is how status and get clusters look at everything, once or again and again.
type look struct {
	d       *deps
	cluster *clusterOptions
	git     *gitOptions
	name    string
	brief   bool

	live   *fluxinstall.Cluster
	way    *connect.Way
	fleet  fleet
	before *status.Observation
}

func newLook(d *deps, cluster *clusterOptions, git *gitOptions, name string, brief bool) *look {
	return &look{d: d, cluster: cluster, git: git, name: name, brief: brief}
}

// once looks at everything and judges it.
func (l *look) once(ctx context.Context) (*status.Report, error) {
	if l.live == nil {
		live, err := l.cluster.openFor(ctx, l.d, l.name, false)
		if err != nil {
			return nil, err
		}
		l.live = live
	}
	survey, err := l.live.Survey(ctx, fluxinstall.SurveyOptions{SystemNamespace: systemNamespaceOf(l.name)})
	if err != nil {
		return nil, fmt.Errorf("looking at the management cluster: %w", err)
	}
	f, err := fleetOfState(&survey.State, l.name)
	if err != nil {
		return nil, err
	}
	noReference := f.config == nil
	if noReference {
		if f.config, err = l.git.followed(survey); err != nil {
			return nil, err
		}
	}
	if err := l.wire(ctx, f); err != nil {
		return nil, err
	}
	observation, err := status.Observe(ctx, l.way.Ports, l.live, status.Options{
		Config: f.config, NoReference: noReference, ManagementCluster: f.managementCluster,
		Remote: l.way.Settings.Remote, Survey: survey, Cluster: l.name, Brief: l.brief, Before: l.before,
		MaxAge: watchGit,
	})
	if err != nil {
		return nil, err
	}
	l.before = observation
	return status.Judge(observation)
}

// wire prepares the way to the repository, once, and again when the management cluster names another one.
func (l *look) wire(ctx context.Context, f fleet) error {
	if l.way != nil && (l.fleet.config == nil) == (f.config == nil) &&
		(f.config == nil || sameConfig(l.fleet, f)) {
		return nil
	}
	steps := l.d.steps()
	defer steps.Close()
	w, err := (&connection{cluster: *l.cluster, git: *l.git}).wire(ctx, l.d, f, steps)
	if err != nil {
		return err
	}
	l.way, l.fleet, l.before = w, f, nil
	return nil
}

func sameConfig(a, b fleet) bool {
	if a.managementCluster != b.managementCluster || a.config.Branch != b.config.Branch ||
		a.config.ClusterConfigPath != b.config.ClusterConfigPath {
		return false
	}
	if a.config.GitHub != nil && b.config.GitHub != nil {
		return *a.config.GitHub == *b.config.GitHub
	}
	return a.config.Git != nil && b.config.Git != nil && *a.config.Git == *b.config.Git
}

// watchStatus shows the report whenever it changes. A passing failure to look is told and outlived.
func watchStatus(ctx context.Context, d *deps, o *statusOptions, look *look) error {
	shown, last := "", error(nil)
	err := watch(ctx, d, look, func(report *status.Report) error {
		text, err := unchanging(report)
		if err != nil || text == shown {
			return err
		}
		if o.output == outputText {
			if d.streams.OutTTY {
				fmt.Fprint(d.streams.Out, clearScreen)
			} else if shown != "" {
				fmt.Fprintln(d.streams.Out, "\n---")
			}
		}
		shown, last = text, showStatus(d, o, report)
		if last != nil && !errors.As(last, new(*reportedError)) {
			return last
		}
		return nil
	})
	if err == nil {
		err = last
	}
	return err
}

// clearScreen moves to the top and clears the screen (ECMA-48: CUP, ED).
const clearScreen = "\x1b[H\x1b[2J"

// unchanging is a report without what differs from look to look.
func unchanging(report *status.Report) (string, error) {
	still := *report
	still.Time = time.Time{}
	var text bytes.Buffer
	err := diagnostics.WriteJSON(&text, &still)
	return text.String(), err
}

// watch looks again and again until ctx ends, which is how a watch is meant to end: an interrupt has its exit
// code and no story, a time limit is no error. The first look has to succeed.
func watch(ctx context.Context, d *deps, look *look, show func(*status.Report) error) error {
	first, told := true, ""
	for {
		report, err := look.once(ctx)
		switch {
		case errors.Is(context.Cause(ctx), errInterrupted):
			return &reportedError{code: exitInterrupted}
		case ctx.Err() != nil && !first:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			if text := err.Error(); text != told {
				told = text
				printLines(d.streams.Err, "warning", text)
			}
		default:
			first, told = false, ""
			if err := show(report); err != nil {
				return err
			}
		}
		timer := time.NewTimer(watchCluster)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
