package cli

import (
	"fmt"
	"path"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// systemNamespaceOf is where Flux is according to the management cluster; empty when that does not say.
func systemNamespaceOf(name string) func(*fluxinstall.State) string {
	return func(state *fluxinstall.State) string {
		if f, err := fleetOfState(state, name); err == nil && f.config != nil {
			return f.config.SystemNamespace
		}
		return ""
	}
}

// followed is the configuration that Flux itself follows, for a management cluster that has none (yet): a
// creation that could not be finished leaves Flux waiting for its first commit, and the reference is in that
// commit. Nil without Flux.
func (o *gitOptions) followed(survey *fluxinstall.Survey) (*clusterspec.GitOps, error) {
	source, apply := survey.Flux.GitRepository, survey.Flux.Kustomization
	if source == nil || apply == nil {
		return nil, nil
	}
	endpoints, err := o.endpoints()
	if err != nil {
		return nil, err
	}
	config := &clusterspec.GitOps{
		Kind: "GitRepository", Name: source.Name, SystemNamespace: survey.Namespace, Branch: source.Branch,
		ClusterConfigPath: path.Clean(strings.TrimLeft(apply.Path, "/")),
	}
	if err := clusterspec.CheckPath(config.ClusterConfigPath); err != nil {
		return nil, fmt.Errorf("the path %q of Kustomization %s/%s: %w",
			apply.Path, survey.Namespace, apply.Name, err)
	}
	repository, onGitHub := below(source.URL, endpoints.SSH)
	if !onGitHub {
		repository, onGitHub = below(source.URL, endpoints.Git) // with a token
	}
	if onGitHub {
		owner, name, _ := strings.Cut(strings.TrimSuffix(repository, ".git"), "/")
		config.GitHub = &clusterspec.GitHubConfig{Owner: owner, Repository: name}
	} else {
		config.Git = &clusterspec.GitConfig{RepositoryURL: source.URL}
	}
	return config, nil
}

// below is what follows the base in a URL. The case of hosts does not matter, nor does that of anything else
// on GitHub.
func below(url, base string) (rest string, ok bool) {
	if len(url) < len(base) || !strings.EqualFold(url[:len(base)], base) {
		return "", false
	}
	return url[len(base):], true
}
