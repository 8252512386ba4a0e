package gitops

import (
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// ResultVersion is the version of the JSON form of a [Result]; fields are only ever added within it.
const ResultVersion = "eksa-gitops/v1"

// Status is how a run ended as a whole.
type Status string

// The statuses of a run.
const (
	StatusDone          Status = "done"           // all of it is in place
	StatusNotConfigured Status = "not-configured" // the spec has no gitOpsRef: nothing to do for Git or Flux
	StatusPlanned       Status = "planned"        // a dry run
	StatusGitOpsFailed  Status = "gitops-failed"  // the clusters are there, GitOps is not (or not wholly) enabled
	StatusIncomplete    Status = "incomplete"     // a cluster is not Ready, or was not created
	StatusRefused       Status = "refused"        // the spec or a preflight check did not pass; nothing was written
	StatusInterrupted   Status = "interrupted"
)

// Result is what a run did and what is there now. Its JSON form is documented in docs/output.md.
type Result struct {
	Version string `json:"version"`
	Command string `json:"command"`
	Status  Status `json:"status"`
	Changed bool   `json:"changed"` // whether the run wrote anything to the host, to Git or to the cluster
	DryRun  bool   `json:"dryRun"`
	// WouldChange is whether the run that a dry run stands for would write anything to the host, to Git or to the cluster.
	WouldChange bool            `json:"wouldChange"`
	Clusters    []ClusterResult `json:"clusters"`
	Repository  *RepoResult     `json:"repository,omitempty"`
	Flux        *FluxResult     `json:"flux,omitempty"`
	Steps       []step.Result   `json:"steps"`
	// Consequences are what Flux does with clusters, and deletes, once it applies what the run leaves in Git.
	Consequences []facts.Consequence `json:"consequences,omitempty"`
	Failure      *Failure            `json:"failure,omitempty"`
	Resume       string              `json:"resume,omitempty"`     // the command that continues, when there is something to continue
	Kept         []string            `json:"kept,omitempty"`       // of a deletion: files beside those that go, which stay
	LocalFiles   []layout.FileChange `json:"localFiles,omitempty"` // of an upgrade: the user's own files that it brought up to date with Git
	ExitCode     int                 `json:"exitCode"`
}

// ClusterResult is one cluster of the run.
type ClusterResult struct {
	Name              string `json:"name"`
	Namespace         string `json:"namespace"`
	Role              string `json:"role"` // management or workload
	ManagementCluster string `json:"managementCluster"`
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	SpecPath          string `json:"specPath,omitempty"`      // inside the repository
	LocalSpec         string `json:"localSpec,omitempty"`     // the copy on this machine; absent when it was left out
	LocalSpecKept     string `json:"localSpecKept,omitempty"` // the file in its place that is the user's own, and was left as it is
	Ready             bool   `json:"ready"`
	Message           string `json:"message,omitempty"` // why it is not Ready
	Cause             string `json:"-"`                 // the same without the cluster's name
	Next              string `json:"next,omitempty"`    // the command that shows more or helps, when it is not Ready

	// The machines, when several clusters were waited for together.
	ControlPlane *facts.MachineStatus `json:"controlPlane,omitempty"`
	Workers      *facts.MachineStatus `json:"workers,omitempty"`

	Provision *ProvisionResult `json:"provision,omitempty"` // what the provisioner was asked to do
	// Of an upgrade: what it changes in the cluster's objects and what EKS Anywhere does with each change; the edits that were found in Git
	// and are not in the file; the fields that both changed, each in its own way; and where the live objects differ from Git.
	Changes   []clusterspec.Change    `json:"changes,omitempty"`
	Merged    []clusterspec.MergeEdit `json:"merged,omitempty"`
	Conflicts []clusterspec.Conflict  `json:"conflicts,omitempty"`
	Drift     []facts.Difference      `json:"drift,omitempty"`

	Paused  bool     `json:"paused,omitempty"`  // of a pause or its end: EKS Anywhere leaves the cluster alone
	Gone    bool     `json:"gone,omitempty"`    // deleted, and not there any more
	Objects []string `json:"objects,omitempty"` // of a deletion: what goes in the management cluster, as kind namespace/name
}

// ProvisionResult is what a provisioner did, or would do, with a cluster.
type ProvisionResult struct {
	Verb    Verb   `json:"verb"`
	Command string `json:"command"`
	Log     string `json:"log,omitempty"` // the file with all it printed
	Done    bool   `json:"done"`          // whether it has succeeded
}

// RepoResult is the Git repository of the run.
type RepoResult struct {
	URL      string              `json:"url"` // where a person looks at it, or its Git URL
	Branch   string              `json:"branch"`
	Commit   string              `json:"commit,omitempty"`
	Created  bool                `json:"created"`
	Pushed   bool                `json:"pushed"`
	Files    []layout.FileChange `json:"files"` // what the run changed or, in a dry run, would change
	CloneURL string              `json:"cloneURL,omitempty"`
	// DefaultBranch is what is checked out when the repository is cloned; empty when it is not known.
	DefaultBranch string `json:"defaultBranch,omitempty"`
	// RenamedTo is the repository's present name on the host, as owner/name, when it was renamed or transferred since the spec was written.
	RenamedTo string `json:"renamedTo,omitempty"`
}

// FluxResult is Flux on the management cluster.
type FluxResult struct {
	// Version is the release of Flux; empty when a controller of another one runs.
	Version   string `json:"version,omitempty"`
	Namespace string `json:"namespace"`
	URL       string `json:"url"`
	Path      string `json:"path"`
	Revision  string `json:"revision,omitempty"` // what Flux has applied: branch@sha1:commit
	Ready     bool   `json:"ready"`

	// Controllers are those that run at the end, one for each image.
	Controllers []FluxController `json:"controllers,omitempty"`

	// Of an upgrade: what changes in Flux's controllers, and what Flux followed before it was taken over.
	Changes []fluxmanifests.ComponentChange `json:"changes,omitempty"`
	Adopted *Adopted                        `json:"adopted,omitempty"`
	// Migrated are the definitions of Flux whose objects were stored in other versions before the push, or would be.
	Migrated []fluxinstall.Migration `json:"migrated,omitempty"`
}

// FluxController is a controller of Flux that runs.
type FluxController struct {
	Name    string            `json:"name"`
	Version string            `json:"version,omitempty"` // the tag of its image, or its digest
	Image   string            `json:"image"`
	Fit     fluxmanifests.Fit `json:"fit"` // whether it is of the release that Flux's definitions are of
}

// Adopted is what a Flux followed before it was taken over.
type Adopted struct {
	URL    string `json:"url"`
	Branch string `json:"branch,omitempty"`
	Path   string `json:"path"`
	// Record is the Secret, as namespace/name, that keeps what was there before, the key to the old repository included.
	Record string `json:"record,omitempty"`
	// Unmanaged are the objects that Flux had applied from there and does not apply any more, as kind namespace/name. They stay.
	Unmanaged []string `json:"unmanaged"`
	// Settings are fields of the GitRepository and the Kustomization, as kind spec.field, that they do not have any more.
	Settings []string `json:"settings,omitempty"`
}

// Failure is why the GitOps part, or the run, did not succeed.
type Failure struct {
	Step     step.Name `json:"step,omitempty"`
	Message  string    `json:"message"`
	Hint     string    `json:"hint,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
	// Err is the error itself, for who decides on its kind; nil where the findings say it all.
	Err error `json:"-"`
}

// inPlainWords takes the words of libraries out of what the result says of errors. It may be repeated.
func (r *Result) inPlainWords() {
	for i := range r.Clusters {
		c := &r.Clusters[i]
		c.Message, c.Cause = text.Plain(c.Message), text.Plain(c.Cause)
	}
	if r.Failure == nil {
		return
	}
	r.Failure.Message = text.Plain(r.Failure.Message)
	for i := range r.Failure.Findings {
		r.Failure.Findings[i].Message = text.Plain(r.Failure.Findings[i].Message)
	}
}

// failureOf is what a result says of an error that a step has ended with.
func failureOf(step step.Name, err error) *Failure {
	return &Failure{Step: step, Message: err.Error(), Hint: facts.HintOf(err), Err: err}
}
