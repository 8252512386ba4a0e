package gitops

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// GitHubEndpoints are the base URLs of one GitHub: github.com, an enterprise server or a test's.
type GitHubEndpoints struct {
	API string // REST API, with a trailing slash
	Git string // Git over HTTPS and the web pages, with a trailing slash
	SSH string // Git over SSH, as ssh://user@host[:port]/
}

// GitHubHost returns the endpoints of a GitHub host by GitHub's own rules: github.com and the enterprises on
// GHE.com have their API on a host of its own, an enterprise server has it below /api/v3/
// (https://docs.github.com/rest/quickstart;
// https://docs.github.com/enterprise-cloud@latest/admin/data-residency/about-github-enterprise-cloud-with-data-residency).
func GitHubHost(host string) GitHubEndpoints {
	endpoints := GitHubEndpoints{
		API: "https://api.github.com/",
		Git: "https://github.com/",
		SSH: "ssh://git@github.com/",
	}
	if host != "" && !strings.EqualFold(host, "github.com") {
		endpoints.API = "https://" + host + "/api/v3/"
		endpoints.Git = "https://" + host + "/"
		endpoints.SSH = "ssh://git@" + hostname(host) + "/"
	}
	if enterprise, ok := onGHE(host); ok {
		endpoints.API = "https://api." + host + "/"
		endpoints.SSH = "ssh://" + enterprise + "@" + host + "/"
	}
	return endpoints
}

// onGHE names the enterprise of a host on GHE.com, such as octocorp.ghe.com. It is also the user for SSH
// there, as GitHub's own command line has it (cli/cli, internal/ghrepo).
func onGHE(host string) (enterprise string, ok bool) {
	enterprise, ok = strings.CutSuffix(strings.ToLower(host), ".ghe.com")
	return enterprise, ok && enterprise != "" && !strings.ContainsAny(enterprise, ".:/@")
}

// hostname takes a port off: a web port says nothing about the SSH port.
func hostname(host string) string {
	if u, err := url.Parse("https://" + host); err == nil && u.Hostname() != "" {
		if strings.Contains(u.Hostname(), ":") {
			return "[" + u.Hostname() + "]"
		}
		return u.Hostname()
	}
	return host
}

// Validate checks that each endpoint is an absolute URL of the right scheme without credentials, query or
// fragment.
func (e GitHubEndpoints) Validate() error {
	for _, endpoint := range []struct{ name, value, scheme string }{
		{"API URL", e.API, "https"}, {"Git URL", e.Git, "https"}, {"SSH URL", e.SSH, "ssh"},
	} {
		u, err := url.Parse(endpoint.value)
		if err != nil {
			return fmt.Errorf("GitHub's %s is not a URL", endpoint.name)
		}
		if _, password := u.User.Password(); password || (u.User != nil && endpoint.scheme != "ssh") {
			return fmt.Errorf("GitHub's %s must not contain credentials", endpoint.name)
		}
		if u.Scheme != endpoint.scheme || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("GitHub's %s %q must have the form %s://HOST/",
				endpoint.name, u.Redacted(), endpoint.scheme)
		}
	}
	return nil
}

// Repository returns the addresses of a repository on this GitHub.
func (e GitHubEndpoints) Repository(ref github.RepoRef) facts.Remote {
	path := url.PathEscape(ref.Owner) + "/" + url.PathEscape(ref.Name)
	return facts.Remote{
		Web:     slashed(e.Git) + path,
		Push:    slashed(e.Git) + path + ".git",
		Cluster: slashed(e.SSH) + path,
	}
}

func slashed(base string) string { return strings.TrimRight(base, "/") + "/" }
