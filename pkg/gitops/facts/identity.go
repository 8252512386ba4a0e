package facts

import (
	"context"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// Which repository it is. GitHub does not tell names apart by case, and redirects a name that a repository
// had before it was renamed or transferred, for Git as well
// (https://docs.github.com/en/repositories/creating-and-managing-repositories/renaming-a-repository), until a
// new one takes it. So two names may be one repository, and EKS Anywhere, which compares texts, does not
// know.

// sameRepository compares two URLs of Git over SSH, whatever way they are written: with port 22 or without,
// with the user git or none. The case of hosts does not matter, that of paths does.
func sameRepository(a, b string) bool {
	if a == b {
		return true
	}
	left, errLeft := sshkeys.ParseURL(a)
	right, errRight := sshkeys.ParseURL(b)
	return errLeft == nil && errRight == nil && sameServer(left, right) && left.Path == right.Path
}

func sameServer(a, b *sshkeys.URL) bool {
	return strings.EqualFold(a.Address(), b.Address()) && a.User == b.User
}

// refOf is the repository that a URL of Git over SSH names on the GitHub that the configuration is about, if
// it is one of its.
func (m Remote) refOf(address string) (github.RepoRef, bool) {
	theirs, errTheirs := sshkeys.ParseURL(address)
	ours, errOurs := sshkeys.ParseURL(m.Cluster)
	if errTheirs != nil || errOurs != nil || !sameServer(theirs, ours) {
		return github.RepoRef{}, false
	}
	base := ours.Path
	for range 2 { // the owner and the name
		base = base[:max(strings.LastIndex(base, "/"), 0)]
	}
	rest, below := strings.CutPrefix(theirs.Path, base+"/")
	owner, name, named := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(rest, "/"), ".git"), "/")
	return github.RepoRef{Owner: owner, Name: name},
		below && named && owner != "" && name != "" && !strings.Contains(name, "/")
}

// Follows says whether a URL that Flux fetches from is the repository that the configuration names. With
// GitHub, formerly are further names that the host says are this repository.
func (m Remote) Follows(config *clusterspec.GitOps, url string, formerly ...github.RepoRef) bool {
	if sameRepository(url, m.Cluster) {
		return true
	}
	ref, ok := m.refOf(url)
	if config.GitHub == nil || !ok {
		return false
	}
	for _, name := range append(formerly, RefOf(config)) {
		if ref.SameAs(name) {
			return true
		}
	}
	return false
}

// RefOf is the repository that a configuration names on GitHub; zero for a generic Git server.
func RefOf(config *clusterspec.GitOps) github.RepoRef {
	if config.GitHub == nil {
		return github.RepoRef{}
	}
	return github.RepoRef{Owner: config.GitHub.Owner, Name: config.GitHub.Repository}
}

// OtherName asks the host whether what Flux follows under another name than the configuration has is the same
// repository. It returns that other name, none when it is not, or when nobody can tell.
func OtherName(ctx context.Context, host HostReader, remote Remote, config *clusterspec.GitOps,
	flux *fluxinstall.FluxState) github.RepoRef {
	git := flux.GitRepository
	if git == nil || remote.Follows(config, git.URL) {
		return github.RepoRef{}
	}
	name, ok := remote.refOf(git.URL)
	if !ok {
		return github.RepoRef{}
	}
	theirs, err := host.Repository(ctx, name)
	if err != nil {
		return github.RepoRef{}
	}
	ours, err := host.Repository(ctx, RefOf(config))
	if err != nil || !ours.Ref.SameAs(theirs.Ref) {
		return github.RepoRef{}
	}
	return name
}

// PresentName is the name that a repository has now, when that is another than was asked for; empty
// otherwise.
func PresentName(repository *github.Repository, asked github.RepoRef) string {
	if repository.Ref.SameAs(asked) {
		return ""
	}
	return repository.Ref.String()
}

// LeaveOldName is what to do about a rename when a cluster has the old name.
func LeaveOldName(kind string) string {
	return fmt.Sprintf("nothing has to be done: leave the old name in the file, because EKS Anywhere does "+
		"not let a %s change", kind)
}

// RenameText tells of a rename.
func RenameText(old github.RepoRef, now, advice string) string {
	return fmt.Sprintf("repository %s is now called %s; GitHub redirects the old name, for Flux as well, "+
		"until somebody makes a new %s; %s", old, now, old, advice)
}

// Remote is one repository as each side reaches it.
type Remote struct {
	Web     string // for a person's browser; the Git URL where there is no web page
	Push    string // for this program
	Cluster string // for Flux
}
