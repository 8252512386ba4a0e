package files

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// IsBlank says whether a file holds nothing, as one does that is not there, or that a failed installation by
// EKS Anywhere left.
func IsBlank(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }

// Listed is a kustomization with the cluster's file among its resources; nil when it cannot be put there.
func Listed(kustomization []byte) []byte {
	if content, ok := layout.List(kustomization, layout.SpecFile); ok {
		return content
	}
	return nil
}

// Differing reads those of the wanted files that are in the snapshot with other content. Files that are the
// same are recognised by their blob IDs and not transferred.
func Differing(ctx context.Context, snapshot facts.SnapshotReader,
	wanted []layout.File) (map[string][]byte, error) {
	if snapshot == nil {
		return nil, nil
	}
	var paths []string
	for _, file := range wanted {
		_, there, err := snapshot.Lookup(file.Path)
		if err != nil {
			return nil, fmt.Errorf("looking for %s in the repository: %w", file.Path, err)
		}
		if !there {
			continue
		}
		same, err := snapshot.Holds(file.Path, file.Content)
		if err != nil {
			return nil, fmt.Errorf("comparing %s with the repository: %w", file.Path, err)
		}
		if !same {
			paths = append(paths, file.Path)
		}
	}
	if len(paths) == 0 {
		return nil, nil
	}
	return snapshot.ReadAll(ctx, paths)
}

// KeptNote says why one of Flux's files stays as it is.
func KeptNote(file string, before []byte) string {
	if path.Base(file) != layout.ComponentsFile {
		return file + " is kept as it is in Git"
	}
	there, _, err := fluxmanifests.ComponentVersion(before)
	if err != nil || there == fluxmanifests.Version {
		return file + " is kept as it is in Git, where it has been edited"
	}
	return fmt.Sprintf("%s is kept as it is in Git: Flux %s (this program would install %s)",
		file, there, fluxmanifests.Version)
}

// ListsResources says whether a kustomization lists all of the given files.
func ListsResources(content []byte, files ...string) bool {
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		return false
	}
	for _, file := range files {
		if !slices.ContainsFunc(kustomization.Resources,
			func(r string) bool { return path.Clean(r) == file }) {
			return false
		}
	}
	return true
}

// SameObjects says whether two multi-document files hold the same objects apart from comments and formatting.
func SameObjects(a, b []byte) bool {
	left, errLeft := canonical(a)
	right, errRight := canonical(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

func canonical(content []byte) ([]byte, error) {
	var documents []string
	for document := range yamlnode.Documents(content) {
		var object any
		if err := yaml.Unmarshal(document, &object); err != nil {
			return nil, err
		}
		if object == nil {
			continue
		}
		encoded, err := yaml.Marshal(object)
		if err != nil {
			return nil, err
		}
		documents = append(documents, string(encoded))
	}
	slices.Sort(documents)
	return []byte(strings.Join(documents, "---\n")), nil
}
