package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// validateOptions are the flags of validate.
type validateOptions struct {
	files   []string
	output  string
	strict  bool
	server  bool
	timeout time.Duration
	cluster clusterOptions
}

func newValidateCmd(d *deps, run func(context.Context, *deps, *validateOptions) error) *cobra.Command {
	o := &validateOptions{}
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say everything that is wrong with cluster files",
		Long: strings.TrimSpace(`
Reads EKS Anywhere cluster files together and says everything that is wrong with them at once, each problem with file, line, column
and field, and for what looks like a typing mistake what was probably meant. It needs no network, no credentials and no cluster.

With --server the management cluster is asked too: each object is sent to its API server as a dry run, applied the way Flux would
apply it, so that the cluster's own CRDs and webhooks speak before anything is committed. Nothing is written. The user of the
kubeconfig needs the right to create and patch the objects.

What is found goes to standard output. The exit code is 3 when there are errors, with --strict also when there are only warnings.`),
		Example: `  eksa-gitops validate -f mgmt.yaml
  eksa-gitops validate -f clusters/ -f shared.yaml --strict
  eksa-gitops validate -f dev.yaml --server --kubeconfig mgmt/mgmt-eks-a-cluster.kubeconfig
  eksa-gitops validate -f - -o json < dev.yaml
  eksa-gitops validate -f clusters/ -o github`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.files) == 0 {
				return usagef("a cluster file is needed: -f FILE")
			}
			ctx := cmd.Context()
			if cmd.Flags().Changed("timeout") {
				var cancel context.CancelFunc
				ctx, cancel = ofWholeRun(cmd)
				defer cancel()
			}
			return run(ctx, d, o)
		},
	}
	flags := cmd.Flags()
	addFilesFlag(cmd, &o.files)
	output := newEnum(&o.output, diagnostics.FormatText, diagnostics.Formats()...)
	flags.VarP(output, "output", "o", "format of the result on standard output: "+output.choices())
	completeEnum(cmd, "output", output)
	flags.BoolVar(&o.strict, "strict", false, "exit with 3 for warnings too")
	flags.BoolVar(&o.server, "server", false,
		"ask the management cluster too, by a dry run of each object; nothing is written")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second,
		"time limit for --server; given, it is one for the reading of files as well")
	o.cluster.addFlags(cmd)
	completeContexts(cmd, d, &o.cluster)
	return cmd
}

// ClusterSummary is what is told of a cluster that was found in the files.
type ClusterSummary struct {
	Name      string           `json:"name"`      // of the Cluster object
	Namespace string           `json:"namespace"` // of the Cluster object
	Role      clusterspec.Role `json:"role"`      // whether it manages itself
	// ManagementCluster is the cluster that manages it, which may be itself.
	ManagementCluster string         `json:"managementCluster"`
	Provider          string         `json:"provider"`          // of its machines, such as vsphere
	KubernetesVersion string         `json:"kubernetesVersion"` // as its file has it
	File              string         `json:"file"`              // the file that the Cluster object is in
	GitOps            *GitOpsSummary `json:"gitOps,omitempty"`  // where it is kept; none without a gitOpsRef
}

// GitOpsSummary is where a cluster is kept.
type GitOpsSummary struct {
	Provider GitProvider `json:"provider"` // the kind of Git host
	// Repository is OWNER/NAME on GitHub, else the URL.
	Repository string `json:"repository"`
	Branch     string `json:"branch"`    // the branch that Flux follows
	Path       string `json:"path"`      // the directory in the repository that Flux applies
	Namespace  string `json:"namespace"` // the namespace that Flux runs in
}

// GitProvider is the kind of host that a repository is on.
type GitProvider string

// The kinds of hosts.
const (
	GitProviderGitHub GitProvider = "github"
	GitProviderGit    GitProvider = "git" // any other, over SSH
)

// ServerSummary is what the API server said.
type ServerSummary struct {
	URL      string `json:"url"`      // of the server
	Asked    int    `json:"asked"`    // how many objects it gave a verdict on
	Accepted int    `json:"accepted"` // how many objects it would take
}

// FailureSummary is why a check that was asked for could not be made.
type FailureSummary struct {
	Message string `json:"message"`        // what went wrong
	Hint    string `json:"hint,omitempty"` // what helps
}

// Validation is the JSON form of the result of validate (docs/output.md).
type Validation struct {
	diagnostics.Document
	ExitCode int              `json:"exitCode"` // of the program, as in docs/exit-codes.md
	Clusters []ClusterSummary `json:"clusters"` // as far as they could be read
	// with --server, when the management cluster was asked
	Server  *ServerSummary  `json:"server,omitempty"`
	Failure *FailureSummary `json:"failure,omitempty"` // why something could not be checked
}

func runValidate(ctx context.Context, d *deps, o *validateOptions) error {
	report, set, err := checkFiles(ctx, d, o.files)
	if err != nil {
		return err
	}
	result := &Validation{Clusters: []ClusterSummary{}}
	for _, c := range set.Clusters {
		result.Clusters = append(result.Clusters, summarize(c))
	}
	var failure error
	if errs, _ := report.Counts(); o.server && errs == 0 {
		var problems []clusterspec.Problem
		result.Server, problems, failure = askServer(ctx, d, o, set)
		report.Problems = append(report.Problems, problems...)
	}
	code := exitDone
	errs, warnings := report.Counts()
	switch {
	case errs > 0 || o.strict && warnings > 0:
		code = exitSpec
	case failure != nil:
		code = exitCodeOf(failure)
	}
	if failure != nil {
		result.Failure = summaryOf(failure)
	}
	result.Document, result.ExitCode = report.Document(), int(code)
	if err := printValidation(d, o, report, result); err != nil {
		return err
	}
	if failure != nil && exitCodeOf(failure) == code {
		return failure
	}
	if failure != nil {
		printError(d.streams.Err, failure)
	}
	if code != exitDone {
		return &reportedError{code: code}
	}
	return nil
}

// checkFiles reads the files of a run and reports all that is wrong with them. Its error is an interrupt's;
// without one, the set is never nil.
func checkFiles(ctx context.Context, d *deps, files []string) (diagnostics.Report, *clusterspec.Set, error) {
	report := diagnostics.Report{Command: "validate", Sources: map[string][]byte{},
		ToolVersion: buildinfo.Read(fluxmanifests.Version).Version}
	sources, err := d.readFiles(ctx, files)
	set := &clusterspec.Set{}
	if err == nil {
		for _, source := range sources {
			report.Files = append(report.Files, source.Name)
			report.Sources[source.Name] = source.Data
		}
		set, err = clusterspec.Parse(sources)
		report.Problems = append(report.Problems, set.Warnings...)
	}
	var problems clusterspec.Problems
	if errors.As(err, &problems) {
		report.Problems = append(report.Problems, problems...)
		err = nil
	}
	return report, set, err
}

// printValidation writes the result to standard output.
func printValidation(d *deps, o *validateOptions, report diagnostics.Report, result *Validation) error {
	if o.output == diagnostics.FormatJSON {
		return diagnostics.WriteJSON(d.streams.Out, result)
	}
	if err := report.Write(d.streams.Out, o.output, d.streams.Color && d.streams.OutTTY); err != nil {
		return err
	}
	if o.output != diagnostics.FormatText || d.global.quiet {
		return nil
	}
	out := &lines{w: d.streams.Out}
	if result.Errors > 0 {
		if o.server && result.Server == nil {
			out.printf("The management cluster was not asked: fix the errors first.")
		}
		return nil
	}
	for _, c := range result.Clusters {
		out.printf("%s", c)
	}
	if result.Server != nil && result.Failure == nil {
		out.printf("The API server %s would accept %s (dry run, nothing has been changed).",
			result.Server.URL, count(result.Server.Accepted, "object"))
	}
	return nil
}

func summarize(c *clusterspec.Cluster) ClusterSummary {
	s := ClusterSummary{
		Name: c.Name, Namespace: c.Namespace, Role: c.Role(), ManagementCluster: c.ManagementCluster,
		Provider: c.Provider, KubernetesVersion: c.KubernetesVersion, GitOps: summarizeGitOps(c.GitOps),
	}
	if len(c.Objects) > 0 {
		s.File = c.Objects[0].File
	}
	return s
}

func summarizeGitOps(g *clusterspec.GitOps) *GitOpsSummary {
	if g == nil {
		return nil
	}
	s := &GitOpsSummary{Branch: g.Branch, Path: g.ClusterConfigPath, Namespace: g.SystemNamespace}
	switch {
	case g.GitHub != nil:
		s.Provider, s.Repository = GitProviderGitHub, g.GitHub.Owner+"/"+g.GitHub.Repository
	case g.Git != nil:
		s.Provider, s.Repository = GitProviderGit, g.Git.RepositoryURL
	}
	return s
}

// String is the line that people get: "mgmt.yaml: management cluster mgmt (vsphere, Kubernetes 1.33), GitOps:
// ...".
func (s ClusterSummary) String() string {
	role := string(s.Role) + " cluster " + s.Name
	if s.Role == clusterspec.RoleWorkload {
		role += " of " + s.ManagementCluster
	}
	gitOps := "no GitOps"
	if g := s.GitOps; g != nil {
		gitOps = fmt.Sprintf("GitOps: %s %s branch %s path %s", g.Provider, g.Repository, g.Branch, g.Path)
	}
	return fmt.Sprintf("%s: %s (%s, Kubernetes %s), %s",
		s.File, role, s.Provider, s.KubernetesVersion, gitOps)
}
