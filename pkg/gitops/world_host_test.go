package gitops_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/github"
)

// host is the world's Git host.
type host struct{ *world }

func (h host) CheckAccess(ctx context.Context, request github.AccessRequest) (*github.Access, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accessErr != nil {
		return nil, h.accessErr
	}
	access := &github.Access{Viewer: h.viewer, Findings: h.accessFindings, Unseen: h.unseen}
	if h.exists {
		access.Repository = &github.Repository{Ref: h.present(request.Ref), Private: true, Created: h.created}
		access.DeployKeys = slices.Clone(h.keys)
	}
	return access, ctx.Err()
}

// present is the name that a repository has now, none when there is no such repository.
func (w *world) present(name github.RepoRef) github.RepoRef {
	if w.names == nil {
		return name
	}
	owner, now, _ := strings.Cut(w.names[strings.ToLower(name.String())], "/")
	return github.RepoRef{Owner: owner, Name: now}
}

func (h host) Repository(_ context.Context, name github.RepoRef) (*github.Repository, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.present(name)
	if !h.exists || now.Name == "" {
		return nil, fmt.Errorf("reading repository %s: %w", name, github.ErrNotFound)
	}
	return &github.Repository{Ref: now, URL: "https://git.example.com/" + now.String(), Private: true}, nil
}

func (h host) BranchName(_ context.Context, _ github.RepoRef, branch string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.branches[branch] != nil {
		return branch, nil
	}
	return h.branchNow, nil
}

func (h host) EnsureRepository(ctx context.Context,
	wanted github.NewRepository) (*github.Repository, bool, error) {
	created, err := h.write(ctx, "EnsureRepository "+wanted.Ref.String(), func() (bool, error) {
		if h.exists {
			return false, nil
		}
		h.exists = true
		h.commitSeed()
		return true, nil
	})
	return &github.Repository{Ref: wanted.Ref, Private: wanted.Private}, created, err
}

func (h host) EnsureDeployKey(ctx context.Context, _ github.RepoRef, key github.DeployKey) (bool, error) {
	return h.write(ctx, "EnsureDeployKey "+key.Title, func() (bool, error) {
		for _, have := range h.keys {
			if have.SameMaterial(key.PublicKey) && have.ReadOnly == key.ReadOnly {
				return false, nil
			}
		}
		if h.keyErr != nil {
			return false, h.keyErr
		}
		h.lastKey++
		key.ID = h.lastKey
		h.keys = append(h.keys, key)
		return true, nil
	})
}

func (h host) DeployKeys(context.Context, github.RepoRef) ([]github.DeployKey, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.keys), nil
}

func (h host) DeleteDeployKey(ctx context.Context, _ github.RepoRef, id int64) error {
	_, err := h.write(ctx, "DeleteDeployKey", func() (bool, error) {
		before := len(h.keys)
		h.keys = slices.DeleteFunc(h.keys, func(k github.DeployKey) bool { return k.ID == id })
		return len(h.keys) < before, nil
	})
	return err
}

func (h host) HostKeys(context.Context) ([]string, error) { return []string{h.hostKey}, h.hostKeysErr }
