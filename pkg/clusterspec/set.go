package clusterspec

import "go.yaml.in/yaml/v3"

// Role says whether a cluster manages itself or is managed by another one.
type Role string

// The roles of a cluster.
const (
	RoleManagement Role = "management"
	RoleWorkload   Role = "workload"
)

// Set is what the files of a run hold.
type Set struct {
	// Clusters are sorted: the management cluster first, then by name.
	Clusters []*Cluster
	// Warnings are sorted by position. They are there also when Parse returns an error.
	Warnings []Problem
	// Unused are the EKS Anywhere objects that belong to no cluster, in the order of the files. Each has a
	// warning.
	Unused []*Object
}

// Cluster is one cluster with everything that belongs to it.
type Cluster struct {
	Name string
	// Namespace is never empty: unset is "default".
	Namespace         string
	KubernetesVersion string
	// ManagementCluster is the name of the cluster that manages this one; its own for a management cluster.
	ManagementCluster string
	// Objects are in the order in which they are written: Cluster, datacenter, machine configs by name,
	// FluxConfig or GitOpsConfig, OIDC, IAM, Tinkerbell templates, IP pools.
	Objects []*Object
	// GitOps is nil when the cluster has no gitOpsRef.
	GitOps *GitOps
	// Provider is "vsphere", "cloudstack", "nutanix", "snow", "tinkerbell" or "docker".
	Provider string
	// ControlPlaneCount and WorkerCount are the machines asked for; a group with autoscaling counts with its
	// minimum.
	ControlPlaneCount, WorkerCount int
}

// Role says whether the cluster manages itself.
func (c *Cluster) Role() Role {
	if c.ManagementCluster == c.Name {
		return RoleManagement
	}
	return RoleWorkload
}

// Object is one Kubernetes object of a file.
type Object struct {
	APIVersion, Kind, Name string
	// Namespace is never empty: unset is "default".
	Namespace string
	// NamespaceGiven says whether the file names the namespace.
	NamespaceGiven bool
	// File and Line say where the object begins.
	File string
	Line int

	document *document
}

// Decoded gives the object as it stands in the file, as map[string]any, []any, string, bool, int64, float64
// and nil. Every call returns a new value.
func (o *Object) Decoded() map[string]any {
	decoded, _ := decode(o.document.root).(map[string]any)
	return decoded
}

// Label is kind and name, the way messages call the object.
func (o *Object) Label() string { return o.Kind + " " + o.Name }

// Position gives line and column, from 1, of a field such as "spec.users[0].name" in the object's file. When
// the field is missing it is the position of the nearest parent that is there.
func (o *Object) Position(path string) (line, column int) {
	return o.document.position(o.find(path))
}

func (o *Object) root() *yaml.Node { return o.document.root }

// GitOps is the GitOps configuration of a cluster with EKS Anywhere's defaults filled in.
type GitOps struct {
	// Kind and Name are those of the object in the file: FluxConfig or GitOpsConfig.
	Kind, Name string
	// SystemNamespace is where Flux runs.
	SystemNamespace string
	// ClusterConfigPath is as in the file, a slash path inside the repository; see layout.PathsOf for the
	// directories below.
	ClusterConfigPath string
	Branch            string
	// Exactly one of GitHub and Git is set.
	GitHub *GitHubConfig
	Git    *GitConfig
}

// GitHubConfig is a repository on GitHub.
type GitHubConfig struct {
	Owner, Repository string
	// Personal is whether the owner is a user rather than an organization. EKS Anywhere's code takes a
	// missing value as false, whatever its documentation says.
	Personal bool
}

// GitConfig is a repository on any Git server, reached over SSH.
type GitConfig struct {
	// RepositoryURL is an ssh:// URL; a file that has the scp form, git@host:owner/repository, is taken as
	// that.
	RepositoryURL string
	// SSHKeyAlgorithm is "rsa", "ecdsa" or "ed25519", or empty when the file does not say, which EKS Anywhere
	// takes as ecdsa.
	SSHKeyAlgorithm string
}
