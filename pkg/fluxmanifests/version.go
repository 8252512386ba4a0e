package fluxmanifests

import "github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests/internal/release"

// Version is the Flux release that is installed: the version of module github.com/fluxcd/flux2/v2 that the
// program is built with.
const Version = release.Version

// The names that `flux bootstrap` gives (its Go module, cmd/flux and pkg/manifestgen).
const (
	// SourceSecretName is the Secret that Flux reads Git with: the default of `flux bootstrap --secret-name`,
	// whatever the namespace.
	SourceSecretName = "flux-system"

	// DefaultNamespace is where Flux is installed unless it is told otherwise.
	DefaultNamespace = "flux-system"
	// SourceController fetches, and KustomizeController applies: the names of their Deployments.
	SourceController    = "source-controller"
	KustomizeController = "kustomize-controller"
	// ManagerContainer runs the controller in each of Flux's Deployments.
	ManagerContainer = "manager"
)

// The groups of the objects that say what Flux fetches and applies.
const (
	SourceGroup    = "source.toolkit.fluxcd.io"
	KustomizeGroup = "kustomize.toolkit.fluxcd.io"
)

// The labels that Flux's own installer sets.
const (
	VersionLabel = "app.kubernetes.io/version"
	PartOfLabel  = "app.kubernetes.io/part-of"
)

// RequiredControllers are the Deployments without which nothing is fetched or applied.
func RequiredControllers() []string { return []string{SourceController, KustomizeController} }
