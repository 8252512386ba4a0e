package gitops

import (
	"github.com/eksa-gitops/eksa-gitops/internal/jsonform"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// ResultVersion is the version of the JSON form of a [Result], for who reads one; fields are only ever added
// within it.
const ResultVersion = jsonform.Version

// Status is how a run ended as a whole.
type Status string

// The statuses of a run.
const (
	StatusDone          Status = "done"           // all of it is in place
	StatusNotConfigured Status = "not-configured" // the spec has no gitOpsRef: nothing to do for Git or Flux
	StatusPlanned       Status = "planned"        // a dry run
	// the clusters are there, GitOps is not (or not wholly) enabled
	StatusGitOpsFailed Status = "gitops-failed"
	StatusIncomplete   Status = "incomplete" // a cluster is not Ready, or was not created
	// the spec or a preflight check did not pass; nothing was written
	StatusRefused     Status = "refused"
	StatusInterrupted Status = "interrupted"
)

// Result is what a run did and what is there now. Its JSON form is documented in docs/output.md.
type Result struct {
	Version string `json:"version"` // of this form: eksa-gitops/v1
	Command string `json:"command"` // such as "create cluster"; empty when the command line names none
	Status  Status `json:"status"`  // how the run ended as a whole
	Changed bool   `json:"changed"` // whether the run wrote anything to the host, to Git or to the cluster
	DryRun  bool   `json:"dryRun"`  // whether the run only planned
	// WouldChange is whether the run that a dry run stands for would write anything to the host, to Git or to
	// the cluster.
	WouldChange bool            `json:"wouldChange"`
	Clusters    []ClusterResult `json:"clusters"`             // the clusters of the run
	Repository  *RepoResult     `json:"repository,omitempty"` // the Git repository, when the run came to it
	Flux        *FluxResult     `json:"flux,omitempty"`       // Flux, when the run came to it
	Steps       []step.Result   `json:"steps"`                // the steps, in the order in which they ended
	// Consequences are what Flux does with clusters, and deletes, once it applies what the run leaves in Git.
	Consequences []facts.Consequence `json:"consequences,omitempty"`
	// why the run, or its GitOps part, did not succeed
	Failure *Failure `json:"failure,omitempty"`
	Resume  string   `json:"resume,omitempty"` // the command that continues the run
	// Kept are, of a deletion, files beside those that go, which stay.
	Kept []string `json:"kept,omitempty"`
	// LocalFiles are, of an upgrade, the user's files that get what Git has.
	LocalFiles []layout.FileChange `json:"localFiles,omitempty"`
	ExitCode   int                 `json:"exitCode"` // of the program, as in docs/exit-codes.md
}

// ClusterResult is one cluster of the run.
type ClusterResult struct {
	Name      string           `json:"name"`      // of the Cluster object
	Namespace string           `json:"namespace"` // of the Cluster object
	Role      clusterspec.Role `json:"role"`      // whether it manages itself
	// ManagementCluster is the cluster that manages it, which may be itself.
	ManagementCluster string `json:"managementCluster"`
	KubernetesVersion string `json:"kubernetesVersion,omitempty"` // as its file has it
	SpecPath          string `json:"specPath,omitempty"`          // its file inside the repository
	// LocalSpec is the copy on this machine, unless left out.
	LocalSpec string `json:"localSpec,omitempty"`
	// LocalSpecKept is a file of the user's in its place, left as it was.
	LocalSpecKept string `json:"localSpecKept,omitempty"`
	Ready         bool   `json:"ready"`             // whether it was seen to be Ready
	Message       string `json:"message,omitempty"` // why it is not Ready
	// Cause is the same without the cluster's name.
	Cause string `json:"-"`
	// Next is the command that shows more, or helps.
	Next string `json:"next,omitempty"`

	// ControlPlane is its control plane machines, in a run that waited for several clusters.
	ControlPlane *facts.MachineStatus `json:"controlPlane,omitempty"`
	// Workers are its worker machines, in a run that waited for several clusters.
	Workers *facts.MachineStatus `json:"workers,omitempty"`

	Provision *ProvisionResult `json:"provision,omitempty"` // what the provisioner was asked to do
	// Changes are, of an upgrade, what it changes in the cluster's objects, and what comes of it.
	Changes []clusterspec.Change `json:"changes,omitempty"`
	// Merged are, of an upgrade, the edits that were found in Git and are not in the file.
	Merged []clusterspec.MergeEdit `json:"merged,omitempty"`
	// Conflicts are, of an upgrade, the fields that the file and Git both changed, each in its own way.
	Conflicts []clusterspec.Conflict `json:"conflicts,omitempty"`
	// Drift is, of an upgrade, where the live objects differ from Git.
	Drift []facts.Difference `json:"drift,omitempty"`

	// of a pause or its end: EKS Anywhere leaves the cluster alone
	Paused  bool     `json:"paused,omitempty"`
	Gone    bool     `json:"gone,omitempty"`    // of a deletion: the cluster was seen to be gone
	Objects []string `json:"objects,omitempty"` // of a deletion: what goes, as kind namespace/name
}

// ProvisionResult is what a provisioner did, or would do, with a cluster.
type ProvisionResult struct {
	Verb    Verb   `json:"verb"`          // what it was asked to do
	Command string `json:"command"`       // the command line of the provisioner
	Log     string `json:"log,omitempty"` // the file with all it printed
	Done    bool   `json:"done"`          // whether it has succeeded
}

// RepoResult is the Git repository of the run.
type RepoResult struct {
	URL     string `json:"url"`              // where a person looks at it, or its Git URL
	Branch  string `json:"branch"`           // the branch that Flux follows
	Commit  string `json:"commit,omitempty"` // the head of the branch at the end of the run
	Created bool   `json:"created"`          // whether the run created the repository
	Pushed  bool   `json:"pushed"`           // whether the run pushed a commit
	// what the run changed or, in a dry run, would change
	Files    []layout.FileChange `json:"files"`
	CloneURL string              `json:"cloneURL,omitempty"` // for git clone
	// DefaultBranch is what is checked out when the repository is cloned; none when it is not known.
	DefaultBranch string `json:"defaultBranch,omitempty"`
	// RenamedTo is the repository's present name on the host, as owner/name, when it was renamed or
	// transferred since the spec was written.
	RenamedTo string `json:"renamedTo,omitempty"`
}

// FluxResult is Flux on the management cluster.
type FluxResult struct {
	// Version is the release of Flux; none when a controller of another one runs.
	Version   string `json:"version,omitempty"`
	Namespace string `json:"namespace"`          // the namespace that Flux runs in
	URL       string `json:"url"`                // of the repository that it follows
	Path      string `json:"path"`               // the directory in the repository that it applies
	Revision  string `json:"revision,omitempty"` // what Flux has applied: branch@sha1:commit
	// Ready says that Flux has applied what the run left in Git; of a run that could not do its GitOps part,
	// that Flux still applies the revision that it had applied before.
	Ready bool `json:"ready"`

	// Controllers are those that run at the end, one for each image.
	Controllers []FluxController `json:"controllers,omitempty"`

	// Changes are, of an upgrade, what changes in Flux's controllers.
	Changes []fluxmanifests.ComponentChange `json:"changes,omitempty"`
	// Adopted is, of an upgrade, what Flux followed before it was taken over.
	Adopted *Adopted `json:"adopted,omitempty"`
	// Migrated are the definitions of Flux whose objects were stored in other versions before the push, or
	// would be.
	Migrated []fluxinstall.Migration `json:"migrated,omitempty"`
}

// FluxController is a controller of Flux that runs.
type FluxController struct {
	Name    string `json:"name"`              // of its Deployment
	Version string `json:"version,omitempty"` // the tag of its image, or its digest
	Image   string `json:"image"`             // the image that it runs
	// Fit is whether it is of the release that Flux's definitions are of.
	Fit fluxmanifests.Fit `json:"fit"`
}

// Adopted is what a Flux followed before it was taken over.
type Adopted struct {
	URL    string `json:"url"`              // of the repository
	Branch string `json:"branch,omitempty"` // none when it followed something else, such as a tag
	Path   string `json:"path"`             // the directory in the repository that it applied
	// Record is the Secret, as namespace/name, that keeps what was there before, the key to the old
	// repository included.
	Record string `json:"record,omitempty"`
	// Unmanaged are the objects that Flux had applied from there and does not apply any more, as kind
	// namespace/name. They stay.
	Unmanaged []string `json:"unmanaged"`
	// Settings are fields of the GitRepository and the Kustomization, as kind spec.field, that they do not
	// have any more.
	Settings []string `json:"settings,omitempty"`
}

// Failure is why the GitOps part, or the run, did not succeed.
type Failure struct {
	// Step is the step that failed; none when the run did not come to its steps.
	Step     step.Name       `json:"step,omitempty"`
	Message  string          `json:"message"`            // what went wrong
	Hint     string          `json:"hint,omitempty"`     // what helps
	Findings []facts.Finding `json:"findings,omitempty"` // what checks before the first write found
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
