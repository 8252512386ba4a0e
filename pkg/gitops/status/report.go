package status

import (
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// Report is what status has to say. Its JSON form is documented in docs/output.md; fields are only ever added within a version. Texts
// may come from the repository or the cluster and are not made fit to be shown.
type Report struct {
	Version string    `json:"version"`
	Command string    `json:"command"`
	Time    time.Time `json:"time"`
	// Healthy says that there are no problems.
	Healthy  bool `json:"healthy"`
	ExitCode int  `json:"exitCode"`

	ManagementCluster string            `json:"managementCluster"`
	Server            string            `json:"server"`
	Repository        *RepositoryStatus `json:"repository,omitempty"` // nil when GitOps is not configured
	DeployKey         *DeployKeyStatus  `json:"deployKey,omitempty"`
	Flux              *FluxStatus       `json:"flux,omitempty"`
	Clusters          []ClusterStatus   `json:"clusters"`
	// Drift are the fields that Git sets and that are otherwise in the cluster.
	Drift []facts.Difference `json:"drift"`
	// NotCompared are the clusters whose files could not be compared with what is live, with the reason.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
	// Problems are the causes of all that is not well, the first first.
	Problems []Problem `json:"problems"`
	// Unseen is what could not be looked at, with the reason: nothing is said about it.
	Unseen []Unseen `json:"unseen,omitempty"`
	// Notes are worth knowing and no problem.
	Notes []string `json:"notes,omitempty"`
}

// RepositoryStatus is the branch as it is in Git.
type RepositoryStatus struct {
	URL    string `json:"url"`
	Branch string `json:"branch"`
	Path   string `json:"path"` // that Flux applies
	// RenamedTo is the repository's present name on the host, as owner/name, when that is another one.
	RenamedTo string `json:"renamedTo,omitempty"`
	// Seen says whether the branch could be read.
	Seen    bool       `json:"seen"`
	Commit  string     `json:"commit,omitempty"`
	Author  string     `json:"author,omitempty"`
	Time    *time.Time `json:"time,omitempty"`
	Subject string     `json:"subject,omitempty"`
}

// DeployKeyStatus is the key that Flux reads the repository with.
type DeployKeyStatus struct {
	// Secret is where it is, as namespace/name; Fingerprint and PublicKey are its public half's, empty when there is none.
	Secret      string `json:"secret"`
	Fingerprint string `json:"fingerprint,omitempty"`
	PublicKey   string `json:"publicKey,omitempty"`
	Username    string `json:"username,omitempty"` // of a Secret for HTTPS
	// Registered and ReadOnly are what the host says; nil when there is none or it could not be asked.
	Registered *bool  `json:"registered,omitempty"`
	ReadOnly   *bool  `json:"readOnly,omitempty"`
	Title      string `json:"title,omitempty"`
	// Disabled says that the host has the key and lets it open nothing.
	Disabled bool `json:"disabled,omitempty"`
}

// FluxStatus is Flux in the management cluster.
type FluxStatus struct {
	Installed bool `json:"installed"`
	// Version is the release of Flux; empty when a controller of another one runs.
	Version       string             `json:"version,omitempty"`
	Namespace     string             `json:"namespace"`
	Controllers   []ControllerStatus `json:"controllers"`
	Source        *SyncObjectStatus  `json:"source,omitempty"`
	Kustomization *SyncObjectStatus  `json:"kustomization,omitempty"`
	Fetched       string             `json:"fetchedRevision,omitempty"`
	Applied       string             `json:"appliedRevision,omitempty"`
	Attempted     string             `json:"attemptedRevision,omitempty"`
	Interval      string             `json:"interval,omitempty"`
	// SparseCheckout is which part of the repository Flux fetches, as its GitRepository says; all of it when
	// empty.
	SparseCheckout []string `json:"sparseCheckout,omitempty"`
	// UpToDate says that the branch's head is applied; nil when the head is not known. Behind counts the commits that are not; nil when
	// it cannot be told.
	UpToDate *bool         `json:"upToDate,omitempty"`
	Behind   *int          `json:"behind,omitempty"`
	Pauses   []PauseStatus `json:"suspended,omitempty"`
}

// ControllerStatus is a Deployment of Flux.
type ControllerStatus struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	Ready bool   `json:"ready"`
	// Version is the tag of the image, or its digest. Fit says whether it is of the release that Flux's definitions are of.
	Version string            `json:"version,omitempty"`
	Fit     fluxmanifests.Fit `json:"fit,omitempty"`
	// Asleep says that it is scaled to zero.
	Asleep bool `json:"asleep,omitempty"`
}

// SyncObjectStatus is Flux's GitRepository or Kustomization.
type SyncObjectStatus struct {
	Name       string            `json:"name"`
	Ready      bool              `json:"ready"`
	Suspended  bool              `json:"suspended"`
	Deleting   bool              `json:"deleting,omitempty"`
	Conditions []ConditionStatus `json:"conditions"`
}

// ConditionStatus is one condition of an object.
type ConditionStatus struct {
	Type    string     `json:"type"`
	Status  string     `json:"status"`
	Reason  string     `json:"reason,omitempty"`
	Message string     `json:"message,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
}

// PauseStatus is something that keeps a controller from working on an object.
type PauseStatus struct {
	Object      string     `json:"object"`
	Field       string     `json:"field"` // spec.suspend, or the annotation
	Description string     `json:"description"`
	By          string     `json:"by,omitempty"` // the field manager that set it
	Since       *time.Time `json:"since,omitempty"`
	Resume      string     `json:"resume"`
}

// The states of a cluster. Both is the usual one.
const (
	StateBoth        = ""                                     // in Git and in the cluster, or Git was not looked at
	StateOnlyGit     = "only in Git"                          // Flux has not created it, or somebody deleted it
	StateOnlyCluster = "only in the cluster"                  // it has a GitOps configuration, and no files in Git
	StateUnmanaged   = "not in Git (not managed through Git)" // it has neither
)

// ClusterStatus is one cluster.
type ClusterStatus struct {
	Name              string              `json:"name"`
	Namespace         string              `json:"namespace"`
	Role              string              `json:"role"`
	ManagementCluster string              `json:"managementCluster"`
	KubernetesVersion string              `json:"kubernetesVersion,omitempty"`
	State             string              `json:"state,omitempty"`
	ControlPlane      facts.MachineStatus `json:"controlPlane"`
	Workers           facts.MachineStatus `json:"workers"`
	Ready             bool                `json:"ready"`
	Deleting          bool                `json:"deleting,omitempty"`
	Commit            string              `json:"commit,omitempty"` // that Flux has applied to it last
	Created           *time.Time          `json:"created,omitempty"`
	SpecPath          string              `json:"specPath,omitempty"`
	Paused            []PauseStatus       `json:"paused,omitempty"`
	Conditions        []ConditionStatus   `json:"conditions,omitempty"`
	FailureMessage    string              `json:"failureMessage,omitempty"`
	Message           string              `json:"message,omitempty"` // why it is not Ready, in the cluster's words
}

// Problem is something that is not well.
type Problem struct {
	Object  string `json:"object"`            // what it is about
	Message string `json:"message"`           // what is seen, in the words of whoever says so
	Cause   string `json:"cause,omitempty"`   // what that means, in plain words
	Next    string `json:"next,omitempty"`    // the next command
	Cluster string `json:"cluster,omitempty"` // the cluster it is about, or whose files are to blame
	File    string `json:"file,omitempty"`    // the file of the repository that is to blame
}

// NotCompared is a cluster whose files could not be compared.
type NotCompared struct {
	Cluster string `json:"cluster"`
	Reason  string `json:"reason"`
}

// Unseen is something that could not be looked at.
type Unseen struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
	// Problem says that it is among the problems, too.
	Problem bool `json:"problem,omitempty"`
}
