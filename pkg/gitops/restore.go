package gitops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// restore adds to what the run writes the files of live clusters that Flux has applied and that it would
// delete for want of them. They are made from the clusters' objects.
func (r *clustersRun) restore(ctx context.Context, found *findings) {
	if !r.meant.RestoreMissing || len(found.list) > 0 || len(found.soft) > 0 || r.seen.Cluster() == nil ||
		r.planned == nil {
		return
	}
	all, err := r.foresee(ctx, r.snapshot, r.planned)
	if err != nil {
		classifyFetch(err, found)
		return
	}
	for i := range all {
		c := &all[i]
		if c.Asked || c.Change != facts.ConsequenceDelete || !c.IsCluster() || r.isNamed(c.Name) {
			continue
		}
		files, err := r.filesOfLive(ctx,
			fluxinstall.ObjectName{Kind: "Cluster", Namespace: c.Name.Namespace, Name: c.Name.Name})
		if err != nil {
			found.addFinding(facts.AreaCluster.Finding(
				fmt.Sprintf("the files of cluster %s cannot be made from its objects: %v", c.Name.Name, err),
				text.Command("bring them back from the repository's history: git log -- %s",
					layout.PathsIn(r.seen.Config(), c.Name.Name).Cluster)))
			continue
		}
		r.restored = append(r.restored, c.Name.Name)
		r.rendered.Files = append(r.rendered.Files, files...)
		r.steps.Note(step.LevelInfo,
			fmt.Sprintf("the files of cluster %s come back to Git, as the cluster is now", c.Name.Name))
	}
}

// filesOfLive makes a cluster's files from its objects.
func (r *clustersRun) filesOfLive(ctx context.Context, name fluxinstall.ObjectName) ([]layout.File, error) {
	objects, err := r.closureOf(ctx, name)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, o := range objects {
		document, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name.Name, err)
		}
		text.WriteString("---\n")
		text.Write(document)
	}
	spec := layout.PathsIn(r.seen.Config(), name.Name).Spec
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: spec, Data: []byte(text.String())}})
	if err != nil {
		return nil, err
	}
	for _, c := range set.Clusters {
		if c.Name != name.Name || c.GitOps == nil {
			continue
		}
		if layout.RootDir(c.GitOps) != layout.RootDir(r.seen.Config()) {
			return nil, fmt.Errorf("its %s names the path %s", c.GitOps.Kind, c.GitOps.ClusterConfigPath)
		}
		return layout.ClusterFiles(c)
	}
	return nil, errors.New("it has no gitOpsRef")
}

// closureOf reads a Cluster object and what it refers to, directly and by others.
func (r *clustersRun) closureOf(ctx context.Context, name fluxinstall.ObjectName) ([]map[string]any, error) {
	cluster := r.open.cluster
	have := map[fluxinstall.ObjectName]bool{}
	var objects []map[string]any
	for wanted := []fluxinstall.ObjectName{name}; len(wanted) > 0; {
		live, err := cluster.Objects(ctx, wanted)
		if err != nil {
			return nil, fmt.Errorf("reading its objects: %w", err)
		}
		var next []fluxinstall.ObjectName
		for _, o := range live {
			of := fluxinstall.ObjectName{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
			if have[of] || !slices.Contains(wanted, of) {
				continue // of a fleet, all objects of a kind are read at once
			}
			have[of] = true
			objects = append(objects, withoutServers(o.Fields))
			for _, ref := range refsIn(o.Fields["spec"]) {
				ref.Namespace = name.Namespace
				if !have[ref] && !slices.Contains(next, ref) {
					next = append(next, ref)
				}
			}
		}
		wanted = next
	}
	return objects, nil
}

// refsIn finds the references in a spec: what is a kind of EKS Anywhere's with a name.
func refsIn(value any) []fluxinstall.ObjectName {
	var refs []fluxinstall.ObjectName
	switch v := value.(type) {
	case map[string]any:
		kind, _ := v["kind"].(string)
		name, _ := v["name"].(string)
		if name != "" && slices.Contains(clusterspec.Kinds(), kind) {
			return []fluxinstall.ObjectName{{Kind: kind, Name: name}}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			refs = append(refs, refsIn(v[key])...)
		}
	case []any:
		for _, item := range v {
			refs = append(refs, refsIn(item)...)
		}
	}
	return refs
}

// withoutServers is an object without what the API server and controllers have added to it.
func withoutServers(fields map[string]any) map[string]any {
	out := map[string]any{}
	for _, name := range []string{"apiVersion", "kind", "spec"} {
		out[name] = fields[name]
	}
	metadata, _ := fields["metadata"].(map[string]any)
	kept := map[string]any{"name": metadata["name"], "namespace": metadata["namespace"]}
	for _, part := range []string{"labels", "annotations"} {
		marks, _ := metadata[part].(map[string]any)
		own := map[string]any{}
		for name, value := range marks {
			if !isServers(name) {
				own[name] = value
			}
		}
		if len(own) > 0 {
			kept[part] = own
		}
	}
	out["metadata"] = kept
	return out
}

// isServers says whether a label or annotation is one that Flux, kubectl or this program sets on live
// objects, for their own use.
func isServers(name string) bool {
	prefix, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{files.KustomizeGroup,
		"reconcile.fluxcd.io", "kubectl.kubernetes.io", "eksa-gitops"}, prefix) &&
		path.Base(name) != "prune"
}
