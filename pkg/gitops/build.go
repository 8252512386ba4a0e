package gitops

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// build replaces the objects of a spec by what the directory's own kustomization makes of them, since that is what Flux applies. Files
// outside of the cluster's directory are not read; a kustomization that needs them cannot be built here.
func (c *GitCluster) build(files []string, contents map[string][]byte) {
	own := make(map[string][]byte, len(files))
	for _, file := range files {
		own[file] = contents[file]
	}
	built, err := kustomize.Build(own, path.Dir(c.Path), kustomize.Directory)
	var out []byte
	if err == nil {
		out, err = built.AsYaml()
	}
	if err != nil {
		c.Objects, c.Broken = nil, fmt.Sprintf("its own kustomization cannot be built from the cluster's directory alone: %v", firstLine(err.Error()))
		return
	}
	c.Objects = decodeObjects(out)
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
