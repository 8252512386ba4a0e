package fluxmanifests

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Bundles is what a Bundles file of EKS Anywhere says about Flux.
type Bundles struct {
	// Version is the release of Flux that the images are of, such as v2.8.8; empty when the file does not
	// say.
	Version string
	// Images are the controllers' images by the names of their Deployments.
	Images map[string]string
}

// bundlesGroup is that of all of EKS Anywhere's kinds.
const bundlesGroup = "anywhere.eks.amazonaws.com"

// ReadBundles reads a Bundles file (eksctl anywhere's bundle-release.yaml, or what a release's
// bundleManifestUrl gives). As EKS Anywhere does, it takes the Flux of the first entry of versionsBundles,
// whatever the Kubernetes version (its types: release/api/v1alpha1). The error says what is wrong with the
// file, all of it, by field.
func ReadBundles(content []byte) (*Bundles, error) {
	var file struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			VersionsBundles []struct {
				Flux map[string]any `json:"flux"`
			} `json:"versionsBundles"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("it is not valid YAML: %w", err)
	}
	if file.Kind != "Bundles" || !strings.HasPrefix(file.APIVersion, bundlesGroup+"/") {
		what := "it is not a Kubernetes object"
		if file.Kind != "" {
			what = fmt.Sprintf("it is a %s of %s", file.Kind, file.APIVersion)
		}
		if file.Kind == "Release" {
			what = "it is the list of releases, each of which names its Bundles file as bundleManifestUrl"
		}
		return nil, fmt.Errorf("%s; it must be kind Bundles of %s/v1alpha1", what, bundlesGroup)
	}
	if len(file.Spec.VersionsBundles) == 0 {
		return nil, fmt.Errorf("spec.versionsBundles is empty")
	}
	bundles := &Bundles{Images: map[string]string{}}
	flux := file.Spec.VersionsBundles[0].Flux
	version, _ := flux["version"].(string)
	bundles.Version, _, _ = strings.Cut(version, "+")
	var wrong []string
	for _, controller := range []struct{ field, deployment string }{
		{"sourceController", SourceController}, {"kustomizeController", KustomizeController},
		{"helmController", "helm-controller"}, {"notificationController", "notification-controller"},
	} {
		uri, _ := fieldsOf(flux, controller.field)["uri"].(string)
		name, tag := splitImage(uri)
		at := "spec.versionsBundles[0].flux." + controller.field + ".uri"
		switch {
		case uri == "":
			wrong = append(wrong, at+" is missing")
		case name == "" || tag == "" || strings.Contains(uri, "://") || strings.ContainsAny(uri, " \t\n\"'"):
			wrong = append(wrong, fmt.Sprintf("%s is not an image with a tag: %q", at, uri))
		default:
			bundles.Images[controller.deployment] = uri
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return bundles, nil
}
