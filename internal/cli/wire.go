package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/connect"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// tokenVariable holds the GitHub token; the name is EKS Anywhere's.
const tokenVariable = "EKSA_GITHUB_TOKEN"

// userAgent is how the program introduces itself to every server.
func userAgent() string { return "eksa-gitops/" + buildinfo.Read(fluxmanifests.Version).Version }

// clusterOptions say how the management cluster is reached.
type clusterOptions struct {
	kubeconfig string
	context    string

	waiting func(fluxinstall.RetryEvent) // told when the API server has to be waited for; nil to print a line
}

// retries is whom to tell when the API server has to be waited for.
func (o *clusterOptions) retries(d *deps) func(fluxinstall.RetryEvent) {
	if o.waiting != nil {
		return o.waiting
	}
	return func(e fluxinstall.RetryEvent) {
		steps := d.steps()
		defer steps.Close()
		steps.Note(step.LevelInfo, e.String())
	}
}

func (o *clusterOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the management cluster "+
		"(default: KUBECONFIG, then NAME/NAME-eks-a-cluster.kubeconfig)")
	cmd.Flags().StringVar(&o.context, "context", "", "kubeconfig context to use (default: the current one)")
}

// gitOptions say how Git and its host are reached, and who commits.
type gitOptions struct {
	githubHost   string
	githubAPIURL string
	githubGitURL string
	githubSSHURL string
	caFile       string
	authorName   string
	authorEmail  string

	clusterPrivateKey string
}

func (o *gitOptions) addFlags(cmd *cobra.Command) {
	o.addServerFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.clusterPrivateKey, "cluster-private-key", "", "private key `file` for Flux to read "+
		"a generic Git server's repository with (default: your own, EKSA_GIT_PRIVATE_KEY)")
	flags.StringVar(&o.authorName, "author-name", "",
		"name in the commit (default: user.name of your Git configuration, else eksa-gitops)")
	flags.StringVar(&o.authorEmail, "author-email", "",
		"e-mail address in the commit (default: user.email of your Git configuration)")
}

// addServerFlags are those of commands that only read.
func (o *gitOptions) addServerFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.githubHost, "github-host", "github.com",
		"`host` of a GitHub Enterprise server, or SUBDOMAIN.ghe.com")
	flags.StringVar(&o.githubAPIURL, "github-api-url", "",
		"base `URL` of GitHub's API (default: as --github-host says)")
	flags.StringVar(&o.githubGitURL, "github-git-url", "",
		"base `URL` of GitHub's Git over HTTPS (default: as --github-host says)")
	flags.StringVar(&o.githubSSHURL, "github-ssh-url", "",
		"base `URL` of GitHub's Git over SSH, which Flux uses (default: as --github-host says)")
	flags.StringVar(&o.caFile, "ca-file", "", "PEM `file` with certificate authorities to trust besides "+
		"the system's, for GitHub and Git over HTTPS")
}

// endpoints are GitHub's base URLs as the settings say.
func (o *gitOptions) endpoints() (gitops.GitHubEndpoints, error) {
	endpoints := gitops.GitHubHost(o.githubHost)
	for _, override := range []struct {
		value  string
		target *string
	}{{o.githubAPIURL, &endpoints.API}, {o.githubGitURL, &endpoints.Git}, {o.githubSSHURL, &endpoints.SSH}} {
		if override.value != "" {
			*override.target = override.value
		}
	}
	if err := endpoints.Validate(); err != nil {
		return endpoints, &usageError{err: err}
	}
	return endpoints, nil
}

func (o *gitOptions) caPEM(ctx context.Context) ([]byte, error) {
	if o.caFile == "" {
		return nil, nil
	}
	pem, _, err := localfile.Read(ctx, o.caFile, maxCAFile)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return nil, usagef("--ca-file: %w", err)
	}
	return pem, nil
}

// maxCAFile bounds what is read as certificate authorities: a system's whole list takes 200 KB.
const maxCAFile = 16 << 20

// author is who signs the commit: flags, then Git's own configuration, then the program.
func (o *gitOptions) author() git.Identity {
	identity := gitrepo.ConfiguredIdentity()
	if o.authorName != "" {
		identity.Name = o.authorName
	}
	if o.authorEmail != "" {
		identity.Email = o.authorEmail
	}
	if identity.Name == "" {
		identity.Name = "eksa-gitops"
	}
	if identity.Email == "" {
		identity.Email = "eksa-gitops@localhost"
	}
	return identity
}

// connection is what every command that works on a repository and its management cluster is told by flags.
type connection struct {
	cluster     clusterOptions
	git         gitOptions
	fluxTimeout time.Duration
	dryRun      bool
	detailed    bool   // of a dry run: the exit code tells whether there is something to do
	diff        string // of a dry run: how much of the differences is shown
}

// How much of the differences of a dry run is shown.
const (
	diffSummary = "summary"
	diffFull    = "full"
)

// check makes sure that an exit code for dry runs is asked of one: a script that waits for it would take any
// run for one with nothing to do.
func (c *connection) check() error {
	if c.detailed && !c.dryRun {
		return &usageError{err: errors.New("--detailed-exitcode is only for dry runs"), hint: "add --dry-run"}
	}
	return nil
}

// exits puts the exit code of a run that ends with code and err into its result: with --detailed-exitcode,
// another one where a dry run has found something to do. It returns the error that ends the program with that
// code.
func (c *connection) exits(code exitCode, result *gitops.Result, err error) error {
	if c.dryRun && c.detailed && code == exitDone && result.WouldChange {
		code = exitPlanned
	}
	result.ExitCode = int(code)
	if err == nil && code != exitDone {
		return &reportedError{code: code}
	}
	return err
}

func (c *connection) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&c.dryRun, "dry-run", false,
		"show what would be done and the difference of every file; write nothing anywhere")
	flags.BoolVar(&c.detailed, "detailed-exitcode", false,
		"with --dry-run: exit with 7 if something would be changed, with 0 if nothing would")
	diff := newEnum(&c.diff, diffSummary, diffSummary, diffFull)
	flags.Var(diff, "diff",
		"with --dry-run: "+diff.choices()+": a line for each new file of Flux's own, or all of it")
	completeEnum(cmd, "diff", diff)
	flags.DurationVar(&c.fluxTimeout, "flux-timeout", gitops.DefaultFluxTimeout,
		"time limit for Flux to apply the commit")
	c.cluster.addFlags(cmd)
	c.git.addFlags(cmd)
}

// fleet is what a run works on: one repository and one management cluster.
type fleet struct {
	config            *clusterspec.GitOps // nil when the specs have none
	managementCluster string
	keepsFlux         bool // the run looks after Flux itself, its credentials included
}

// fleetOf is the fleet that clusters of one run belong to.
func fleetOf(clusters []*clusterspec.Cluster) fleet {
	var f fleet
	for _, c := range clusters {
		f.managementCluster = c.ManagementCluster
		if c.GitOps != nil {
			f.config = c.GitOps
			f.keepsFlux = f.keepsFlux || c.Role() == clusterspec.RoleManagement
		}
	}
	return f
}

// wire makes the ports and settings of a run. It opens no connection; it may ask for a passphrase, before the
// steps begin to draw.
func (c *connection) wire(ctx context.Context, d *deps, f fleet, steps *ui.Steps) (*connect.Way, error) {
	if err := checkProxies(d.getenv); err != nil {
		return nil, err
	}
	c.cluster.waiting = func(e fluxinstall.RetryEvent) { steps.Note(step.LevelInfo, e.String()) }
	options := connect.Options{
		GitOps: f.config, KeepsFlux: f.keepsFlux, SSH: c.git.ssh(d), KnownHosts: d.getenv(knownHostsVariable),
		UserAgent: userAgent(), Report: steps, Explain: explainAccess,
	}
	if f.config != nil && f.config.GitHub != nil {
		if err := c.git.onGitHub(ctx, d, &options); err != nil {
			return nil, err
		}
	}
	way, err := connect.New(ctx, options)
	if err != nil {
		return nil, err
	}
	for _, problem := range way.Problems {
		if errors.Is(problem, ui.ErrInterrupted) {
			return nil, &interruptedError{err: problem, resume: d.commandLine()}
		}
	}
	for _, warning := range way.Warnings {
		printLines(d.streams.Err, "warning", warning)
	}
	author := c.git.author()
	way.Settings.Author, way.Settings.Committer = author, author
	way.Settings.ToolVersion = buildinfo.Read(fluxmanifests.Version).Version
	way.Settings.DryRun, way.Settings.FluxTimeout = c.dryRun, c.fluxTimeout
	way.Ports.OpenCluster = func(ctx context.Context) (gitops.Cluster, error) {
		cluster, err := c.cluster.open(ctx, d, f.managementCluster)
		if err != nil {
			return nil, err
		}
		return cluster, nil
	}
	return way, nil
}

// onGitHub adds what is said about a repository on GitHub.
func (o *gitOptions) onGitHub(ctx context.Context, d *deps, options *connect.Options) error {
	if o.clusterPrivateKey != "" {
		printLines(d.streams.Err, "warning",
			"--cluster-private-key has no effect: on GitHub, Flux gets a deploy key that is made for it")
	}
	var err error
	if options.CAPEM, err = o.caPEM(ctx); err != nil {
		return err
	}
	if options.Endpoints, err = o.endpoints(); err != nil {
		return err
	}
	options.Token = secret.New(d.getenv(tokenVariable))
	return nil
}
