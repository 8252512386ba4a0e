package cli

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// printCreateResult writes the last lines of create cluster: what is there now, where, and what to type next.
// They go to standard output, but for the story of a failure, which belongs to standard error.
func printCreateResult(d *deps, result *gitops.Result, whole bool) {
	out := &lines{w: d.streams.Out}
	switch result.Status {
	case gitops.StatusNotConfigured:
		out.printf("GitOps is not configured: no cluster of this file has a gitOpsRef. Nothing was changed " +
			"in Git or Flux.")
	case gitops.StatusPlanned:
		printPlan(d, out, result, whole)
	case gitops.StatusDone:
		printDone(d, out, result)
	case gitops.StatusGitOpsFailed, gitops.StatusIncomplete:
		printPartly(d, out, result)
	}
}

// lines writes cleaned lines to a stream. Standard output that is gone is noticed by the next command in the
// pipe, not here.
type lines struct{ w io.Writer }

func (l *lines) printf(format string, args ...any) {
	fmt.Fprintln(l.w, ui.Clean(fmt.Sprintf(format, args...)))
}

// printDiffs shows what would be different in files. Of one that goes only the name is told, elsewhere: its
// content is no news. Of Flux's own files, which nobody wrote, a line says what they come to, unless they are
// wanted whole.
func printDiffs(d *deps, out *lines, files []layout.FileChange, whole bool) {
	for _, file := range files {
		switch summary := fluxFileSummary(files, file); {
		case file.After == nil:
		case summary != "" && !whole:
			out.printf("%s", summary)
		default:
			fmt.Fprint(out.w, ui.PaintDiff(d.streams, d.diff(file.Path, file.Before, file.After)))
		}
	}
}

// fluxFileSummary is the line of one of Flux's own files; empty for others, and where the difference is short
// and worth seeing.
func fluxFileSummary(all []layout.FileChange, file layout.FileChange) string {
	lines := func(content []byte) string { return grouped(bytes.Count(content, []byte("\n"))) }
	isNew := file.Before == nil
	switch base := path.Base(file.Path); {
	case base == layout.ComponentsFile:
		version, _, err := fluxmanifests.ComponentVersion(file.After)
		if err != nil {
			version = "of no known release"
		}
		if isNew {
			return fmt.Sprintf("+ %s: Flux %s, %s lines", file.Path, version, lines(file.After))
		}
		return fmt.Sprintf("~ %s: Flux %s, %s lines become %s",
			file.Path, version, lines(file.Before), lines(file.After))
	case !isNew:
		return ""
	case base == layout.SyncFile, base == layout.KustomizationFile &&
		hasFile(all, path.Join(path.Dir(file.Path), layout.ComponentsFile)):
		return fmt.Sprintf("+ %s: %s lines", file.Path, lines(file.After))
	}
	return ""
}

func hasFile(files []layout.FileChange, name string) bool {
	return slices.ContainsFunc(files, func(f layout.FileChange) bool { return f.Path == name })
}

// grouped is a number with its thousands apart.
func grouped(n int) string {
	const thousand = 1000
	if n < thousand {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/thousand), n%thousand)
}

func printPlan(d *deps, out *lines, result *gitops.Result, whole bool) {
	if result.Failure != nil {
		what := "GitOps could not be enabled: "
		if went := goesOn(result); went != "" {
			what = went + ", but a run could not finish: "
		}
		printLines(d.streams.Err, "error", what+result.Failure.Message)
		if result.Failure.Hint != "" {
			printLines(d.streams.Err, "hint", result.Failure.Hint)
		}
		return
	}
	printDiffs(d, out, result.Repository.Files, whole)
	if len(result.Repository.Files) == 0 {
		out.printf("Nothing in Git would change.")
	}
	printConsequences(out, result)
	out.printf("This was a dry run: nothing has been changed.")
}

func printDone(d *deps, out *lines, result *gitops.Result) {
	if !result.Changed {
		out.printf("Nothing to do: %s.", describe(result))
	} else {
		out.printf("%s.", capital(describe(result)))
	}
	printWhere(out, result)
	printFleet(out, result)
	printNext(out, result)
}

// fewClusters are told of one by one; of more, what is the same for all is said once.
const fewClusters = 3

// printFleet writes the table of the clusters of a run that has several.
func printFleet(out *lines, result *gitops.Result) {
	if len(managedNames(result)) < 2 {
		return
	}
	out.printf("")
	table := ui.NewTable(out.w, "NAME", "VERSION", "NODES", "READY", "CAUSE")
	for _, c := range result.Clusters {
		if c.SpecPath == "" {
			continue
		}
		ready := "False"
		if c.Ready {
			ready = "True"
		}
		table.Row(c.Name, orDash(c.KubernetesVersion), nodes(&c), ready,
			orDash(shorten(c.Cause, longestCause)))
	}
	// Standard output that is gone is noticed by the next command in the pipe, not here.
	_ = table.Flush()
}

// longestCause is how much of a cause a table shows; the JSON form has all of it.
const longestCause = 160

// nodes counts control plane and workers together, the ready and the wanted ones.
func nodes(c *gitops.ClusterResult) string {
	if c.ControlPlane == nil || c.Workers == nil {
		return "-"
	}
	sum := facts.MachineStatus{Desired: c.ControlPlane.Desired + c.Workers.Desired}
	if c.ControlPlane.Ready != nil && c.Workers.Ready != nil {
		ready := *c.ControlPlane.Ready + *c.Workers.Ready
		sum.Ready = &ready
	}
	return machines(sum)
}

// describe says what is true now: "cluster mgmt is managed through Git".
func describe(result *gitops.Result) string {
	names := managedNames(result)
	switch {
	case len(names) == 1:
		return "cluster " + names[0] + " is managed through Git"
	case len(names) > fewClusters:
		return fmt.Sprintf("%d clusters are managed through Git", len(names))
	}
	return "clusters " + strings.Join(names, ", ") + " are managed through Git"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func managedNames(result *gitops.Result) []string {
	var names []string
	for _, c := range result.Clusters {
		if c.SpecPath != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

func printWhere(out *lines, result *gitops.Result) {
	if repo := result.Repository; repo != nil {
		note := ""
		if repo.Created {
			note = " (private, created by this run)"
		}
		out.printf("  repository  %s%s", repo.URL, note)
		if repo.Commit != "" {
			out.printf("  branch      %s at %s", repo.Branch, repo.Commit[:min(7, len(repo.Commit))])
		}
	}
	many := len(managedNames(result)) > fewClusters
	for _, c := range result.Clusters {
		if c.SpecPath == "" {
			continue
		}
		if many {
			out.printf("  specs       %s", anyName(c.SpecPath, c.Name))
			break
		}
		out.printf("  spec        %s", c.SpecPath)
	}
	if flux := result.Flux; flux != nil && flux.Ready {
		out.printf("  Flux        %s in namespace %s, has applied %s",
			fluxRelease(flux.Version, len(flux.Controllers)), flux.Namespace, shortRevision(flux.Revision))
	}
	printCopies(out, result)
	for _, c := range result.Clusters {
		if c.Provision != nil && c.Provision.Log != "" {
			out.printf("  eksctl log  %s", c.Provision.Log)
		}
	}
}

// printCopies says where the copies of the clusters' files are.
func printCopies(out *lines, result *gitops.Result) {
	many := len(managedNames(result)) > fewClusters
	for _, c := range result.Clusters {
		if c.LocalSpec == "" {
			continue
		}
		if many && c.LocalSpecKept == "" {
			out.printf("  local copy  %s", anyName(c.LocalSpec, c.Name))
			break
		}
		if !many {
			out.printf("  local copy  %s", c.LocalSpec)
		}
	}
	printKept(out, result)
}

// printKept names every file of the user's in the place of a copy, and where the copy is.
func printKept(out *lines, result *gitops.Result) {
	for _, c := range result.Clusters {
		switch {
		case c.LocalSpecKept == "":
		case c.LocalSpec == "":
			out.printf("%s was left as it is; no copy was written.", c.LocalSpecKept)
		default:
			out.printf("%s was left as it is; the copy is in %s.", c.LocalSpecKept, c.LocalSpec)
		}
	}
}

// fluxRelease is the release of a Flux that is there, for people. Controllers without one are of several.
func fluxRelease(version string, controllers int) string {
	if version == "" && controllers > 0 {
		return "of several releases"
	}
	return version
}

// anyName is the path of a file as it is for a cluster of any name.
func anyName(file, name string) string {
	parts := strings.Split(file, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		switch {
		case parts[i] == name:
			parts[i] = "NAME"
			return strings.Join(parts, "/")
		case strings.HasPrefix(parts[i], name+"-"):
			parts[i] = "NAME" + strings.TrimPrefix(parts[i], name)
		}
	}
	return strings.Join(parts, "/")
}

// shortRevision shortens the commit in branch@sha1:commit.
func shortRevision(revision string) string {
	branch, commit, ok := strings.Cut(revision, "@sha1:")
	if !ok {
		return revision
	}
	return branch + "@" + commit[:min(7, len(commit))]
}

func printNext(out *lines, result *gitops.Result) {
	out.printf("")
	out.printf("Next:")
	management, workload, many := false, 0, len(managedNames(result)) > fewClusters
	for _, c := range result.Clusters {
		if c.SpecPath == "" {
			continue
		}
		if c.Role == clusterspec.RoleManagement {
			management = true
			continue
		}
		if workload++; many && workload > 1 {
			continue
		}
		name := c.Name
		if many {
			name = "NAME"
		}
		out.printf("  %s", text.Command("eksa-gitops get kubeconfig %s > %s.kubeconfig", name, name))
	}
	if repo := result.Repository; repo != nil {
		out.printf("  %s", cloneCommand(repo))
		out.printf("      and edit %s, commit, push: Flux applies it", path.Dir(firstSpec(result)))
	}
	if management {
		out.printf("  eksa-gitops create cluster -f WORKLOAD.yaml")
		out.printf("      for a workload cluster beside it")
	}
}

// cloneCommand clones the repository, and checks out the branch that Flux follows.
func cloneCommand(repo *gitops.RepoResult) string {
	if repo.Branch == repo.DefaultBranch {
		return text.Command("git clone %s", repo.CloneURL)
	}
	return text.Command("git clone --branch %s %s", repo.Branch, repo.CloneURL)
}

func firstSpec(result *gitops.Result) string {
	for _, c := range result.Clusters {
		if c.SpecPath == "" {
			continue
		}
		if len(managedNames(result)) > fewClusters {
			return anyName(c.SpecPath, c.Name)
		}
		return c.SpecPath
	}
	return ""
}

// printPartly tells what is there without GitOps, why, and how to go on.
func printPartly(d *deps, out *lines, result *gitops.Result) {
	var up []string
	for _, c := range result.Clusters {
		if c.Ready {
			up = append(up, c.Name)
		}
	}
	for i, c := range result.Clusters {
		if c.LocalSpec != "" && i >= fewClusters {
			out.printf("Wrote the other clusters' files in the same way.")
			break
		}
		if c.LocalSpec != "" {
			out.printf("Wrote %s.", c.LocalSpec)
		}
	}
	printKept(out, result)
	printFleet(out, result)
	if result.Status == gitops.StatusGitOpsFailed || result.Failure != nil && result.Failure.Step != "" {
		printLines(d.streams.Err, "warning", gitOpsVerdict(result, up))
	}
	if result.Resume != "" {
		printLines(d.streams.Err, "hint", continueHint(result.Resume))
	}
	// The cause, with the next command, is the last thing that is read.
	if result.Status == gitops.StatusGitOpsFailed {
		printLines(d.streams.Err, "warning", "cause: "+result.Failure.Message)
		if result.Failure.Hint != "" {
			printLines(d.streams.Err, "hint", result.Failure.Hint)
		}
	}
}

// gitOpsVerdict says what a run leaves that could not do its GitOps part; up are the clusters that are Ready.
func gitOpsVerdict(result *gitops.Result, up []string) string {
	what := "GitOps is NOT enabled"
	if went := goesOn(result); went != "" {
		what = went + ", but this run could not finish"
	}
	switch {
	case len(up) == 0:
		return what
	case strings.HasPrefix(what, "Flux"):
		return isAre("cluster", up) + " up; " + what
	}
	return isAre("cluster", up) + " up, but " + what
}

// goesOn is what Flux did before a run that failed and, as far as that is known, does; empty when it followed
// no repository.
func goesOn(result *gitops.Result) string {
	flux := result.Flux
	switch {
	case flux == nil || flux.Revision == "":
		return ""
	case flux.Ready:
		return "Flux still applies " + shortRevision(flux.Revision)
	}
	return "Flux had applied " + shortRevision(flux.Revision)
}

func isAre(noun string, names []string) string {
	if len(names) == 1 {
		return noun + " " + names[0] + " is"
	}
	if len(names) > fewClusters {
		return fmt.Sprintf("%d %ss are", len(names), noun)
	}
	return noun + "s " + strings.Join(names, ", ") + " are"
}

// shorten makes one line of a text, of so many characters at most.
func shorten(text string, most int) string {
	runes := []rune(ui.CleanLine(text))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}
