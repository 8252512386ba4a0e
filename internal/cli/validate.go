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
	flags.BoolVar(&o.server, "server", false, "ask the management cluster too, by a dry run of each object; nothing is written")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "time limit for --server; given, it is one for the reading of files as well")
	o.cluster.addFlags(cmd)
	completeContexts(cmd, d, &o.cluster)
	return cmd
}

// clusterSummary is what is told of a cluster that was found in the files.
type clusterSummary struct {
	Name              string         `json:"name"`
	Namespace         string         `json:"namespace"`
	Role              string         `json:"role"`
	ManagementCluster string         `json:"managementCluster"`
	Provider          string         `json:"provider"`
	KubernetesVersion string         `json:"kubernetesVersion"`
	File              string         `json:"file"`
	GitOps            *gitOpsSummary `json:"gitOps,omitempty"`
}

// gitOpsSummary is where a cluster is kept.
type gitOpsSummary struct {
	Provider string `json:"provider"` // github or git
	// Repository is OWNER/NAME on GitHub, else the URL.
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
	Path       string `json:"path"`
	Namespace  string `json:"namespace"`
}

// serverSummary is what the API server said.
type serverSummary struct {
	URL string `json:"url"`
	// Asked is how many objects it gave a verdict on, Accepted how many it would take.
	Asked    int `json:"asked"`
	Accepted int `json:"accepted"`
}

// failureSummary is why a check that was asked for could not be made.
type failureSummary struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// validation is the JSON form of the result (docs/output.md).
type validation struct {
	diagnostics.Document
	ExitCode int              `json:"exitCode"`
	Clusters []clusterSummary `json:"clusters"`
	Server   *serverSummary   `json:"server,omitempty"`
	Failure  *failureSummary  `json:"failure,omitempty"`
}

func runValidate(ctx context.Context, d *deps, o *validateOptions) error {
	report, set, err := checkFiles(ctx, d, o.files)
	if err != nil {
		return err
	}
	result := &validation{Clusters: []clusterSummary{}}
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

// checkFiles reads the files of a run and reports all that is wrong with them. Its error is an interrupt's; without one, the set is
// never nil.
func checkFiles(ctx context.Context, d *deps, files []string) (diagnostics.Report, *clusterspec.Set, error) {
	report := diagnostics.Report{Command: "validate", Sources: map[string][]byte{}, ToolVersion: buildinfo.Read(fluxmanifests.Version).Version}
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
func printValidation(d *deps, o *validateOptions, report diagnostics.Report, result *validation) error {
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
		out.printf("The API server %s would accept %s (dry run, nothing has been changed).", result.Server.URL, count(result.Server.Accepted, "object"))
	}
	return nil
}

func summarize(c *clusterspec.Cluster) clusterSummary {
	s := clusterSummary{
		Name: c.Name, Namespace: c.Namespace, Role: string(c.Role()), ManagementCluster: c.ManagementCluster,
		Provider: c.Provider, KubernetesVersion: c.KubernetesVersion, GitOps: summarizeGitOps(c.GitOps),
	}
	if len(c.Objects) > 0 {
		s.File = c.Objects[0].File
	}
	return s
}

func summarizeGitOps(g *clusterspec.GitOps) *gitOpsSummary {
	if g == nil {
		return nil
	}
	s := &gitOpsSummary{Branch: g.Branch, Path: g.ClusterConfigPath, Namespace: g.SystemNamespace}
	switch {
	case g.GitHub != nil:
		s.Provider, s.Repository = "github", g.GitHub.Owner+"/"+g.GitHub.Repository
	case g.Git != nil:
		s.Provider, s.Repository = "git", g.Git.RepositoryURL
	}
	return s
}

// String is the line that people get: "mgmt.yaml: management cluster mgmt (vsphere, Kubernetes 1.33), GitOps: ...".
func (s clusterSummary) String() string {
	role := s.Role + " cluster " + s.Name
	if s.Role == string(clusterspec.RoleWorkload) {
		role += " of " + s.ManagementCluster
	}
	gitOps := "no GitOps"
	if g := s.GitOps; g != nil {
		gitOps = fmt.Sprintf("GitOps: %s %s branch %s path %s", g.Provider, g.Repository, g.Branch, g.Path)
	}
	return fmt.Sprintf("%s: %s (%s, Kubernetes %s), %s", s.File, role, s.Provider, s.KubernetesVersion, gitOps)
}
