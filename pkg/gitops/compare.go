package gitops

import (
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// gitOpsDifferences compares a live FluxConfig or GitOpsConfig spec with what a file says, field by field after defaulting, and
// describes each difference in a sentence.
func gitOpsDifferences(live map[string]any, file *clusterspec.GitOps) []string {
	flux := live
	provider, git := section(live, "github"), section(live, "git")
	namespaceField := "systemNamespace"
	if inner := section(live, "flux"); inner != nil {
		// GitOpsConfig nests the same settings under spec.flux.github and names one of them differently.
		flux = section(inner, "github")
		provider, git = flux, nil
		namespaceField = "fluxSystemNamespace"
	}
	var differences []string
	differ := func(field string, live, file any) {
		if fmt.Sprint(live) != fmt.Sprint(file) {
			differences = append(differences, fmt.Sprintf("%s is %q, the management cluster has %q", field, fmt.Sprint(file), fmt.Sprint(live)))
		}
	}
	differ("branch", orDefault(flux["branch"], "main"), file.Branch)
	differ("systemNamespace", orDefault(flux[namespaceField], "flux-system"), file.SystemNamespace)
	if path, set := flux["clusterConfigPath"]; set && path != "" {
		differ("clusterConfigPath", path, file.ClusterConfigPath)
	}
	switch {
	case file.GitHub != nil && provider != nil:
		differ("github.owner", provider["owner"], file.GitHub.Owner)
		differ("github.repository", provider["repository"], file.GitHub.Repository)
		differ("github.personal", orDefault(provider["personal"], false), file.GitHub.Personal)
	case file.Git != nil && git != nil:
		differ("git.repositoryUrl", git["repositoryUrl"], file.Git.RepositoryURL)
		// EKS Anywhere takes ecdsa when it is unset, but does not fill it in before it compares.
		differ("git.sshKeyAlgorithm", orDefault(git["sshKeyAlgorithm"], ""), file.Git.SSHKeyAlgorithm)
	default:
		differences = append(differences, "the Git provider (github or git) is not the management cluster's")
	}
	return differences
}

func section(object map[string]any, name string) map[string]any {
	inner, _ := object[name].(map[string]any)
	return inner
}

func orDefault(value, fallback any) any {
	if value == nil || value == "" {
		return fallback
	}
	return value
}
