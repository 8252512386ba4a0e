package diagnostics

import (
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// ruleSummaries says in a sentence what each rule is about. A rule that is missing here is shown by its name
// alone.
func ruleSummaries() map[string]string {
	return map[string]string{
		// Reading.
		"missing-file":      "A file or directory cannot be read.",
		"empty-file":        "A file or directory contains nothing to check.",
		"not-yaml":          "A document is not valid YAML, or not a Kubernetes object.",
		"too-large":         "The input, or what its aliases expand to, is too large or nested too deep.",
		"duplicate-key":     "A key is twice in one mapping.",
		"separator":         "A line that should separate documents is missing or is written in another way.",
		"not-editable":      "A document is not written in a way that can be edited in place.",
		"too-many-problems": "There are more problems than are shown.",
		// Fields.
		"unknown-kind":     "EKS Anywhere has no such kind.",
		"unknown-field":    "EKS Anywhere has no such field.",
		"required":         "A required field is missing.",
		"wrong-type":       "A value is not of its field's type.",
		"invalid-value":    "A value is not allowed in its field.",
		"placeholder":      "A placeholder of a generated file was not replaced.",
		"labels":           "A label or an annotation is not one that Kubernetes accepts.",
		"users":            "The users of a machine config are not ones that EKS Anywhere accepts.",
		"unquoted-version": "A version without quotes is a number to YAML.",
		"name":             "The name of an object or cluster is not allowed.",
		"namespace":        "An object is not in the namespace of its cluster.",
		"duplicate-name":   "A name that has to be unique in its list is used twice.",
		"deprecated":       "A form that EKS Anywhere has replaced by another.",
		"secret":           "A secret would be in Git in plain text.",
		"cli-annotation":   "An annotation that a command line tool writes for itself is in a file.",
		"force": "An annotation has Flux delete an object and create it again when a change of it is " +
			"refused.",
		"guard-lifted": "An annotation lifts one of EKS Anywhere's guards.",
		"not-pruned":   "An annotation keeps Flux from deleting what is taken out of Git.",
		"paused":       "An annotation keeps Flux or EKS Anywhere from acting on an object.",
		// Objects and how they hang together.
		"no-cluster":              "The files contain no cluster.",
		"foreign-object":          "An object of a kind that does not belong into EKS Anywhere's spec files.",
		"unreferenced":            "No cluster refers to the object.",
		"duplicate-object":        "An object is defined twice.",
		"dangling-reference":      "A reference points to an object that is not in the files.",
		"shared-object":           "Two clusters refer to an object that belongs to one of them.",
		"kind":                    "A reference is to an object of the wrong kind.",
		"management-cluster":      "The clusters of a run do not have the same management cluster.",
		"two-management-clusters": "A run has more than one management cluster.",
		"gitops-differs": "The GitOps settings of a workload cluster are not those of its management " +
			"cluster.",
		// Rules about settings.
		"git-provider":    "A FluxConfig has exactly one of github and git.",
		"repository-url":  "The address of the Git repository cannot be used.",
		"branch":          "Git or EKS Anywhere does not allow a branch of this name.",
		"path":            "A path leads out of the repository, or cannot be checked out everywhere.",
		"even-count":      "etcd needs an odd number of members.",
		"autoscaling":     "The bounds of a node group's autoscaling do not fit together.",
		"taints":          "Taints leave no node for what every cluster runs, or are not allowed.",
		"network":         "The cluster's network settings cannot work.",
		"versions":        "Versions do not go together.",
		"release":         "The release of EKS Anywhere does not come with it.",
		"rollout":         "The ways in which machines are upgraded cannot work.",
		"kubelet":         "A setting of the kubelet is EKS Anywhere's own.",
		"endpoint-twice":  "Two clusters have the same endpoint.",
		"license-twice":   "Two clusters have the same license token.",
		"feature-gate":    "A setting needs a feature that is switched off by default.",
		"etcd-encryption": "The settings of etcd encryption cannot work.",
		"packages":        "A setting of curated packages is in the wrong cluster.",
		"bottlerocket":    "A setting does not go together with the machine's operating system.",
		"cilium":          "The settings of Cilium cannot work.",
		"cloudstack":      "The CloudStack settings cannot work.",
		"docker":          "The Docker settings cannot work.",
		"nutanix":         "The Nutanix settings cannot work.",
		"snow":            "The Snow settings cannot work.",
		"tinkerbell":      "The Tinkerbell settings cannot work.",
		"vsphere":         "The vSphere settings cannot work.",
		// The management cluster's own verdict.
		"server-refused":   "The management cluster would refuse the object.",
		"server-namespace": "The object's namespace does not exist in the management cluster.",
		"server-kind":      "The management cluster has no such kind.",
		"server-no-answer": "The management cluster could not decide.",
	}
}

// hintFor gives the next thing to do where the problem itself does not say it.
func hintFor(p clusterspec.Problem, command string) string {
	switch {
	case p.Rule == "deprecated" && strings.HasPrefix(p.Object, "GitOpsConfig "):
		return "eksa-gitops convert -f FILE prints the file with a FluxConfig in its place"
	case p.Rule == "dangling-reference" && p.Suggestion == "" && command == "lint":
		return "the files that Flux applies of a fleet are read together; is the object in a file that no " +
			"kustomization lists?"
	case p.Rule == "dangling-reference" && p.Suggestion == "":
		return "all files of a run are read together; when the object is in another file, name that with a " +
			"further -f"
	case p.Rule == "server-refused" && strings.Contains(p.Message, "not declared in schema"):
		return "the EKS Anywhere in the management cluster does not know the field: is it older than what " +
			"the file is written for?"
	}
	return ""
}
