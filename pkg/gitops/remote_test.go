package gitops_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

func deployKey(public string) github.DeployKey {
	return github.DeployKey{Title: "eksa-gitops dev/flux-system", PublicKey: public, ReadOnly: true}
}

func TestGitHubHost(t *testing.T) {
	t.Parallel()
	dotCom := gitops.GitHubEndpoints{API: "https://api.github.com/", Git: "https://github.com/",
		SSH: "ssh://git@github.com/"}
	for host, want := range map[string]gitops.GitHubEndpoints{
		"":           dotCom,
		"github.com": dotCom,
		"GitHub.com": dotCom,
		"git.example.com": {API: "https://git.example.com/api/v3/", Git: "https://git.example.com/",
			SSH: "ssh://git@git.example.com/"},
		"git.example.com:8443": {
			API: "https://git.example.com:8443/api/v3/", Git: "https://git.example.com:8443/",
			SSH: "ssh://git@git.example.com/",
		},
		"[fd00::1]:8443": {API: "https://[fd00::1]:8443/api/v3/", Git: "https://[fd00::1]:8443/",
			SSH: "ssh://git@[fd00::1]/"},
		"octocorp.ghe.com": {API: "https://api.octocorp.ghe.com/", Git: "https://octocorp.ghe.com/",
			SSH: "ssh://octocorp@octocorp.ghe.com/"},
		"ghe.com":  {API: "https://ghe.com/api/v3/", Git: "https://ghe.com/", SSH: "ssh://git@ghe.com/"},
		"10.0.0.7": {API: "https://10.0.0.7/api/v3/", Git: "https://10.0.0.7/", SSH: "ssh://git@10.0.0.7/"},
	} {
		got := gitops.GitHubHost(host)
		if got != want {
			t.Errorf("%q: %+v", host, got)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestGitHubEndpoints_Validate(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	good := gitops.GitHubHost("git.example.com")
	for name, test := range map[string]struct {
		change func(e *gitops.GitHubEndpoints)
		want   string // a part of the error; empty is none
	}{
		"as they come": {func(*gitops.GitHubEndpoints) {}, ""},
		"SSH port": {func(e *gitops.GitHubEndpoints) { e.SSH = "ssh://git@git.example.com:2222/" },
			""},
		"SSH without user": {func(e *gitops.GitHubEndpoints) { e.SSH = "ssh://git.example.com/" }, ""},
		"path":             {func(e *gitops.GitHubEndpoints) { e.Git = "https://example.com/git/" }, ""},
		"no slash":         {func(e *gitops.GitHubEndpoints) { e.Git = "https://git.example.com" }, ""},
		"API by http": {func(e *gitops.GitHubEndpoints) { e.API = "http://git.example.com/" },
			"API URL"},
		"Git by http":  {func(e *gitops.GitHubEndpoints) { e.Git = "http://git.example.com/" }, "Git URL"},
		"Git by SSH":   {func(e *gitops.GitHubEndpoints) { e.Git = e.SSH }, "Git URL"},
		"SSH by https": {func(e *gitops.GitHubEndpoints) { e.SSH = e.Git }, "SSH URL"},
		"scp form":     {func(e *gitops.GitHubEndpoints) { e.SSH = "git@git.example.com:" }, "SSH URL"},
		"empty":        {func(e *gitops.GitHubEndpoints) { e.API = "" }, "API URL"},
		"no host":      {func(e *gitops.GitHubEndpoints) { e.API = "https:///api/" }, "API URL"},
		"no URL":       {func(e *gitops.GitHubEndpoints) { e.API = "https://%zz/" }, "API URL"},
		"query":        {func(e *gitops.GitHubEndpoints) { e.API += "?a=b" }, "API URL"},
		"fragment":     {func(e *gitops.GitHubEndpoints) { e.Git += "#a" }, "Git URL"},
		"user": {func(e *gitops.GitHubEndpoints) { e.Git = "https://" + secret + "@git.example.com/" },
			"must not contain credentials"},
		"password": {func(e *gitops.GitHubEndpoints) { e.API = "https://a:" + secret + "@git.example.com/" },
			"must not contain credentials"},
		"SSH password": {
			func(e *gitops.GitHubEndpoints) { e.SSH = "ssh://git:" + secret + "@git.example.com/" },
			"must not contain credentials"},
		"secret and no URL": {func(e *gitops.GitHubEndpoints) { e.API = "https://a:" + secret + "@%zz/" },
			"API URL"},
	} {
		endpoints := good
		test.change(&endpoints)
		err := endpoints.Validate()
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitHubEndpoints_Repository(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		endpoints gitops.GitHubEndpoints
		ref       github.RepoRef
		want      facts.Remote
	}{
		{gitops.GitHubHost(""), github.RepoRef{Owner: "octo", Name: "fleet"}, facts.Remote{
			Web: "https://github.com/octo/fleet", Push: "https://github.com/octo/fleet.git",
			Cluster: "ssh://git@github.com/octo/fleet",
		}},
		{gitops.GitHubEndpoints{API: "https://x/", Git: "https://x/git", SSH: "ssh://git@x:2222"},
			github.RepoRef{Owner: "octo", Name: "fleet.io"}, facts.Remote{
				Web: "https://x/git/octo/fleet.io", Push: "https://x/git/octo/fleet.io.git",
				Cluster: "ssh://git@x:2222/octo/fleet.io",
			}},
		// Names come from a file: they do not lead to another repository.
		{gitops.GitHubHost(""), github.RepoRef{Owner: "octo", Name: "a/../b?c#d"}, facts.Remote{
			Web:     "https://github.com/octo/a%2F..%2Fb%3Fc%23d",
			Push:    "https://github.com/octo/a%2F..%2Fb%3Fc%23d.git",
			Cluster: "ssh://git@github.com/octo/a%2F..%2Fb%3Fc%23d",
		}},
	} {
		if got := test.endpoints.Repository(test.ref); got != test.want {
			t.Errorf("%v: %+v", test.ref, got)
		}
	}
}
