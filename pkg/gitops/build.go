package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// build replaces the objects of a spec by what the directory's own kustomizations make of them, since that is what Flux applies. Files
// outside of the cluster's directory are not read; a kustomization that needs them cannot be built here.
func (c *GitCluster) build(files []string, contents map[string][]byte) {
	own := make(map[string][]byte, len(files))
	for _, file := range files {
		own[file] = contents[file]
	}
	built, err := fluxbuild.Build(filesOf(own), path.Dir(path.Dir(c.Path)), fluxbuild.Settings{})
	if err == nil && len(built.Unseen) > 0 {
		err = built.Unseen[0]
	}
	if err != nil {
		var cause *fluxbuild.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		c.Objects, c.Broken = nil, fmt.Sprintf("its own kustomization cannot be built from the cluster's directory alone: %v", firstLine(err.Error()))
		return
	}
	c.take(built)
}

// take replaces the objects by those that were built of the spec and of what lies beside it; with none, nothing leads to the spec, and it
// is judged as it is written.
func (c *GitCluster) take(built *fluxbuild.Built) {
	var objects []GitObject
	for _, o := range built.Objects {
		if strings.HasPrefix(o.File, path.Dir(c.Path)+"/") {
			namespace := o.Namespace
			if namespace == "" {
				namespace = "default"
			}
			objects = append(objects, GitObject{Kind: o.Kind, Namespace: namespace, Name: o.Name.Name, Fields: o.Fields()})
		}
	}
	if len(objects) > 0 {
		c.Objects = objects
	}
}

// buildPath builds the whole path when its root has a kustomization or Flux's Kustomization settings by which all clusters may become
// something else. What cannot be built is Flux's to tell, and is judged as it is written. Flux's own directory is not built: it is large.
func (o *Observation) buildPath(ctx context.Context, snapshot Snapshot, seen *GitSight, sync []byte) error {
	root, system := layout.RootDir(o.Config), layout.SystemDir(o.Config)
	settings := syncSettings(sync, layout.SyncPath(o.Config))
	if settings.IsZero() && !hasKustomization(snapshot, root) {
		return nil
	}
	dir := root
	if root == "." {
		dir = ""
	}
	files, err := filesBelow(ctx, snapshot, dir)
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(file string) bool { return path.Dir(file) == system })
	contents, err := snapshot.ReadAll(ctx, files)
	if err != nil {
		return err
	}
	contents[path.Join(system, layout.KustomizationFile)] = layout.InertKustomization()
	built, err := fluxbuild.Build(filesOf(contents), root, settings)
	if err != nil {
		return nil
	}
	for i := range seen.Clusters {
		if c := &seen.Clusters[i]; o.wants(c) && c.Broken == "" {
			c.take(built)
		}
	}
	return nil
}

// syncSettings are the settings of the Kustomization that applies a path, as they are in Git.
func syncSettings(sync []byte, applies string) fluxbuild.Settings {
	for _, object := range decodeObjects(sync) {
		spec := section(object.Fields, "spec")
		given, _ := spec["path"].(string)
		if object.Kind != "Kustomization" || !samePath(given, applies) {
			continue
		}
		if settings, err := fluxbuild.SettingsOf(spec); err == nil {
			return settings
		}
	}
	return fluxbuild.Settings{}
}

// hasKustomization says whether a directory is built as a kustomization in it says.
func hasKustomization(snapshot Snapshot, dir string) bool {
	return slices.ContainsFunc(kustomize.FileNames, func(name string) bool {
		entry, there, err := snapshot.Lookup(path.Join(dir, name))
		return err == nil && there && entry.Mode.IsFile()
	})
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// decodeObjects reads a stream of YAML documents. What is no object is left out.
func decodeObjects(stream []byte) []GitObject {
	var objects []GitObject
	for document := range bytes.SplitSeq(stream, []byte("\n---")) {
		var fields map[string]any
		if yaml.Unmarshal(document, &fields) != nil {
			continue
		}
		metadata, _ := fields["metadata"].(map[string]any)
		kind, _ := fields["kind"].(string)
		name, _ := metadata["name"].(string)
		namespace, _ := metadata["namespace"].(string)
		if namespace == "" {
			namespace = "default"
		}
		if kind != "" && name != "" {
			objects = append(objects, GitObject{Kind: kind, Namespace: namespace, Name: name, Fields: fields})
		}
	}
	return objects
}

// patchesOnlyDeployments says whether a kustomization of Flux's directory leaves the sync objects as their file has them: nothing in
// it, or patches that name Deployments, as those that EKS Anywhere writes for images, or that only keep objects from being deleted.
func patchesOnlyDeployments(content []byte) bool {
	var fields map[string]any
	if yaml.Unmarshal(content, &fields) != nil {
		return false
	}
	for name := range fields {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "namespace", "resources", "patches"}, name) {
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
