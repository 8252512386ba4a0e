package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// repository is the gitops.Repository over Git.
type repository struct{ remote gitrepo.Remote }

// openHTTPS opens a repository on GitHub.
func openHTTPS(url string, o Options) func(context.Context) (gitops.Repository, error) {
	return func(context.Context) (gitops.Repository, error) {
		return repository{remote: gitrepo.Remote{
			URL: url, CAPEM: o.CAPEM, UserAgent: o.UserAgent,
			Auth: gitrepo.TokenAuth{Username: o.GitOps.GitHub.Owner, Token: o.Token},
		}}, nil
	}
}

// openSSH opens a repository with the identities, unless there are problems with them.
func openSSH(url string, o Options, identities *sshkeys.Identities, known *sshkeys.KnownHosts,
	problems []error) func(context.Context) (gitops.Repository, error) {
	return func(context.Context) (gitops.Repository, error) {
		if err := errors.Join(problems...); err != nil {
			return nil, err
		}
		return repository{remote: gitrepo.Remote{
			URL: url, UserAgent: o.UserAgent, Auth: gitrepo.SSHAuth{Identities: identities,
				KnownHosts: known},
		}}, nil
	}
}

// Fetch implements [gitops.Repository].
func (r repository) Fetch(ctx context.Context, branch string) (gitops.Snapshot, error) {
	fetched, err := gitrepo.Fetch(ctx, r.remote, branch)
	if err != nil {
		return nil, err
	}
	return snapshot{fetched}, nil
}

// snapshot is the gitops.Snapshot over Git.
type snapshot struct{ *gitrepo.Snapshot }

// Commit implements [gitops.Snapshot].
func (s snapshot) Commit(edits []git.Edit, options git.CommitOptions) (gitops.Commit, error) {
	commit, err := s.Snapshot.Commit(edits, options)
	if err != nil {
		return nil, err
	}
	return commit, nil
}

// Push implements [gitops.Snapshot].
func (s snapshot) Push(ctx context.Context, commit gitops.Commit) error {
	made, ok := commit.(*gitrepo.Commit)
	if !ok {
		return fmt.Errorf("commit %s was not made by a snapshot of this repository", commit.Hash())
	}
	return s.Snapshot.Push(ctx, made)
}

var (
	_ gitops.Host    = (*github.Client)(nil)
	_ gitops.Cluster = (*fluxinstall.Cluster)(nil)
)
