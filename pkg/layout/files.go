package layout

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// File is one file of the repository.
type File struct {
	Path    string // slash path relative to the root of the repository
	Content []byte
}

// FluxFiles are what Flux's directory holds.
type FluxFiles struct {
	// Components and Sync are the manifests as Flux's own generator writes them.
	Components, Sync []byte
	// Images replaces the image of a controller, by the name of its Deployment, as EKS Anywhere does from a
	// Bundles file. Empty keeps the images of Components.
	Images map[string]string
}

// ClusterFiles gives the files of one cluster: its spec and the kustomization that lists it, and that of a
// management cluster marks all its objects as not to be deleted. The cluster must come from a Parse without
// errors and have GitOps.
func ClusterFiles(c *clusterspec.Cluster) ([]File, error) {
	if c.GitOps == nil {
		return nil, fmt.Errorf("cluster %s has no GitOps configuration", c.Name)
	}
	paths := PathsOf(c)
	files := []File{
		{Path: paths.Spec, Content: clusterspec.Render(c)},
		{Path: paths.Kustomization, Content: ClusterKustomization()},
	}
	if c.Role() == clusterspec.RoleManagement {
		files[1].Content = ManagementKustomization()
	}
	return files, confined(files)
}

// LocalSpec is what <name>/<name>-eks-a-cluster.yaml holds: the bytes of the spec in the repository.
func LocalSpec(c *clusterspec.Cluster) []byte { return clusterspec.Render(c) }

// SpecWithoutGitOps is the spec without gitOpsRef and the object it refers to, for a provisioner that shall
// leave GitOps to us.
func SpecWithoutGitOps(c *clusterspec.Cluster) []byte { return clusterspec.RenderWithoutGitOps(c) }

// Controllers names Flux's Deployments in the order in which EKS Anywhere writes their patches.
func Controllers() []string { return slices.Clone(controllers) }

var controllers = []string{"helm-controller", "kustomize-controller", "notification-controller",
	"source-controller"}

// SystemFiles gives the files of Flux's directory, sorted by path: the two manifests, and a kustomization
// which is that of `flux bootstrap`, or with images that of EKS Anywhere, with a patch that keeps Flux from
// deleting itself. Images of other Deployments than Flux's four are an error.
func SystemFiles(g *clusterspec.GitOps, f FluxFiles) ([]File, error) {
	dir := SystemDir(g)
	kustomization, err := systemKustomization(g.SystemNamespace, f.Images)
	if err != nil {
		return nil, err
	}
	files := []File{
		{Path: path.Join(dir, ComponentsFile), Content: f.Components},
		{Path: path.Join(dir, SyncFile), Content: f.Sync},
		{Path: path.Join(dir, KustomizationFile), Content: kustomization},
	}
	return files, confined(files)
}

func systemKustomization(namespace string, images map[string]string) ([]byte, error) {
	if err := checkImages(images); err != nil {
		return nil, err
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	if len(images) > 0 {
		text += "namespace: " + namespace + "\n"
	}
	text += "resources:\n- " + ComponentsFile + "\n- " + SyncFile + "\npatches:\n"
	return []byte(text + keepPatches(namespace) + imagePatches(namespace, images)), nil
}

// checkImages makes sure that images are those of Flux's Deployments.
func checkImages(images map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(images)) {
		if !slices.Contains(controllers, name) {
			return fmt.Errorf("%s is not one of Flux's Deployments (%s)",
				name, strings.Join(controllers, ", "))
		}
		if image := images[name]; image == "" ||
			strings.ContainsFunc(image, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return errors.New("the image of " + name + " is not the name of an image")
		}
	}
	return nil
}

// imagePatches are the entries of patches that give controllers other images, as EKS Anywhere writes them.
func imagePatches(namespace string, images map[string]string) string {
	var b strings.Builder
	for _, name := range controllers {
		image, ok := images[name]
		if !ok {
			continue
		}
		fmt.Fprintf(&b, `- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: %s
      namespace: %s
    spec:
      template:
        spec:
          containers:
          - image: %s
            name: manager
`, name, namespace, image)
	}
	return b.String()
}
