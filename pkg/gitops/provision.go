package gitops

import (
	"context"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Verb is what a provisioner is asked to do.
type Verb string

// The verbs.
const (
	VerbCreate  Verb = "create"
	VerbUpgrade Verb = "upgrade"
	VerbDelete  Verb = "delete"
)

// ProvisionJob is one piece of work for a provisioner.
type ProvisionJob struct {
	Verb    Verb
	Cluster string // its name
	// ManagementCluster is the name of the cluster that manages it; its own for a management cluster.
	ManagementCluster string
	// Spec is the cluster's file without its GitOps part.
	Spec []byte
	// Kubeconfig is the cluster's own, for a provisioner that needs it and does not find it where it keeps it. It may be empty.
	Kubeconfig secret.Value
}

// Provisioner makes, changes and deletes clusters, machines included.
type Provisioner interface {
	// Check makes sure that the provisioner can work here, and says which version it is, if that is known. It changes nothing.
	Check(ctx context.Context) (version string, err error)
	// Command is the command line of a job, for people to read. It holds no secret.
	Command(job ProvisionJob) string
	// HasKubeconfig says whether the provisioner keeps a kubeconfig of a cluster here: it made the cluster, or began to.
	HasKubeconfig(cluster string) bool
	// Run does a job to its end, and returns the file with all that was printed, if there is one. When ctx ends, the job is asked to
	// end as well, and Run returns when it has; the error is then the context's, too. While Run runs, interrupts do not end the process.
	Run(ctx context.Context, job ProvisionJob) (log string, err error)
	// Forget removes the kubeconfig that HasKubeconfig tells of, and says whether there was one. It may be repeated.
	Forget(cluster string) (bool, error)
}
