package status

import (
	"bytes"
	"context"
	"path"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// buildPath builds the whole path when its root has a kustomization or Flux's Kustomization settings by which
// all clusters may become something else. What cannot be built is Flux's to tell, and is judged as it is
// written. Flux's own directory is not built: it is large.
func (o *Observation) buildPath(ctx context.Context, snapshot facts.SnapshotReader, seen *GitSight,
	sync []byte) error {
	root, system := layout.RootDir(o.Config), layout.SystemDir(o.Config)
	settings := files.SyncSettings(sync, layout.SyncPath(o.Config))
	if settings.IsZero() && !hasKustomization(snapshot, root) {
		return nil
	}
	dir := root
	if root == "." {
		dir = ""
	}
	list, err := facts.FilesBelow(ctx, snapshot, dir)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(file string) bool { return path.Dir(file) == system })
	contents, err := snapshot.ReadAll(ctx, list)
	if err != nil {
		return err
	}
	contents[path.Join(system, layout.KustomizationFile)] = layout.InertKustomization()
	ignore := fluxmanifests.Ignore(sync, o.Config.SystemNamespace)
	built, err := fluxbuild.Build(fluxbuild.Artifact(files.Of(contents), ignore), root, settings)
	if err != nil {
		return nil
	}
	for i := range seen.Clusters {
		if c := &seen.Clusters[i]; o.wants(c) && c.Broken == "" {
			files.TakeBuilt(c, built)
		}
	}
	return nil
}

// hasKustomization says whether a directory is built as a kustomization in it says.
func hasKustomization(snapshot facts.SnapshotReader, dir string) bool {
	return slices.ContainsFunc(kustomize.FileNames, func(name string) bool {
		entry, there, err := snapshot.Lookup(path.Join(dir, name))
		return err == nil && there && entry.Mode.IsFile()
	})
}

// patchesOnlyDeployments says whether a kustomization of Flux's directory leaves the sync objects as their
// file has them: nothing in it, or patches that name Deployments, as those that EKS Anywhere writes for
// images, or that only keep objects from being deleted.
func patchesOnlyDeployments(content []byte) bool {
	var fields map[string]any
	if yaml.Unmarshal(content, &fields) != nil {
		return false
	}
	for name := range fields {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "namespace", "resources", "patches"},
			name) {
			return false
		}
	}
	patches, _ := fields["patches"].([]any)
	for _, entry := range patches {
		text, err := yaml.Marshal(entry)
		if err != nil || !bytes.Contains(text, []byte("kind: Deployment")) && !layout.IsProtection(text) {
			return false
		}
	}
	return true
}
