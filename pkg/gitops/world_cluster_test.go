package gitops_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// cluster is the world's management cluster.
type cluster struct{ *world }

func (c cluster) Inspect(ctx context.Context, _ fluxinstall.InspectOptions) (*fluxinstall.State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.inspectErr != nil {
		return nil, c.inspectErr
	}
	state := c.state
	state.Clusters = slices.Clone(c.state.Clusters)
	state.Flux.Namespace, state.Flux.SourcePublicKey = c.namespace, c.publicKey
	if c.private {
		state.Flux.SourceSecret = &fluxinstall.SourceSecretState{PublicKey: c.publicKey,
			Unreadable: c.unreadable, KnownHosts: c.knownHosts}
	}
	if git := c.state.Flux.GitRepository; git != nil {
		is := *git
		state.Flux.GitRepository = &is
	}
	if ks := c.state.Flux.Kustomization; ks != nil {
		is := *ks
		state.Flux.Kustomization = &is
	}
	return &state, nil
}

func (c cluster) EnsureNamespace(ctx context.Context, name string) (bool, error) {
	return c.write(ctx, "EnsureNamespace "+name, func() (bool, error) {
		created := !c.namespace
		c.namespace = true
		return created, nil
	})
}

func (c cluster) EnsureSourceSecret(ctx context.Context,
	source fluxinstall.SourceSecret) (string, bool, error) {
	changed, err := c.write(ctx, "EnsureSourceSecret "+source.Namespace+"/"+source.Name,
		func() (bool, error) {
			public := c.publicKey
			switch {
			case c.private && c.unreadable != "" && (source.PrivateKey.IsZero() || source.ForWantOfAnother):
				return false, errors.New("a key that cannot be read would be replaced")
			case !source.PrivateKey.IsZero() && !(source.ForWantOfAnother && c.private && c.publicKey != "" &&
				c.publicKey != source.Unwanted):
				key, err := sshkeys.ParseKey([]byte(source.PrivateKey.Reveal()), source.Passphrase, "given")
				if err != nil {
					return false, err
				}
				public = key.AuthorizedKey()
			case !c.private, source.Unwanted != "" && source.Unwanted == c.publicKey:
				pair, err := sshkeys.Generate("ed25519")
				if err != nil {
					return false, err
				}
				public = pair.AuthorizedKey
			}
			known := source.KnownHosts
			if len(known) == 0 {
				known = c.knownHosts
			}
			if c.private && c.publicKey == public && bytes.Equal(c.knownHosts, known) {
				return false, nil
			}
			c.private, c.publicKey, c.knownHosts = true, public, known
			return true, nil
		})
	if err != nil {
		return "", false, err
	}
	return c.publicKey, changed, nil
}

func (c cluster) RemoveSource(ctx context.Context, namespace, publicKey string,
	withNamespace bool) ([]string, error) {
	var removed []string
	_, err := c.write(ctx, "RemoveSource "+namespace, func() (bool, error) {
		if c.private && c.publicKey == publicKey {
			c.private, c.publicKey, c.knownHosts = false, "", nil
			removed = append(removed, "Secret "+namespace+"/flux-system")
		}
		if withNamespace {
			c.namespace = false
			removed = append(removed, "namespace "+namespace)
		}
		return len(removed) > 0, nil
	})
	return removed, err
}

func (c cluster) EnsureComponents(ctx context.Context, manifests []byte,
	_ func(fluxinstall.Progress)) (fluxinstall.ChangeSet, error) {
	changed, err := c.write(ctx, "EnsureComponents", func() (bool, error) {
		changed := c.components != string(manifests)
		c.components, c.stopped = string(manifests), false
		c.state.Flux.Controllers = []fluxinstall.ControllerState{{Name: "source-controller", Available: true},
			{Name: "kustomize-controller", Available: true}}
		return changed, nil
	})
	return changeSet(changed), err
}

func (c cluster) RemoveComponents(ctx context.Context, _ []byte,
	made fluxinstall.ChangeSet) ([]string, error) {
	var removed []string
	_, err := c.write(ctx, "RemoveComponents", func() (bool, error) {
		if len(made.Created) > 0 && c.components != "" {
			c.components, c.state.Flux.Controllers, removed = "", nil, made.Created
		}
		return len(removed) > 0, nil
	})
	return removed, err
}

func (c cluster) EnsureSync(ctx context.Context, manifests []byte) (fluxinstall.ChangeSet, error) {
	changed, err := c.write(ctx, "EnsureSync", func() (bool, error) {
		if c.sync == string(manifests) {
			return false, nil
		}
		c.sync = string(manifests)
		for document := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
			var object struct {
				Kind     string
				Metadata struct{ Name string }
				Spec     struct {
					URL, Path      string
					Ref            struct{ Branch string }
					SparseCheckout []string
					Ignore         string
				}
			}
			if err := yaml.Unmarshal(document, &object); err != nil {
				return false, err
			}
			switch object.Kind {
			case "GitRepository":
				c.state.Flux.GitRepository = &fluxinstall.GitRepositoryState{Name: object.Metadata.Name,
					URL: object.Spec.URL, Branch: object.Spec.Ref.Branch,
					SparseCheckout: object.Spec.SparseCheckout, Ignore: object.Spec.Ignore}
			case "Kustomization":
				c.state.Flux.Kustomization = &fluxinstall.KustomizationState{Name: object.Metadata.Name,
					Path: object.Spec.Path}
			}
		}
		return true, nil
	})
	return changeSet(changed), err
}

func (c cluster) RequestReconcile(ctx context.Context, namespace, name string) error {
	_, err := c.write(ctx, "RequestReconcile "+namespace+"/"+name, func() (bool, error) { return true, nil })
	return err
}

func (c cluster) WaitSynced(ctx context.Context, wait fluxinstall.SyncWait,
	progress func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitSynced"); err != nil {
		return err
	}
	progress(fluxinstall.Progress{Message: "waiting for " + wait.Commit})
	c.mu.Lock()
	if c.syncErr != nil {
		defer c.mu.Unlock()
		return c.syncErr
	}
	if ks := c.state.Flux.Kustomization; c.slowFlux && ks != nil && ks.AppliedRevision != "" {
		old := ks.AppliedRevision
		c.mu.Unlock()
		if wait.Accept(old) {
			return nil
		}
		c.mu.Lock()
	}
	c.flux()
	applied := ""
	if ks := c.state.Flux.Kustomization; ks != nil {
		applied = ks.AppliedRevision
	}
	c.mu.Unlock()
	if applied == fluxinstall.Revision(wait.Branch, wait.Commit) ||
		wait.Accept != nil && applied != "" && wait.Accept(applied) {
		return nil
	}
	return &fluxinstall.NotReadyError{Object: "Kustomization " + wait.Namespace + "/" + wait.Name,
		Message: "applied revision is " + applied, Next: "flux get all", Err: context.DeadlineExceeded}
}

func (c cluster) WaitCluster(ctx context.Context, namespace, name string,
	progress func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitCluster "+name); err != nil {
		return err
	}
	progress(fluxinstall.Progress{Message: "looking"})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.notReady[name]; err != nil {
		return err
	}
	if !c.state.HasCluster(namespace, name) {
		return &fluxinstall.NotReadyError{Object: "Cluster " + namespace + "/" + name,
			Message: "there is no such object", Err: context.DeadlineExceeded}
	}
	return nil
}

func (c cluster) WaitClusters(ctx context.Context, names []fluxinstall.ClusterName,
	changed func(fluxinstall.LiveCluster)) ([]fluxinstall.LiveCluster, error) {
	var fleet []fluxinstall.LiveCluster
	var last error
	for _, name := range names {
		live := fluxinstall.LiveCluster{
			ClusterInfo:  fluxinstall.ClusterInfo{Namespace: name.Namespace, Name: name.Name, Ready: true},
			ControlPlane: fluxinstall.Machines{Desired: 1, Ready: 1},
			Workers:      fluxinstall.Machines{Desired: 2, Ready: -1}}
		if err := c.WaitCluster(ctx, name.Namespace, name.Name, func(fluxinstall.Progress) {}); err != nil {
			if !errors.As(err, &live.Problem) {
				return nil, err
			}
			live.Ready, last = false, live.Problem.Err
		}
		changed(live)
		fleet = append(fleet, live)
	}
	return fleet, last
}

func (c cluster) FluxResources(_ context.Context, kinds ...string) (fluxinstall.FluxResources, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	resources := c.resources
	if c.components != "" {
		resources.Definitions += 11
	}
	for kind, there := range map[string]bool{"GitRepository": c.state.Flux.GitRepository != nil,
		"Kustomization": c.state.Flux.Kustomization != nil} {
		if there {
			resources.Objects = append(slices.Clone(resources.Objects), fluxinstall.FluxObject{Kind: kind,
				Namespace: "flux-system", Name: "flux-system", AppliedBy: "flux-system/flux-system"})
		}
	}
	if len(kinds) > 0 {
		resources.Objects = slices.DeleteFunc(slices.Clone(resources.Objects),
			func(o fluxinstall.FluxObject) bool { return !slices.Contains(kinds, o.Kind) })
	}
	return resources, nil
}

func (c cluster) DeleteCluster(ctx context.Context, namespace, name string) (bool, error) {
	return c.write(ctx, "DeleteCluster "+namespace+"/"+name, func() (bool, error) {
		for i, have := range c.state.Clusters {
			if have.Namespace == namespace && have.Name == name && !have.Deleting {
				c.state.Clusters[i].Deleting = true
				return true, nil
			}
		}
		return false, nil
	})
}

func (c cluster) WaitGone(ctx context.Context, namespace, name string,
	progress func(fluxinstall.Progress)) error {
	if err := c.wait(ctx, "WaitGone "+name); err != nil {
		return err
	}
	progress(fluxinstall.Progress{Message: "it is being deleted"})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eksa()
	if c.state.HasCluster(namespace, name) {
		return &fluxinstall.NotReadyError{Object: "Cluster " + namespace + "/" + name, State: "is not gone",
			Message: c.held[name], Err: context.DeadlineExceeded}
	}
	return nil
}

func (c cluster) StopFlux(ctx context.Context, _ string, _ func(fluxinstall.Progress)) (bool, error) {
	return c.write(ctx, "StopFlux", func() (bool, error) {
		flux := &c.state.Flux
		changed := len(flux.Controllers) > 0 && !c.stopped
		c.stopped = true
		if flux.GitRepository != nil && !flux.GitRepository.Suspended {
			flux.GitRepository.Suspended, changed = true, true
		}
		if flux.Kustomization != nil && !flux.Kustomization.Suspended {
			flux.Kustomization.Suspended, changed = true, true
		}
		return changed, nil
	})
}

func (c cluster) Uninstall(ctx context.Context, namespace string,
	_ func(fluxinstall.Progress)) (fluxinstall.Removal, error) {
	var removal fluxinstall.Removal
	_, err := c.write(ctx, "Uninstall", func() (bool, error) {
		if !c.stopped {
			return false, errors.New("Flux is running")
		}
		if c.components == "" && !c.namespace && !c.private {
			return false, nil
		}
		c.state.Flux = fluxinstall.FluxState{}
		c.components, c.sync, c.namespace, c.private, c.publicKey, c.knownHosts = "", "", false,
			false, "", nil
		removal.Removed = []string{"Namespace " + namespace}
		return true, nil
	})
	return removal, err
}

func (c cluster) RemoveGitOps(ctx context.Context, namespace, name, _, config string) (bool, error) {
	return c.write(ctx, "RemoveGitOps "+namespace+"/"+name, func() (bool, error) {
		if c.gitOpsErr != nil {
			return false, c.gitOpsErr
		}
		for i, have := range c.state.Clusters {
			if have.Name == name && have.GitOpsName == config {
				c.state.Clusters[i].GitOpsKind, c.state.Clusters[i].GitOpsName = "", ""
				return true, nil
			}
		}
		return false, nil
	})
}

func (c cluster) Hold(ctx context.Context, request fluxinstall.HoldRequest) (fluxinstall.Held, error) {
	held := fluxinstall.Held{Undo: []string{"kubectl annotate " + request.Cluster}}
	changed, err := c.write(ctx, "Hold "+request.Cluster, func() (bool, error) {
		changed := false
		for _, name := range request.Objects {
			pause := fluxinstall.Pause{Object: name.Kind + " default/" + name.Name,
				Field: "kustomize.toolkit.fluxcd.io/reconcile", By: request.By}
			if c.objects[name] == nil || len(c.pauses[name]) > 0 {
				continue
			}
			changed = true
			c.pauses[name] = []fluxinstall.Pause{pause}
			if name.Kind == "Cluster" {
				spec := c.objects[name]["spec"].(map[string]any)
				c.refs[name.Name] = spec["gitOpsRef"]
				delete(spec, "gitOpsRef")
				c.hold(name.Name, &pause)
			}
		}
		return changed, nil
	})
	held.Changed = changed
	for _, o := range request.Objects {
		held.Objects = append(held.Objects, fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name))
	}
	return held, err
}

// hold notes in a cluster's state what keeps Flux from it.
func (w *world) hold(name string, pause *fluxinstall.Pause) {
	for i := range w.state.Clusters {
		if w.state.Clusters[i].Name == name {
			w.state.Clusters[i].Held = pause
		}
	}
}

func (c cluster) Release(ctx context.Context, _, name string, _ []fluxinstall.ObjectName) (bool, error) {
	return c.write(ctx, "Release "+name, func() (bool, error) {
		there := len(c.pauses) > 0
		clear(c.pauses)
		c.hold(name, nil)
		if object := c.objects[fluxinstall.ObjectName{Kind: "Cluster", Namespace: "default",
			Name: name}]; object != nil && c.refs[name] != nil {
			object["spec"].(map[string]any)["gitOpsRef"] = c.refs[name]
			delete(c.refs, name)
		}
		return there, nil
	})
}

func (c cluster) AdoptGitOps(ctx context.Context, namespace, name string,
	config map[string]any) (bool, error) {
	return c.write(ctx, "AdoptGitOps "+namespace+"/"+name, func() (bool, error) {
		for i, have := range c.state.Clusters {
			if have.Name == name && have.GitOpsName == "" {
				metadata, _ := config["metadata"].(map[string]any)
				c.state.Clusters[i].GitOpsKind, c.state.Clusters[i].GitOpsName = fmt.Sprint(config["kind"]),
					fmt.Sprint(metadata["name"])
				return true, nil
			}
		}
		return false, nil
	})
}

func (c cluster) SetPaused(ctx context.Context, object fluxinstall.ObjectName, paused bool) (bool, error) {
	i := slices.IndexFunc(c.state.Clusters, func(have fluxinstall.ClusterInfo) bool {
		return have.Namespace == object.Namespace && have.Name == object.Name
	})
	if object.Kind != "Cluster" || i < 0 || c.state.Clusters[i].Paused == paused {
		return false, nil
	}
	return c.write(ctx, fmt.Sprintf("SetPaused %s %v", object.Name, paused), func() (bool, error) {
		c.state.Clusters[i].Paused = paused
		return true, nil
	})
}

// Objects gives the live objects, as Flux has applied them or as a test has put them there.
func (c cluster) Objects(_ context.Context,
	names []fluxinstall.ObjectName) ([]fluxinstall.LiveObject, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var objects []fluxinstall.LiveObject
	for _, name := range names {
		if fields := c.objects[name]; fields != nil {
			objects = append(objects, fluxinstall.LiveObject{Kind: name.Kind, Namespace: name.Namespace,
				Name: name.Name, Fields: fields, Pauses: c.pauses[name]})
		}
	}
	return objects, nil
}

func (c cluster) DryRunApply(_ context.Context, objects []map[string]any) ([]fluxinstall.Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	verdicts := make([]fluxinstall.Verdict, len(objects))
	for i, object := range objects {
		metadata, _ := object["metadata"].(map[string]any)
		kind, _ := object["kind"].(string)
		name, _ := metadata["name"].(string)
		verdicts[i] = fluxinstall.Verdict{Kind: kind, Namespace: "default", Name: name}
		fields, _ := object["spec"].(map[string]any)
		if live := c.state.Cluster("default", name); kind == "Cluster" && live != nil &&
			live.ManagementCluster != name && live.GitOpsName == "" && fields["gitOpsRef"] != nil {
			verdicts[i].Refusal, verdicts[i].Causes = fluxinstall.RefusedByAdmission,
				[]fluxinstall.Cause{{Field: "spec.gitOpsRef", Message: "Forbidden: field is immutable"}}
		}
		if c.refuse != nil {
			verdicts[i] = c.refuse(verdicts[i], object)
		}
	}
	return verdicts, c.dryRunErr
}

func (w *world) wait(ctx context.Context, call string) error {
	if w.onCall != nil {
		w.onCall(ctx, call)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = append(w.waits, call)
	return ctx.Err()
}

func (c cluster) Kubeconfig(context.Context, string) (secret.Value, error) {
	return secret.Value{}, errors.New("nobody should ask")
}

func changeSet(changed bool) fluxinstall.ChangeSet {
	if changed {
		return fluxinstall.ChangeSet{Created: []string{"one"}}
	}
	return fluxinstall.ChangeSet{Unchanged: []string{"one"}}
}
