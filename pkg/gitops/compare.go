package gitops

import (
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// gitOpsDifference is a field of a live FluxConfig or GitOpsConfig that a file has otherwise.
type gitOpsDifference struct {
	field      string // empty: the Git provider
	live, file string
	names      bool // whether the field is a part of the repository's name
}

// String describes the difference.
func (d gitOpsDifference) String() string {
	if d.field == "" {
		return "the Git provider (github or git) is not the management cluster's"
	}
	return fmt.Sprintf("%s is %q, the management cluster has %q", d.field, d.file, d.live)
}

// gitOpsDifferences compares a live FluxConfig or GitOpsConfig spec with what a file says, field by field
// after defaulting. It compares texts, as EKS Anywhere does.
func gitOpsDifferences(live map[string]any, file *clusterspec.GitOps) []gitOpsDifference {
	flux := live
	provider, git := section(live, "github"), section(live, "git")
	namespaceField := "systemNamespace"
	if inner := section(live, "flux"); inner != nil {
		// GitOpsConfig nests the same settings under spec.flux.github and names one of them differently.
		flux = section(inner, "github")
		provider, git = flux, nil
		namespaceField = "fluxSystemNamespace"
	}
	var differences []gitOpsDifference
	differ := func(field string, live, file any) {
		if fmt.Sprint(live) != fmt.Sprint(file) {
			differences = append(differences, gitOpsDifference{
				field: field, live: fmt.Sprint(live), file: fmt.Sprint(file),
				names: field == "github.owner" || field == "github.repository",
			})
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
		differences = append(differences, gitOpsDifference{})
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
