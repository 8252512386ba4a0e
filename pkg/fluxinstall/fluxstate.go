package fluxinstall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// FluxState is Flux as it is installed in the system namespace.
type FluxState struct {
	Namespace   bool   // whether the namespace exists
	Terminating bool   // whether it is being deleted
	Version     string // of the controllers' labels; empty when there are none
	// Controllers are Flux's Deployments in the namespace, by name.
	Controllers   []ControllerState
	GitRepository *GitRepositoryState
	Kustomization *KustomizationState
	// SourceSecret is the Secret that Flux reads Git with.
	SourceSecret *SourceSecretState
	// SourcePublicKey is SourceSecret's public key; empty without one.
	SourcePublicKey string
	// Adoption is what Flux followed before a take-over that is under way; nil without one.
	Adoption *AdoptionState
	// Others are installations that are not ours to touch.
	Others []Other
}

// ControllerState is a Deployment of Flux.
type ControllerState struct {
	Name, Image string
	Available   bool // the current version runs in full, and at least once
	Asleep      bool // it is scaled to zero: nobody wants it to run
}

// GitRepositoryState is Flux's source.
type GitRepositoryState struct {
	Name, URL, Branch, Secret string
	Suspended                 bool
	// suspended by an uninstallation that was broken off; EnsureSync ends that
	Stopped    bool
	Deleting   bool   // its deletion has begun
	Revision   string // of the artifact: branch@sha1:commit
	Ready      bool   // Ready is True for the current generation
	Conditions []Condition
	// SparseCheckout is which part of the repository it fetches, as spec.sparseCheckout has it; all of it
	// when empty.
	SparseCheckout []string
	// Ignore is what it leaves out of that, as spec.ignore has it, beside what every Flux leaves out.
	Ignore string
}

// KustomizationState is what Flux applies from the source.
type KustomizationState struct {
	Name, Path        string
	Suspended         bool
	Stopped           bool   // suspended by an uninstallation that was broken off; EnsureSync ends that
	Deleting          bool   // its deletion has begun
	AppliedRevision   string // the last that was applied without error
	AttemptedRevision string // the last that was tried
	Ready             bool   // Ready is True for the current generation
	Conditions        []Condition

	Spec      map[string]any // as it is in the cluster
	Prune     bool           // whether it deletes what is no longer in Git
	Inventory []string       // what it has applied, as namespace_name_group_kind
}

// SourceSecretState is what may be seen of the source Secret: nothing private.
type SourceSecretState struct {
	// in authorized_keys form, derived from the private key; empty when there is none that can be read
	PublicKey string
	// why the private key that is there cannot be read; empty when there is none, or it can
	Unreadable string
	// of PublicKey, as SHA256:...
	Fingerprint string
	KnownHosts  []byte
	Username    string // of HTTPS; empty for SSH
}

// Installer is who installed Flux.
type Installer string

// The installers.
const (
	InstallerOperator  Installer = "flux-operator"
	InstallerHelm      Installer = "helm"
	InstallerElsewhere Installer = "elsewhere" // in another namespace, by whatever means
)

// Other describes an installation of Flux by somebody else.
type Other struct {
	Description string
	Installer   Installer
	Namespace   string // of the controllers, or of the FluxInstance
	Name        string // of the FluxInstance or the Helm release
}

// Applied says whether Flux reports that it has fetched and applied exactly that commit, is well, and is not
// suspended. Flux applies its own components too, so they are as Git says then.
func (s *State) Applied(branch, commit string) bool {
	revision := Revision(branch, commit)
	git, ks := s.Flux.GitRepository, s.Flux.Kustomization
	return git != nil && ks != nil && commit != "" && !git.Suspended && !ks.Suspended &&
		!git.Deleting && !ks.Deleting && git.Revision == revision && git.Ready &&
		ks.AppliedRevision == revision && ks.Ready && s.Flux.Working()
}

// Working says whether the controllers that fetch and apply run.
func (f *FluxState) Working() bool {
	return f.runs(fluxmanifests.SourceController) && f.runs(fluxmanifests.KustomizeController)
}

func (f *FluxState) runs(controller string) bool {
	return slices.ContainsFunc(f.Controllers, func(c ControllerState) bool {
		return c.Name == controller && c.Available
	})
}

// Revision is how Flux writes a commit of a branch.
func Revision(branch, commit string) string { return branch + "@sha1:" + commit }

// fluxObjects are the objects that tell how Flux is installed.
type fluxObjects struct {
	namespace, kustomization, secret     *unstructured.Unstructured
	repositories, deployments, instances []unstructured.Unstructured
	// of all namespaces, as far as the user may list them
	kustomizations []unstructured.Unstructured
}

// state tells our installation, which is in namespace, from others'.
func (o *fluxObjects) state(namespace string) FluxState {
	state := FluxState{Namespace: o.namespace != nil,
		Terminating: o.namespace != nil && o.namespace.GetDeletionTimestamp() != nil}
	if o.kustomization != nil {
		state.Kustomization = kustomizationState(o.kustomization)
	}
	if o.secret != nil {
		state.SourceSecret = sourceSecretState(o.secret)
		state.SourcePublicKey = state.SourceSecret.PublicKey
	}
	for _, item := range o.repositories {
		if item.GetNamespace() == namespace && item.GetName() == namespace {
			state.GitRepository = gitRepositoryState(&item)
		}
	}
	for _, item := range o.instances {
		state.Others = append(state.Others, instanceOf(&item))
	}
	for _, item := range o.deployments {
		if item.GetNamespace() == namespace && !byHelm(&item) {
			state.Version = cmp.Or(state.Version, item.GetLabels()[fluxmanifests.VersionLabel])
			state.Controllers = append(state.Controllers, controllerState(&item))
		}
	}
	slices.SortFunc(state.Controllers,
		func(a, b ControllerState) int { return strings.Compare(a.Name, b.Name) })
	state.Others = append(state.Others, o.otherControllers(namespace)...)
	return state
}

// instanceOf describes an installation by flux-operator: its release and what it follows
// (fluxcd.controlplane.io/v1, spec.sync).
func instanceOf(instance *unstructured.Unstructured) Other {
	other := Other{Installer: InstallerOperator, Namespace: instance.GetNamespace(), Name: instance.GetName()}
	other.Description = fmt.Sprintf("FluxInstance %s/%s of flux-operator", other.Namespace, other.Name)
	if version := cmp.Or(text(instance, "status", "lastAppliedRevision"),
		text(instance, "spec", "distribution", "version")); version != "" {
		other.Description += " keeps Flux " + version
	}
	if url := text(instance, "spec", "sync", "url"); url != "" {
		other.Description += fmt.Sprintf("; it follows %s of %s and applies path %s",
			text(instance, "spec", "sync", "ref"), redact.Address(url),
			text(instance, "spec", "sync", "path"))
	}
	return other
}

// otherControllers describes each installation whose Deployments are not ours once.
func (o *fluxObjects) otherControllers(namespace string) []Other {
	var others []Other
	for _, item := range o.deployments {
		other := Other{Namespace: item.GetNamespace()}
		switch {
		case byHelm(&item):
			annotations := item.GetAnnotations()
			other.Installer, other.Name = InstallerHelm, cmp.Or(annotations["meta.helm.sh/release-name"],
				item.GetLabels()["app.kubernetes.io/instance"])
			other.Description = fmt.Sprintf("its controllers in namespace %s belong to Helm release %s",
				item.GetNamespace(), other.Name)
			if in := annotations["meta.helm.sh/release-namespace"]; in != "" && in != item.GetNamespace() {
				other.Description += " of namespace " + in
			}
			if chart := item.GetLabels()["helm.sh/chart"]; chart != "" {
				other.Description += " (chart " + chart + ")"
			}
		case item.GetNamespace() != namespace:
			// Flux's CRDs and cluster roles exist once: two installations would fight over every object.
			other.Installer = InstallerElsewhere
			other.Description = fmt.Sprintf("its controllers run in namespace %s, the spec says %s",
				item.GetNamespace(), namespace)
		default:
			continue
		}
		other.Description += o.followed(other.Namespace)
		if !slices.Contains(others, other) {
			others = append(others, other)
		}
	}
	return others
}

// followed describes what the Kustomization of a bootstrap in a namespace follows; empty without one.
func (o *fluxObjects) followed(namespace string) string {
	for _, ks := range o.kustomizations {
		if ks.GetNamespace() != namespace || ks.GetName() != namespace {
			continue
		}
		for _, git := range o.repositories {
			if git.GetNamespace() == namespace && git.GetName() == text(&ks, "spec", "sourceRef", "name") {
				return fmt.Sprintf("; it follows branch %s of %s and applies path %s",
					text(&git, "spec", "ref", "branch"), redact.Address(text(&git, "spec", "url")),
					text(&ks, "spec", "path"))
			}
		}
	}
	return ""
}

// byHelm says whether Helm manages the object (the label every Helm chart sets).
func byHelm(u *unstructured.Unstructured) bool {
	return u.GetLabels()["app.kubernetes.io/managed-by"] == "Helm"
}

func controllerState(deployment *unstructured.Unstructured) ControllerState {
	state := ControllerState{Name: deployment.GetName(),
		Image:  managerImage(deployment, "spec", "template", "spec", "containers"),
		Asleep: wantedReplicas(deployment) == 0}
	state.Available = rolledOut(deployment) && !state.Asleep
	return state
}

func gitRepositoryState(u *unstructured.Unstructured) *GitRepositoryState {
	s := &GitRepositoryState{
		Name:       u.GetName(),
		URL:        text(u, "spec", "url"),
		Branch:     text(u, "spec", "ref", "branch"),
		Secret:     text(u, "spec", "secretRef", "name"),
		Revision:   text(u, "status", "artifact", "revision"),
		Ready:      readyNow(u),
		Conditions: conditions(u),
	}
	s.Suspended, _, _ = unstructured.NestedBool(u.Object, "spec", "suspend")
	s.SparseCheckout, _, _ = unstructured.NestedStringSlice(u.Object, "spec", "sparseCheckout")
	s.Ignore = text(u, "spec", "ignore")
	s.Stopped = stoppedByUs(u)
	s.Deleting = u.GetDeletionTimestamp() != nil
	return s
}

func kustomizationState(u *unstructured.Unstructured) *KustomizationState {
	s := &KustomizationState{
		Name:              u.GetName(),
		Path:              text(u, "spec", "path"),
		AppliedRevision:   text(u, "status", "lastAppliedRevision"),
		AttemptedRevision: text(u, "status", "lastAttemptedRevision"),
		Ready:             readyNow(u),
		Conditions:        conditions(u),
		Inventory:         inventory(u),
	}
	s.Suspended, _, _ = unstructured.NestedBool(u.Object, "spec", "suspend")
	s.Stopped = stoppedByUs(u)
	s.Spec, _, _ = unstructured.NestedMap(u.Object, "spec")
	s.Deleting = u.GetDeletionTimestamp() != nil
	s.Prune, _, _ = unstructured.NestedBool(u.Object, "spec", "prune")
	return s
}

func sourceSecretState(u *unstructured.Unstructured) *SourceSecretState {
	data := secretData(u)
	state := &SourceSecretState{KnownHosts: data[keyKnownHosts], Username: string(data[keyUsername])}
	if key, err := publicKeyFrom(data); err == nil {
		state.PublicKey = authorizedKey(key)
		state.Fingerprint = ssh.FingerprintSHA256(key)
	} else if len(data[keyIdentity]) > 0 {
		state.Unreadable = err.Error()
	}
	return state
}
