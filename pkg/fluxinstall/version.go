package fluxinstall

import "github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall/internal/release"

// Version is the Flux release that is installed: the version of module github.com/fluxcd/flux2/v2 that the program is built with.
const Version = release.Version

// The names that `flux bootstrap` gives (its Go module, cmd/flux and pkg/manifestgen).
const (
	// SourceSecretName is the Secret that Flux reads Git with: the default of `flux bootstrap --secret-name`, whatever the namespace.
	SourceSecretName = "flux-system"

	defaultNamespace    = "flux-system"
	sourceController    = "source-controller"
	kustomizeController = "kustomize-controller"
	managerContainer    = "manager" // runs the controller in each of Flux's Deployments
)

// The labels that Flux's own installer sets.
const (
	versionLabel = "app.kubernetes.io/version"
	partOfLabel  = "app.kubernetes.io/part-of"
)
