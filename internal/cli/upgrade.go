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
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// upgradeOptions are the flags of upgrade cluster.
type upgradeOptions struct {
	files      []string
	output     string
	overwrite  bool
	updateFile bool
	adopt      bool
	timeout    time.Duration
	flux       fluxOptions
	connection connection
	provision  provisionOptions
	meant      meantOptions
}

func newUpgradeCmd(d *deps) *cobra.Command {
	return newVerbCmd("upgrade", "Change something that exists", "  eksa-gitops upgrade cluster -f mgmt.yaml",
		newUpgradeClusterCmd(d, runUpgradeCluster))
}

func newUpgradeClusterCmd(d *deps, run func(context.Context, *deps, *upgradeOptions) error) *cobra.Command {
	o := &upgradeOptions{}
	cmd := &cobra.Command{
		Use:   "cluster -f FILE",
		Short: "Enable GitOps on a running cluster, or change a cluster through Git",
		Long: strings.TrimSpace(`
Brings clusters that exist to what their files say.

A cluster that is not managed through Git yet, and whose file has a gitOpsRef, gets its repository, its files and Flux; Flux takes over
its objects as they are. EKS Anywhere allows that for management clusters only.

A cluster that is managed through Git is changed there. What the file changes is shown field by field, with what EKS Anywhere does with
it: it is applied, ignored or rejected. The API server is asked first, and what it would refuse is not committed. What others changed in
Git since is kept: edits that do not overlap are merged, and those that do are listed and refused until --overwrite lets the file's
values win. --update-file writes what was kept from Git into the file. After the push the command makes Flux fetch, waits until the
objects carry the change, and follows the clusters until they are Ready.

Flux itself is brought to the version of this program: its components in Git are written again, with the controllers and settings they
have, and Flux applies them. Patches in the kustomization beside them are kept; what somebody has edited in the components is named and
replaced with --overwrite only. Objects that are stored in versions which the new release drops are migrated before the push; files with
such versions, and images that keep a controller at another release, are named, and nothing is done. A newer Flux is left alone.
--components and --components-extra choose other controllers, --bundles gives them the images of an EKS Anywhere Bundles file.

--sparse-checkout has Flux fetch only its own path of the repository, and --sparse-checkout=false all of it
again. Without the flag that stays as it is in Git. What Flux needs from elsewhere would be missing, and is
named with its file before anything is written.

A Flux that flux bootstrap installed and that follows another repository, branch or path is taken over with --adopt: nothing of what it
has applied is deleted, and what is not in the new files is listed as no longer managed through Git. One that Helm or flux-operator keeps
is left to them.

With --provisioner eksctl the command has eksctl anywhere upgrade cluster make the change, which also upgrades EKS Anywhere's own
components: Flux is paused on the cluster's objects, eksctl gets the file as it will be in Git without its GitOps part, then Git is
written and Flux resumed. Flux is resumed whatever happens, after a failure and after Ctrl-C, too. What a run that was killed has left
paused is shown by status and taken back by the next run.

The command may be run again at any time; it does what is missing and writes nothing when nothing is.`),
		Example: `  export EKSA_GITHUB_TOKEN=...
  eksa-gitops upgrade cluster -f mgmt.yaml --dry-run
  eksa-gitops upgrade cluster -f dev.yaml
  eksa-gitops upgrade cluster -f dev.yaml --update-file
  eksa-gitops upgrade cluster -f mgmt.yaml --provisioner eksctl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.files) == 0 {
				return usagef("a cluster file is needed: -f FILE")
			}
			if o.updateFile && slices.Contains(o.files, "-") {
				return usagef("--update-file cannot write to standard input: name the file with -f FILE")
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
	flags.BoolVar(&o.overwrite, "overwrite", false,
		"where the file and Git both changed a field, use the file's value")
	flags.BoolVar(&o.updateFile, "update-file", false, "write what others changed in Git into the file")
	flags.BoolVar(&o.adopt, "adopt", false, "take over a Flux that flux bootstrap installed and that "+
		"follows another repository, branch or path; what it has applied stays")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout,
		"time limit for the whole run; with --provisioner eksctl, 4h unless it is given")
	o.flux.addFlags(cmd, "those in Git")
	o.connection.addFlags(cmd)
	completeContexts(cmd, d, &o.connection.cluster)
	o.provision.addFlags(cmd, gitops.VerbUpgrade)
	o.meant.addFlags(cmd)
	return cmd
}

func runUpgradeCluster(ctx context.Context, d *deps, o *upgradeOptions) error {
	limited, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	components, images, err := o.flux.read(limited, d)
	if err != nil {
		return err
	}
	sources, clusters, err := readClusters(limited, d, o.files)
	if err != nil {
		return err
	}
	steps := d.steps()
	defer steps.Close()
	w, err := o.connection.wire(limited, d, fleetOf(clusters), steps)
	if err != nil {
		return err
	}
	w.Ports.Local = localFiles{sources: sources}
	o.provision.wire(d, &o.connection, fleetOf(clusters), fleetOf(clusters).keepsFlux, steps, w)
	options := gitops.UpgradeOptions{
		CreateOptions: gitops.CreateOptions{
			Settings: w.Settings, Clusters: clusters, Overwrite: o.overwrite, Source: w.Source,
			SourceIsOperators: w.SourceIsOperators, Components: components, Images: images,
			Meant: o.meant.meant(), SparseCheckout: o.flux.sparse,
		},
		Sources: sources, UpdateSources: o.updateFile, Adopt: o.adopt,
	}
	result, err := gitops.Upgrade(limited, w.Ports, options)
	steps.Close()
	return finishUpgrade(ctx, d, o, result, err)
}

// finishUpgrade decides the exit code, completes the result and prints it.
func finishUpgrade(ctx context.Context, d *deps, o *upgradeOptions, result *gitops.Result, err error) error {
	resume := d.commandLine()
	if errors.Is(context.Cause(ctx), errInterrupted) {
		err = &interruptedError{err: err, resume: resume}
	}
	code := exitCodeOf(err)
	if code != exitDone {
		result.Resume = resume
	}
	err = o.connection.exits(code, result, err)
	if o.output == outputJSON {
		if o.connection.dryRun {
			addDiffs(d, result)
		}
		if encodeErr := diagnostics.WriteJSON(d.streams.Out, result); encodeErr != nil {
			return encodeErr
		}
		return err
	}
	printUpgradeResult(d, result, o.connection.diff == diffFull)
	if result.Status == gitops.StatusIncomplete {
		printFleet(&lines{w: d.streams.Out}, result)
		return &resumeError{err: err, resume: resume}
	}
	return err
}

// addDiffs gives the files of a dry run their differences.
func addDiffs(d *deps, result *gitops.Result) {
	lists := [][]layout.FileChange{result.LocalFiles}
	if result.Repository != nil {
		lists = append(lists, result.Repository.Files)
	}
	for _, files := range lists {
		for i, file := range files {
			if file.Change != layout.FileDelete { // its content is no news
				files[i].Diff = d.diff(file.Path, file.Before, file.After)
			}
		}
	}
}

// printUpgradeResult writes the last lines of upgrade cluster.
func printUpgradeResult(d *deps, result *gitops.Result, whole bool) {
	out := &lines{w: d.streams.Out}
	switch result.Status {
	case gitops.StatusNotConfigured:
		out.printf("GitOps is not configured: no cluster of this file has a gitOpsRef, and none is managed " +
			"through Git. Nothing was changed.")
	case gitops.StatusPlanned:
		printUpgradePlan(d, out, result, whole)
	case gitops.StatusDone:
		printUpgraded(out, result)
	}
}

func printUpgradePlan(d *deps, out *lines, result *gitops.Result, whole bool) {
	printDiffs(d, out, result.Repository.Files, whole)
	printDiffs(d, out, result.LocalFiles, whole)
	if len(result.Repository.Files) == 0 {
		out.printf("Nothing in Git would change.")
	}
	printFluxChanges(out, result)
	out.printf("This was a dry run: nothing has been changed.")
}

// agreement says with what clusters agree after an upgrade: their file, or Git, where that has edits which
// the file has not, and whether a cluster is otherwise than both, when the run had nothing to change.
func agreement(result *gitops.Result) string {
	kept, drifted := 0, 0
	next := ""
	for _, c := range result.Clusters {
		kept += len(c.Merged)
		for _, d := range c.Drift {
			if !d.Pending {
				drifted++
				next = text.Command("eksa-gitops status %s", c.Name)
			}
		}
	}
	says := "the file"
	switch {
	case len(result.LocalFiles) > 0 && !result.Changed:
		says = "Git"
	case len(result.LocalFiles) == 0 && kept > 0:
		says = "Git; the file differs in " + count(kept, "field")
	}
	if drifted > 0 && !result.Changed {
		says += fmt.Sprintf("; the cluster differs from Git in %s: see %s", count(drifted, "field"), next)
	}
	return says
}

func printUpgraded(out *lines, result *gitops.Result) {
	names := managedNames(result)
	what := "cluster " + strings.Join(names, ", ") + " matches"
	switch {
	case len(names) > fewClusters:
		what = fmt.Sprintf("%d clusters match", len(names))
	case len(names) > 1:
		what = "clusters " + strings.Join(names, ", ") + " match"
	}
	says := agreement(result)
	if !result.Changed && len(result.LocalFiles) == 0 {
		out.printf("Nothing to do: %s %s.", what, says)
	} else {
		out.printf("%s %s.", capital(what), says)
	}
	printWhere(out, result)
	for _, file := range result.LocalFiles {
		if file.Change == layout.FileKeep {
			out.printf("  not updated %s, which has changed since it was read", file.Path)
			continue
		}
		out.printf("  updated     %s", file.Path)
	}
	printFluxChanges(out, result)
	printFleet(out, result)
}
