package gitops_test

import (
	"bytes"
	"context"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

func (c cluster) WaitRolledOver(ctx context.Context, wait fluxinstall.Rollover,
	_ func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitRolledOver"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rolled = wait
	return c.rollErr
}

func (c cluster) RecordFlux(ctx context.Context, namespace string) (string, bool, error) {
	changed, err := c.write(ctx, "RecordFlux "+namespace, func() (bool, error) {
		if c.state.Flux.Adoption != nil || c.record != nil {
			return false, nil
		}
		git, ks := c.state.Flux.GitRepository, c.state.Flux.Kustomization
		c.record = &fluxinstall.AdoptionState{Record: "before", URL: git.URL, Branch: git.Branch,
			Path: ks.Path, PublicKey: c.publicKey, Inventory: slices.Clone(ks.Inventory)}
		return true, nil
	})
	return "before", changed, err
}

func (c cluster) HoldPruning(ctx context.Context, _, _ string, _ func(fluxinstall.Progress)) (bool, error) {
	return c.write(ctx, "HoldPruning", func() (bool, error) {
		if c.state.Flux.Adoption != nil {
			return false, nil
		}
		c.state.Flux.Kustomization.Prune, c.state.Flux.Adoption = false, c.record
		return true, nil
	})
}

func (c cluster) Repoint(ctx context.Context, _ string, sync []byte) (bool, error) {
	return c.write(ctx, "Repoint", func() (bool, error) {
		changed := false
		for document := range bytes.SplitSeq(sync, []byte("\n---\n")) {
			var object struct {
				Kind string
				Spec struct {
					URL, Path string
					Ref       struct{ Branch string }
				}
			}
			if err := yaml.Unmarshal(document, &object); err != nil {
				return false, err
			}
			flux := &c.state.Flux
			switch {
			case object.Kind == "GitRepository" && (flux.GitRepository.URL != object.Spec.URL ||
				flux.GitRepository.Branch != object.Spec.Ref.Branch):
				flux.GitRepository.URL, flux.GitRepository.Branch, changed = object.Spec.URL,
					object.Spec.Ref.Branch, true
			case object.Kind == "Kustomization" && flux.Kustomization.Path != object.Spec.Path:
				flux.Kustomization.Path, flux.Kustomization.AppliedRevision, changed = object.Spec.Path, "",
					true
			}
		}
		return changed, nil
	})
}

func (c cluster) EndAdoption(ctx context.Context, _ string, _ []byte) (bool, error) {
	return c.write(ctx, "EndAdoption", func() (bool, error) {
		if c.state.Flux.Adoption == nil {
			return false, nil
		}
		c.state.Flux.Kustomization.Prune, c.state.Flux.Adoption = true, nil
		return true, nil
	})
}
