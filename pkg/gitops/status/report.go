package status

import (
	"time"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// Report is what status has to say. Its JSON form is documented in docs/output.md; fields are only ever added
// within a version. Texts may come from the repository or the cluster and are not made fit to be shown.
type Report struct {
	Version string    `json:"version"` // of this form: eksa-gitops/v1
	Command string    `json:"command"` // the command, which is status
	Time    time.Time `json:"time"`    // when it was looked
	// Healthy says that there are no problems.
	Healthy  bool `json:"healthy"`
	ExitCode int  `json:"exitCode"` // of the program, as in docs/exit-codes.md

	ManagementCluster string            `json:"managementCluster"`    // its name
	Server            string            `json:"server"`               // the address of its API server
	Repository        *RepositoryStatus `json:"repository,omitempty"` // none when GitOps is not configured
	// DeployKey is the key that Flux reads the repository with.
	DeployKey *DeployKeyStatus `json:"deployKey,omitempty"`
	Flux      *FluxStatus      `json:"flux,omitempty"` // Flux in the management cluster
	// Clusters are the management cluster and its workload clusters.
	Clusters []ClusterStatus `json:"clusters"`
	// Drift are the fields that Git sets and that are otherwise in the cluster.
	Drift []facts.Difference `json:"drift"`
	// NotCompared are the clusters whose files could not be compared with what is live, with the reason.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
	// Problems are the causes of all that is not well, the first first.
	Problems []Problem `json:"problems"`
	// Unseen is what could not be looked at, with the reason: nothing is said about it.
	Unseen []Unseen `json:"unseen,omitempty"`
	// Notes are worth knowing and no problem.
	Notes []hint.Hint `json:"notes,omitempty"`
}

// RepositoryStatus is the branch as it is in Git.
type RepositoryStatus struct {
	URL    string `json:"url"`    // where a person looks at it, or its Git URL
	Branch string `json:"branch"` // the branch that Flux follows
	Path   string `json:"path"`   // the directory that Flux applies
	// RenamedTo is the repository's present name on the host, as owner/name, when that is another one.
	RenamedTo string `json:"renamedTo,omitempty"`
	// Seen says whether the branch could be read.
	Seen    bool       `json:"seen"`
	Commit  string     `json:"commit,omitempty"`  // the head of the branch
	Author  string     `json:"author,omitempty"`  // of that commit
	Time    *time.Time `json:"time,omitempty"`    // of that commit
	Subject string     `json:"subject,omitempty"` // the first line of that commit's message
}

// DeployKeyStatus is the key that Flux reads the repository with.
type DeployKeyStatus struct {
	Secret      string `json:"secret"`                // where it is, as namespace/name
	Fingerprint string `json:"fingerprint,omitempty"` // of its public half; none when there is no key
	PublicKey   string `json:"publicKey,omitempty"`   // its public half; none when there is no key
	Username    string `json:"username,omitempty"`    // of a Secret for HTTPS
	// Registered says whether the host has the key; none when the host could not be asked.
	Registered *bool `json:"registered,omitempty"`
	// ReadOnly says whether the host lets the key only read; none when the host could not be asked.
	ReadOnly *bool  `json:"readOnly,omitempty"`
	Title    string `json:"title,omitempty"` // the name that the host has for the key
	// Disabled says that the host has the key and lets it open nothing.
	Disabled bool `json:"disabled,omitempty"`
}

// FluxStatus is Flux in the management cluster.
type FluxStatus struct {
	Installed bool `json:"installed"` // whether it is there
	// Version is the release of Flux; none when a controller of another one runs.
	Version       string             `json:"version,omitempty"`
	Namespace     string             `json:"namespace"`               // the namespace that it runs in
	Controllers   []ControllerStatus `json:"controllers"`             // its Deployments
	Source        *SyncObjectStatus  `json:"source,omitempty"`        // its GitRepository
	Kustomization *SyncObjectStatus  `json:"kustomization,omitempty"` // its Kustomization
	// Fetched is what Flux has read: branch@sha1:commit.
	Fetched string `json:"fetchedRevision,omitempty"`
	// Applied is what Flux has applied: branch@sha1:commit.
	Applied string `json:"appliedRevision,omitempty"`
	// Attempted is what Flux has tried to apply last: branch@sha1:commit.
	Attempted string `json:"attemptedRevision,omitempty"`
	// Interval is the time between two looks at the repository.
	Interval string `json:"interval,omitempty"`
	// SparseCheckout is which part of the repository Flux fetches, as its GitRepository says; none when it
	// fetches all of it.
	SparseCheckout []string `json:"sparseCheckout,omitempty"`
	// UpToDate says that the branch's head is applied; none when the head is not known.
	UpToDate *bool `json:"upToDate,omitempty"`
	// Behind counts the commits that are not applied; none when that cannot be told.
	Behind *int          `json:"behind,omitempty"`
	Pauses []PauseStatus `json:"suspended,omitempty"` // what keeps Flux from working
}

// ControllerStatus is a Deployment of Flux.
type ControllerStatus struct {
	Name  string `json:"name"`  // of the Deployment
	Image string `json:"image"` // the image that it runs
	Ready bool   `json:"ready"` // whether it works
	// Version is the tag of the image, or its digest.
	Version string `json:"version,omitempty"`
	// Fit says whether it is of the release that Flux's definitions are of.
	Fit fluxmanifests.Fit `json:"fit,omitempty"`
	// Asleep says that it is scaled to zero.
	Asleep bool `json:"asleep,omitempty"`
}

// SyncObjectStatus is Flux's GitRepository or Kustomization.
type SyncObjectStatus struct {
	Name       string            `json:"name"`               // of the object
	Ready      bool              `json:"ready"`              // whether it is Ready
	Suspended  bool              `json:"suspended"`          // whether Flux was told to leave it alone
	Deleting   bool              `json:"deleting,omitempty"` // whether its deletion is under way
	Conditions []ConditionStatus `json:"conditions"`         // the conditions of its status
}

// ConditionStatus is one condition of an object.
type ConditionStatus struct {
	Type    string     `json:"type"`              // such as Ready
	Status  string     `json:"status"`            // True, False or Unknown
	Reason  string     `json:"reason,omitempty"`  // in one word
	Message string     `json:"message,omitempty"` // in the words of whoever set it
	Since   *time.Time `json:"since,omitempty"`   // when its status changed last
}

// PauseStatus is something that keeps a controller from working on an object.
type PauseStatus struct {
	Object      string     `json:"object"`          // kind namespace/name
	Field       string     `json:"field"`           // spec.suspend, or the annotation
	Description string     `json:"description"`     // what it keeps from being done
	By          string     `json:"by,omitempty"`    // the field manager that set it
	Since       *time.Time `json:"since,omitempty"` // when it was set
	Resume      string     `json:"resume"`          // the command that ends it
}

// ClusterState is where a cluster is: in Git, in the management cluster, or in both.
type ClusterState string

// The states of a cluster. Both is the usual one.
const (
	// in Git and in the cluster, or Git was not looked at
	StateBoth ClusterState = ""
	// Flux has not created it, or somebody deleted it
	StateOnlyGit ClusterState = "only in Git"
	// it has a GitOps configuration, and no files in Git
	StateOnlyCluster ClusterState = "only in the cluster"
	// it has neither
	StateUnmanaged ClusterState = "not in Git (not managed through Git)"
)

// ClusterStatus is one cluster.
type ClusterStatus struct {
	Name      string           `json:"name"`      // of the Cluster object
	Namespace string           `json:"namespace"` // of the Cluster object
	Role      clusterspec.Role `json:"role"`      // whether it manages itself
	// ManagementCluster is the cluster that manages it, which may be itself.
	ManagementCluster string `json:"managementCluster"`
	KubernetesVersion string `json:"kubernetesVersion,omitempty"` // the version that it is to have
	// State is where it is; none for one that is in Git and in the cluster.
	State        ClusterState        `json:"state,omitempty"`
	ControlPlane facts.MachineStatus `json:"controlPlane"` // its control plane machines
	Workers      facts.MachineStatus `json:"workers"`      // its worker machines
	Ready        bool                `json:"ready"`        // whether it is Ready
	// Deleting is whether its deletion is under way.
	Deleting bool `json:"deleting,omitempty"`
	// Commit is the one that Flux has applied to it last.
	Commit         string            `json:"commit,omitempty"`
	Created        *time.Time        `json:"created,omitempty"`        // when its object was created
	SpecPath       string            `json:"specPath,omitempty"`       // its file inside the repository
	Paused         []PauseStatus     `json:"paused,omitempty"`         // what keeps controllers off it
	Conditions     []ConditionStatus `json:"conditions,omitempty"`     // the conditions of its status
	FailureMessage string            `json:"failureMessage,omitempty"` // the one of its status
	// Message is why it is not Ready, in the cluster's words.
	Message string `json:"message,omitempty"`
}

// Problem is something that is not well.
type Problem struct {
	Object  string    `json:"object"`            // what it is about
	Message string    `json:"message"`           // what is seen, in the words of whoever says so
	Cause   string    `json:"cause,omitempty"`   // what that means, in plain words
	Next    hint.Hint `json:"next,omitempty"`    // the next command
	Cluster string    `json:"cluster,omitempty"` // the cluster it is about, or whose files are to blame
	File    string    `json:"file,omitempty"`    // the file of the repository that is to blame
}

// NotCompared is a cluster whose files could not be compared.
type NotCompared struct {
	Cluster string `json:"cluster"` // its name
	Reason  string `json:"reason"`  // why not
}

// Unseen is something that could not be looked at.
type Unseen struct {
	What   string    `json:"what"`           // what it is
	Reason string    `json:"reason"`         // why not
	Hint   hint.Hint `json:"hint,omitempty"` // what helps
	// Problem says that it is among the problems, too.
	Problem bool `json:"problem,omitempty"`
}
