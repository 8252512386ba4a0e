package eksctl

import (
	"slices"
	"strings"
)

// withheld are variables that the child has no need of: its file has no GitOps part, and the cluster it works
// with is named by flags.
var withheld = []string{
	"EKSA_GITHUB_TOKEN", "EKSA_GIT_PRIVATE_KEY", "EKSA_GIT_SSH_KEY_PASSPHRASE", "EKSA_GIT_KNOWN_HOSTS",
	"GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_ENTERPRISE_TOKEN",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "KUBECONFIG",
}

// ownPrefix begins the variables of this program.
const ownPrefix = "EKSA_GITOPS_"

// childEnvironment is the environment without what the child has no need of.
func childEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(withheld, name) || strings.HasPrefix(name, ownPrefix)
	})
}
