package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// lintOptions are the argument and the flags of lint.
type lintOptions struct {
	path   string
	base   string
	output string
	strict bool
}

func newLintCmd(d *deps) *cobra.Command {
	o := &lintOptions{}
	cmd := &cobra.Command{
		Use:   "lint [PATH]",
		Short: "Check a GitOps repository, and say what a change would do",
		Long: strings.TrimSpace(`
Checks a GitOps repository as it is checked out, without network and without a cluster: that every cluster is where EKS Anywhere
and Flux look for it, that Flux can build what it applies, that Flux's own files are unharmed, and every spec.

PATH is the repository or a directory in it, by default the working directory; then only what is in that directory is reported. What
counts are the files as they are on disk, without those that git ignores: what git add --all would commit. Outside a Git repository
PATH is taken for the root.

With --base every change from another revision is classified as EKS Anywhere and Flux will take it: applied, ignored, rejected as
immutable, or replaced, when an object becomes another one and Flux deletes the old one, for the role of the cluster. When HEAD does not contain the revision, the comparison is with the commit at which the two
parted, so that it shows what this branch changes and nothing else.

What is found goes to standard output. The exit code is 3 when there are errors, a rejected or replacing change among them, with --strict also when
there are only warnings.`),
		Example: `  eksa-gitops lint
  eksa-gitops lint --base origin/main
  eksa-gitops lint clusters/mgmt/dev --base HEAD~1
  eksa-gitops lint --base origin/main -o github   # in a GitHub Actions workflow`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = "."
			if len(args) > 0 {
				o.path = args[0]
			}
			if o.base == "" && cmd.Flags().Changed("base") {
				return usagef("--base needs a revision: a branch, a tag or a commit; it is empty")
			}
			return runLint(cmd.Context(), d, o)
		},
	}
	cmd.Flags().StringVar(&o.base, "base", "",
		"say what every change from this `revision` does: a branch, a tag or a commit")
	completeRevisions(cmd, d)
	output := newEnum(&o.output, diagnostics.FormatText, diagnostics.Formats()...)
	cmd.Flags().VarP(output, "output", "o", "format of the result on standard output: "+output.choices())
	completeEnum(cmd, "output", output)
	cmd.Flags().BoolVar(&o.strict, "strict", false, "exit with 3 for warnings too")
	return cmd
}

// lintRun is a repository with the state to compare it with.
type lintRun struct {
	root   string // absolute
	within string // slash path below root
	// rootless says that root is in no Git work tree.
	rootless bool
	tree     lint.Tree
	base     lint.Tree            // nil without --base
	from     *gitrepo.LocalCommit // what the base is
	named    string               // as it was given
	parted   bool                 // from is not what was named but where the histories parted
}

func runLint(ctx context.Context, d *deps, o *lintOptions) error {
	run, err := readRepository(ctx, o)
	if err != nil {
		return err
	}
	found, err := lint.CheckRepository(run.tree, run.base, lint.Options{Within: run.within})
	if err != nil {
		return err
	}
	report := diagnostics.Report{
		Command: "lint", Problems: found.Problems, Files: found.Files, Sources: found.Sources,
		Rules: lintRules(), ToolVersion: buildinfo.Read(fluxmanifests.Version).Version,
	}
	code := exitDone
	if failures, warnings := report.Counts(); failures > 0 || o.strict && warnings > 0 {
		code = exitSpec
	}
	switch o.output {
	case diagnostics.FormatJSON:
		err = diagnostics.WriteJSON(d.streams.Out, run.document(report, found, code))
	case diagnostics.FormatText:
		err = run.writeText(d, report, found)
	default:
		err = report.Write(d.streams.Out, o.output, false)
	}
	if err != nil {
		return err
	}
	if run.rootless && run.isPart(found) {
		printLines(d.streams.Err, "hint", run.root+" is not in a Git work tree and was treated as the root "+
			"of the repository; if it is a part of one, name its root")
	}
	if code != exitDone {
		return &reportedError{code: code}
	}
	return nil
}

func lintRules() map[string]string {
	summaries := map[string]string{}
	for _, rule := range lint.Rules() {
		summaries[rule.Name] = rule.Summary
	}
	return summaries
}

// readRepository reads the work tree and the base. What cannot be opened or resolved is a mistake of the
// command line.
func readRepository(ctx context.Context, o *lintOptions) (*lintRun, error) {
	dir, err := realDirectory(o.path)
	if err != nil {
		return nil, &usageError{err: err}
	}
	local, err := gitrepo.OpenLocal(dir)
	if errors.As(err, new(*gitrepo.NoRepositoryError)) && o.base == "" {
		files, err := gitrepo.ReadDirectory(ctx, dir)
		if err != nil {
			return nil, err
		}
		return &lintRun{root: dir, within: ".", rootless: true, tree: treeOf(files)}, nil
	}
	if err != nil {
		return nil, &usageError{err: err}
	}
	defer local.Close() // it was only read
	within, err := filepath.Rel(local.Root(), dir)
	if err != nil {
		return nil, err
	}
	run := &lintRun{root: local.Root(), within: filepath.ToSlash(within), named: o.base}
	files, err := local.WorkTree(ctx)
	if err != nil {
		return nil, err
	}
	run.tree = treeOf(files)
	if o.base == "" {
		return run, nil
	}
	if err := run.readBase(ctx, local); err != nil {
		return nil, &usageError{err: err}
	}
	return run, nil
}

// isPart says whether what was taken for the root is a directory of a repository: its files name the path
// that leads to it.
func (r *lintRun) isPart(found *lint.RepositoryReport) bool {
	return slices.ContainsFunc(found.Problems, func(p clusterspec.Problem) bool {
		if p.Rule != "config-path" && p.Rule != "flux-path" {
			return false
		}
		path := "/" + strings.TrimPrefix(strings.Trim(p.Found, `"`), "./")
		return slices.ContainsFunc(found.Fleets, func(f lint.Fleet) bool {
			return strings.HasSuffix(filepath.ToSlash(filepath.Join(r.root, f.Path)), path)
		})
	})
}

// realDirectory is the absolute path of a directory, links followed, so that it can be compared with the
// repository's root.
func realDirectory(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no directory %s", path)
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory; lint checks a repository or a directory in it", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// readBase finds the commit to compare with and lists its files.
func (r *lintRun) readBase(ctx context.Context, local *gitrepo.Local) error {
	revision, err := local.Resolve(r.named)
	if err != nil {
		return err
	}
	if head, err := local.Resolve("HEAD"); err == nil {
		parting, ok, err := local.MergeBase(ctx, head, revision)
		if err != nil {
			return err
		}
		// In a shallow clone the histories may seem to have nothing in common; then the revision itself is
		// the best there is.
		if ok && parting.Hash() != revision.Hash() {
			revision, r.parted = parting, true
		}
	}
	files, err := local.Tree(ctx, revision)
	if err != nil {
		return err
	}
	r.from, r.base = &revision, treeOf(files)
	return nil
}

func treeOf(files gitrepo.LocalTree) lint.Tree {
	tree := make(lint.Tree, len(files))
	for name, file := range files {
		node := lint.Node{Ignored: file.Ignored, Filter: file.Filter, Content: file}
		switch file.Mode {
		case git.Symlink:
			node.Kind = lint.NodeSymlink
		case git.Submodule:
			node.Kind = lint.NodeSubmodule
		}
		tree[name] = node
	}
	return tree
}

// LintResult is the JSON form of the result of lint (docs/output.md).
type LintResult struct {
	diagnostics.Document
	ExitCode int             `json:"exitCode"`          // of the program, as in docs/exit-codes.md
	Fleets   []lint.Fleet    `json:"fleets"`            // what was found in the repository
	Base     *LintBase       `json:"base,omitempty"`    // with --base: what the repository was compared with
	Changes  []lint.Change   `json:"changes"`           // those from the base; none without one
	Failure  *FailureSummary `json:"failure,omitempty"` // why the repository could not be checked
}

// LintBase is what the repository was compared with.
type LintBase struct {
	Revision string `json:"revision"` // as --base names it
	Commit   string `json:"commit"`   // its full ID
	// MergeBase says that the commit is the one at which HEAD and the revision parted.
	MergeBase bool `json:"mergeBase"`
}

func (r *lintRun) document(report diagnostics.Report, found *lint.RepositoryReport, code exitCode) any {
	document := LintResult{Document: report.Document(), ExitCode: int(code), Fleets: found.Fleets,
		Changes: found.Changes}
	if r.from != nil {
		document.Base = &LintBase{Revision: r.named, Commit: r.from.Hash(), MergeBase: r.parted}
	}
	return document
}

// writeText writes the problems with excerpts, then what the changes do, each change once.
func (r *lintRun) writeText(d *deps, report diagnostics.Report, found *lint.RepositoryReport) error {
	colour := d.streams.OutTTY && d.streams.Color
	report.Problems = slices.DeleteFunc(slices.Clone(report.Problems), func(p clusterspec.Problem) bool {
		return p.Severity == clusterspec.SeverityNotice && p.Rule != "kustomization-deprecated" &&
			p.Rule != "not-looked-at" ||
			strings.HasPrefix(p.Rule, "change-")
	})
	r.nameFiles(&report)
	if err := report.Write(d.streams.Out, diagnostics.FormatText, colour); err != nil {
		return err
	}
	out := &lintText{lines: lines{w: d.streams.Out}, run: r, arrow: "->", nameOf: r.shownName()}
	if d.streams.UTF8 {
		out.arrow = "→"
	}
	if colour {
		out.bold, out.red, out.yellow, out.green, out.reset = "\x1b[1m", "\x1b[31m", "\x1b[33m",
			"\x1b[32m", "\x1b[0m"
	}
	clean := len(report.Problems) == 0
	if r.from != nil {
		clean = out.changes(found, clean) && clean
	}
	if clean && !d.global.quiet {
		out.printf("No problems in %s.", inventory(found.Fleets))
	}
	return nil
}

// nameFiles makes the names of files relative to the working directory, as an editor or a terminal wants
// them.
func (r *lintRun) nameFiles(report *diagnostics.Report) {
	rename := r.shownName()
	sources := make(map[string][]byte, len(report.Sources))
	for name, content := range report.Sources {
		sources[rename(name)] = content
	}
	files := make([]string, 0, len(report.Files))
	for _, name := range report.Files {
		files = append(files, rename(name))
	}
	for i := range report.Problems {
		report.Problems[i].File = rename(report.Problems[i].File)
	}
	report.Sources, report.Files = sources, files
}

// shownName gives the function that names a file of the repository for somebody in the working directory.
func (r *lintRun) shownName() func(string) string {
	working, err := realDirectory(".")
	if err != nil || working == r.root {
		return func(name string) string { return name }
	}
	return func(name string) string {
		if relative, err := filepath.Rel(working,
			filepath.Join(r.root, filepath.FromSlash(name))); err == nil && name != "" {
			return relative
		}
		return name
	}
}

// inventory says what was checked: "3 clusters in clusters/mgmt".
func inventory(fleets []lint.Fleet) string {
	clusters := 0
	var paths []string
	for _, f := range fleets {
		clusters += len(f.Clusters)
		paths = append(paths, f.Path)
	}
	if len(paths) > 3 {
		return fmt.Sprintf("%s of %s", count(clusters, "cluster"), count(len(paths), "fleet"))
	}
	return fmt.Sprintf("%s in %s", count(clusters, "cluster"), strings.Join(paths, ", "))
}

// lintText writes what the changes do.
type lintText struct {
	lines
	run                             *lintRun
	arrow                           string
	nameOf                          func(string) string
	bold, red, yellow, green, reset string
}

// changes writes what the changes do, and says whether none is rejected. first is whether nothing is printed
// yet.
func (t *lintText) changes(found *lint.RepositoryReport, first bool) bool {
	from := t.run.named + " (" + t.run.from.Short() + ")"
	if t.run.parted {
		from = fmt.Sprintf("%s, where HEAD and %s parted", t.run.from.Short(), t.run.named)
	}
	if !first {
		t.printf("")
	}
	isBroken := func(f lint.Fleet) bool { return f.Broken }
	if len(found.Changes) == 0 && slices.ContainsFunc(found.Fleets, isBroken) {
		t.printf("What changed from %s cannot be told until the errors above are fixed.", from)
		return true
	}
	if len(found.Changes) == 0 {
		t.printf("No changes of clusters or of Flux from %s.", from)
		return true
	}
	fmt.Fprintf(t.w, "%s\n", t.bold+ui.CleanLine("Changes from "+from)+t.reset)
	counts := map[clusterspec.Verdict]int{}
	rejected := map[string]bool{}
	for _, c := range found.Changes {
		counts[c.Verdict]++
		rejected[c.Fleet] = rejected[c.Fleet] || c.Verdict == clusterspec.VerdictRejected
	}
	for _, group := range groupChanges(found.Changes) {
		t.group(group, len(found.Fleets) > 1)
	}
	var parts []string
	for _, verdict := range []clusterspec.Verdict{clusterspec.VerdictApplied, clusterspec.VerdictIgnored,
		clusterspec.VerdictRejected, clusterspec.VerdictReplaced} {
		if counts[verdict] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[verdict], verdict))
		}
	}
	t.printf("\n%s: %s", count(len(found.Changes), "change"), strings.Join(parts, ", "))
	for _, f := range found.Fleets {
		switch {
		case f.Broken:
			t.printf("Flux applies nothing of %s until the errors above are fixed.", f.Path)
		case rejected[f.Path]:
			t.printf("One rejected object is enough: Flux applies nothing of %s until that is fixed.", f.Path)
		}
	}
	if counts[clusterspec.VerdictReplaced] > 0 {
		t.printf("What is replaced becomes another object: Flux deletes the old one, a cluster with all " +
			"its machines, unless it is marked to be kept.")
	}
	return counts[clusterspec.VerdictRejected]+counts[clusterspec.VerdictReplaced] == 0
}

// groupChanges puts together what belongs to one cluster.
func groupChanges(changes []lint.Change) [][]lint.Change {
	var groups [][]lint.Change
	for _, c := range changes {
		if n := len(groups); n > 0 && groups[n-1][0].Fleet == c.Fleet && groups[n-1][0].Cluster == c.Cluster {
			groups[n-1] = append(groups[n-1], c)
			continue
		}
		groups = append(groups, []lint.Change{c})
	}
	return groups
}

func (t *lintText) group(group []lint.Change, several bool) {
	first := group[0]
	head := "Flux in " + first.Fleet
	switch {
	case first.Cluster != "":
		head = string(first.Role) + " cluster " + first.Cluster
		if several {
			head += " in " + first.Fleet
		}
	case !strings.HasPrefix(first.File, first.Fleet) || first.Verdict == clusterspec.VerdictIgnored:
		head = "objects of no cluster in " + first.Fleet
	}
	fmt.Fprintf(t.w, "\n%s\n", t.bold+ui.CleanLine(head)+t.reset)
	// Of a cluster that comes or goes as a whole the Cluster says all; it is first.
	if whole := first.Field == "" && first.Object == "Cluster "+first.Cluster &&
		!slices.ContainsFunc(group, func(c lint.Change) bool { return c.Field != "" }); whole {
		if n := len(group) - 1; n > 0 {
			first.Message += " (and " + count(n, "object") + " with it)"
		}
		group = []lint.Change{first}
	}
	for _, c := range group {
		t.change(c)
	}
}

func (t *lintText) change(c lint.Change) {
	colour := map[clusterspec.Verdict]string{
		clusterspec.VerdictApplied: t.green, clusterspec.VerdictIgnored: t.yellow,
		clusterspec.VerdictRejected: t.red, clusterspec.VerdictReplaced: t.red,
	}[c.Verdict]
	line := c.Object
	if c.Field != "" {
		before, after := shortValues(c.Old, c.New)
		line += " " + c.Field + ": " + before + " " + t.arrow + " " + after
	}
	message := c.Message
	if c.Field == "" {
		line, message = line+": "+c.Message, ""
	}
	fmt.Fprintf(t.w, "  %s%-8s%s  %s\n", colour, c.Verdict, t.reset, ui.CleanLine(line))
	if message != "" {
		fmt.Fprintf(t.w, "            %s\n", ui.CleanLine(message))
	}
	if c.Verdict == clusterspec.VerdictRejected || c.Verdict == clusterspec.VerdictReplaced {
		fmt.Fprintf(t.w, "            %s:%d\n", ui.CleanLine(t.nameOf(c.File)), c.Line)
	}
}

// mostOfValue is how many characters of a value of a change are shown.
const mostOfValue = 60

// shortValues shows the values of a change on one line, so that they can be told apart.
func shortValues(before, after string) (string, string) {
	left, right := shortValue(before), shortValue(after)
	if left == right {
		return text.Apart(before, after, mostOfValue)
	}
	return left, right
}

// shortValue shows a value of a change on one line.
func shortValue(value string) string {
	const most = mostOfValue
	runes := []rune(value)
	switch {
	case value == "":
		return "(none)"
	case len(runes) > most:
		return string(runes[:most/2]) + "…" + string(runes[len(runes)-most/2:])
	}
	return value
}
