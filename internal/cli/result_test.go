package cli

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// What a clone checks out has to be what Flux follows.
func TestCloneCommand(t *testing.T) {
	t.Parallel()
	const url = "https://github.com/acme/fleet.git"
	for _, tc := range []struct {
		repo gitops.RepoResult
		want string
	}{
		{gitops.RepoResult{CloneURL: url, Branch: "main", DefaultBranch: "main"}, "git clone " + url},
		{gitops.RepoResult{CloneURL: url, Branch: "gitops", DefaultBranch: "main"},
			"git clone --branch gitops " + url},
		{gitops.RepoResult{CloneURL: url, Branch: "main"}, "git clone --branch main " + url},
		{gitops.RepoResult{CloneURL: "ssh://git@host/a b", Branch: "a;b", DefaultBranch: "main"},
			"git clone --branch 'a;b' 'ssh://git@host/a b'"},
	} {
		if got := cloneCommand(&tc.repo); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

// The repository that Flux follows is known as one of this GitHub's, whatever the case of its address.
func TestFollowed(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]clusterspec.GitOps{
		"ssh://git@github.com/acme/fleet": {GitHub: &clusterspec.GitHubConfig{Owner: "acme",
			Repository: "fleet"}},
		"ssh://git@GitHub.com/Acme/fleet.git": {GitHub: &clusterspec.GitHubConfig{Owner: "Acme",
			Repository: "fleet"}},
		"https://GITHUB.com/acme/fleet": {GitHub: &clusterspec.GitHubConfig{Owner: "acme",
			Repository: "fleet"}},
		"ssh://git@git.example.com/acme/fleet": {
			Git: &clusterspec.GitConfig{RepositoryURL: "ssh://git@git.example.com/acme/fleet"}},
		"ssh://git@github.com.example.com/a/b": {
			Git: &clusterspec.GitConfig{RepositoryURL: "ssh://git@github.com.example.com/a/b"}},
	} {
		survey := &fluxinstall.Survey{Namespace: "flux-system",
			State: fluxinstall.State{Flux: fluxinstall.FluxState{
				GitRepository: &fluxinstall.GitRepositoryState{Name: "flux-system", URL: url, Branch: "main"},
				Kustomization: &fluxinstall.KustomizationState{Name: "flux-system", Path: "./clusters/mgmt"},
			}}}
		got, err := (&gitOptions{githubHost: "github.com"}).followed(survey)
		if err != nil {
			t.Fatal(err)
		}
		if got.GitHub != nil && want.GitHub != nil {
			if *got.GitHub != *want.GitHub {
				t.Errorf("%s is %+v, want %+v", url, *got.GitHub, *want.GitHub)
			}
		} else if got.Git == nil || want.Git == nil || *got.Git != *want.Git {
			t.Errorf("%s is %+v, want %+v", url, got, want)
		}
	}
}

// The last words of a run that could not do its GitOps part say no more than what was seen.
func TestGitOpsVerdict(t *testing.T) {
	t.Parallel()
	const revision = "main@sha1:0123456789abcdef0123456789abcdef01234567"
	for _, tc := range []struct {
		flux *gitops.FluxResult
		up   []string
		want string
	}{
		{nil, []string{"mgmt"}, "cluster mgmt is up, but GitOps is NOT enabled"},
		{nil, nil, "GitOps is NOT enabled"},
		{&gitops.FluxResult{}, []string{"mgmt"}, "cluster mgmt is up, but GitOps is NOT enabled"},
		{&gitops.FluxResult{Revision: revision, Ready: true}, []string{"mgmt"},
			"cluster mgmt is up; Flux still applies main@0123456, but this run could not finish"},
		{&gitops.FluxResult{Revision: revision, Ready: true}, nil,
			"Flux still applies main@0123456, but this run could not finish"},
		{&gitops.FluxResult{Revision: revision}, []string{"dev", "w01"},
			"clusters dev, w01 are up; Flux had applied main@0123456, but this run could not finish"},
	} {
		if got := gitOpsVerdict(&gitops.Result{Flux: tc.flux}, tc.up); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// What an upgrade says at its end is true: the file, Git and the cluster are told apart.
func TestAgreement(t *testing.T) {
	t.Parallel()
	kept, drift := make([]clusterspec.MergeEdit, 2),
		[]facts.Difference{{Cluster: "dev"}, {Cluster: "dev", Pending: true}}
	file := []layout.FileChange{{Path: "dev.yaml"}}
	for name, tc := range map[string]struct {
		result gitops.Result
		want   string
	}{
		"all agree": {gitops.Result{}, "the file"},
		"changed":   {gitops.Result{Changed: true}, "the file"},
		"Git has more": {gitops.Result{Clusters: []gitops.ClusterResult{{Merged: kept}}},
			"Git; the file differs in 2 fields"},
		"changed, Git has more": {
			gitops.Result{Changed: true, Clusters: []gitops.ClusterResult{{Merged: kept}}},
			"Git; the file differs in 2 fields"},
		"the file was updated": {
			gitops.Result{LocalFiles: file, Clusters: []gitops.ClusterResult{{Merged: kept}}}, "Git"},
		"both were": {
			gitops.Result{Changed: true, LocalFiles: file, Clusters: []gitops.ClusterResult{{Merged: kept}}},
			"the file"},
		"the cluster is otherwise": {
			gitops.Result{Clusters: []gitops.ClusterResult{{Name: "dev", Drift: drift}}},
			"the file; the cluster differs from Git in 1 field: see eksa-gitops status dev"},
		"Flux has just applied it": {
			gitops.Result{Changed: true, Clusters: []gitops.ClusterResult{{Name: "dev", Drift: drift}}},
			"the file"},
	} {
		if got := agreement(&tc.result); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
