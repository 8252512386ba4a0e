package connect

import (
	"context"
	"sync"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Options say how a run reaches its repository and its management cluster.
type Options struct {
	// GitOps says which repository it is. Without it the run has the port to the cluster alone.
	GitOps *clusterspec.GitOps
	// KeepsFlux says that the run looks after the credentials with which Flux reads the repository, as one
	// about a management cluster does.
	KeepsFlux bool

	// Token is what a repository on GitHub is reached with: its API, and Git over HTTPS.
	Token secret.Value
	// Endpoints are those of the GitHub; zero is github.com.
	Endpoints gitops.GitHubEndpoints
	// CAPEM are certificate authorities, in PEM, that are trusted for GitHub besides the system's.
	CAPEM []byte

	// SSH is how a repository on any other Git server is logged in to.
	SSH SSH
	// KnownHosts is the path of a file of known hosts (sshd(8)). It is needed with every Git server but a
	// GitHub, and with a GitHub that publishes no host keys, as enterprise servers do not.
	KnownHosts string

	// Kubeconfig leads to the management cluster. Without it, to open that port is an error,
	// [gitops.ErrNoKubeconfig].
	Kubeconfig *fluxinstall.KubeconfigOptions

	// UserAgent is how the program introduces itself to every server, such as fleet/1.0; a default stands for
	// an empty one.
	UserAgent string
	// Report is told what the run does, and also when a server has to be waited for. Nil is nobody.
	Report step.Reporter
	// Explain may put an error about a key or known hosts into words that whoever set these Options knows: a
	// [KnownHostsError], a [NoKeyError], a [KeyFileError]. Nil leaves them as they are.
	Explain func(error) error
}

// Way is what a run of pkg/gitops needs to reach everything.
type Way struct {
	// Ports are complete but for what is the caller's own: Local, Provisioner and Shield.
	Ports gitops.Ports
	// Settings have Remote and KnownHosts set. Who commits, and everything else, is the caller's.
	Settings gitops.Settings
	// Source and SourceIsOperators are for [gitops.CreateOptions] and [gitops.UpgradeOptions]. Source is nil
	// with GitHub, where Flux gets a deploy key that the run makes.
	Source            *fluxinstall.SourceSecret
	SourceIsOperators bool
	// Warnings are for the person who chose the keys and the known hosts.
	Warnings []string
	// Problems are what is wrong with the keys and the known hosts. To open a repository is an error that
	// joins them, so that a run tells of them together with everything else that is wrong.
	Problems []error
}

// New makes the ports and settings of a run. It reads files and opens no connection but that to an SSH agent;
// it may ask for a passphrase. What is wrong with the credentials is in the Problems of the result. The error
// is the context's cause, or says that Endpoints are not valid.
func New(ctx context.Context, o Options) (*Way, error) {
	way := &Way{Ports: gitops.Ports{Report: o.Report, OpenCluster: o.openCluster}}
	switch {
	case o.GitOps == nil:
		return way, nil
	case o.GitOps.GitHub == nil:
		return way, way.overSSH(ctx, o)
	default:
		return way, way.onGitHub(ctx, o)
	}
}

func (o Options) openCluster(ctx context.Context) (gitops.Cluster, error) {
	if o.Kubeconfig == nil {
		return nil, gitops.ErrNoKubeconfig
	}
	kubeconfig := *o.Kubeconfig
	if kubeconfig.UserAgent == "" {
		kubeconfig.UserAgent = o.UserAgent
	}
	if kubeconfig.OnRetry == nil {
		kubeconfig.OnRetry = func(e fluxinstall.RetryEvent) { o.note(step.LevelInfo, e.String()) }
	}
	cluster, err := fluxinstall.Connect(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	return cluster, nil
}

// onGitHub fills in what the github provider needs: one token for the API and for pushing.
func (w *Way) onGitHub(ctx context.Context, o Options) error {
	endpoints := o.Endpoints
	if endpoints == (gitops.GitHubEndpoints{}) {
		endpoints = gitops.GitHubHost("")
	}
	if err := endpoints.Validate(); err != nil {
		return err
	}
	config := o.GitOps.GitHub
	w.Settings.Remote = endpoints.Repository(github.RepoRef{Owner: config.Owner, Name: config.Repository})
	w.Settings.KnownHosts = o.knownHostsOfGitHub(ctx, w.Settings.Remote.Cluster)
	// One client for the run: what it finds out about the server is found out, and told, once.
	open := sync.OnceValues(func() (*github.Client, error) {
		return github.New(github.Options{
			APIURL: endpoints.API, Token: o.Token, CAPEM: o.CAPEM, UserAgent: o.UserAgent,
			OnRetry:  func(e github.RetryEvent) { o.note(step.LevelInfo, e.String()) },
			OnSunset: func(s github.Sunset) { o.note(step.LevelWarning, s.String()) },
		})
	})
	w.Ports.OpenHost = func(context.Context) (gitops.Host, error) {
		client, err := open()
		if err != nil {
			return nil, err
		}
		return client, nil
	}
	w.Ports.OpenRepository = openHTTPS(w.Settings.Remote.Push, o)
	return nil
}

func (o Options) note(level step.Level, text string) {
	if o.Report != nil {
		o.Report.Note(level, text)
	}
}

func (o Options) explain(err error) error {
	if o.Explain == nil || err == nil {
		return err
	}
	return o.Explain(err)
}
