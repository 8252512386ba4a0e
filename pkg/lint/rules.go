package lint

// Rule is one thing that [CheckRepository] looks for, beside the rules of clusterspec.
type Rule struct {
	Name    string
	Summary string // a sentence
}

// Rules lists the rules of a repository in the order of their documentation.
func Rules() []Rule {
	return []Rule{
		// Where the clusters are.
		{"no-clusters", "There is no cluster in the repository or in the directory that was asked for."},
		{"directory-name", "The name of a cluster is not that of its directory."},
		{"misplaced", "A cluster is not where EKS Anywhere looks for it."},
		{"two-clusters", "A second cluster in one file, which EKS Anywhere refuses to read."},
		{"spec-missing", "A cluster's directory has no eksa-cluster.yaml, or no Cluster is in it."},
		{"no-management-cluster", "The management cluster of a fleet has no directory."},
		{"no-gitops", "A cluster in the repository has no gitOpsRef."},
		{"config-path", "The clusterConfigPath of a cluster is not where its fleet is."},
		{"system-namespace", "The systemNamespace of a cluster is not that of its fleet's Flux."},
		{"nested-fleet", "A fleet lies below the path of another, whose Flux applies its files, too."},
		{"case-collision", "Two names differ only in upper and lower case."},
		// What Flux builds.
		{"kustomization", "A kustomization.yaml that kustomize refuses."},
		{"kustomization-missing", "A cluster's directory has no kustomization.yaml."},
		{"kustomization-cycle", "A kustomization lists a directory that it is in."},
		{"spec-not-listed", "The kustomization beside a cluster's eksa-cluster.yaml does not list it."},
		{"missing-resource", "A kustomization lists a file or directory that is not there."},
		{"listed-twice", "A kustomization lists a resource twice."},
		{"outside-repository", "A kustomization lists a path that leads out of the repository."},
		{outsideRule, "Flux needs something that lies outside of what it fetches of the repository " +
			"(`spec.sparseCheckout`)."},
		{"unlisted-file", "No kustomization lists a YAML file beside a cluster's spec."},
		{"not-applied", "No kustomization leads to a file that Flux shall apply."},
		{"not-kubernetes", "Flux would read a YAML file that is not a Kubernetes object."},
		{"symlink", "A symbolic link, which Flux does not fetch."},
		{"submodule", "A submodule, whose files Flux does not fetch."},
		{"ignored-file", "Git ignores a file that Flux needs, or Flux leaves it out."},
		{filterRule, "Git stores something else of a file that Flux needs: a pointer of Git LFS, or what " +
			"another filter makes of it."},
		{"conflict-marker", "A file contains the marks of a merge that was not finished."},
		{"namespace-missing", "An object has no namespace, and Flux does not set one."},
		{encryptedRule, "A Secret is encrypted with SOPS, and Flux does not decrypt it."},
		{"cluster-transformed",
			"A kustomization gives a cluster another name or namespace than its file says."},
		{"not-looked-at", "What Flux makes of a directory is not known here."},
		{"kustomization-deprecated", "A kustomization has a field that kustomize has replaced by another."},
		// The apps of clusters.
		{"apps-target", "A cluster's apps are applied to another cluster."},
		{"apps-path",
			"A cluster's apps are not applied, because they are not where their Flux Kustomization looks."},
		// Flux's own files.
		{"flux-missing", "A management cluster's fleet has none of Flux's own files."},
		{"flux-incomplete", "Something of Flux's own files is missing, empty or not listed."},
		{"flux-namespace", "Flux's objects are not in the namespace that its directory is named after."},
		{"flux-path", "Flux applies another path than the one that its files are in."},
		{"flux-source", "Flux follows another repository or branch than the spec says, or none."},
		{"flux-prune", "Flux deletes nothing that is taken out of the repository."},
		{"flux-suspended", "Flux is suspended."},
		{unservedRule,
			"An object of Flux's has a version that the definitions in gotk-components.yaml do not serve."},
		{imageRule,
			"A controller of Flux is of another release than the definitions in gotk-components.yaml."},
		{"two-flux", "Two Flux installations for one path."},
		// What a change does.
		{"change-applied", "A change that EKS Anywhere or Flux applies."},
		{"change-ignored", "A change that has no effect."},
		{"change-rejected", "A change that EKS Anywhere refuses."},
		{"change-replaces", "A change of what an object is, by which Flux deletes it and creates another."},
		{"cluster-replaced", "A cluster gets another identity, by which Flux deletes it with all its " +
			"machines and creates another."},
		{"cluster-created", "A cluster is created, or a management cluster comes under GitOps."},
		{"cluster-deleted", "A cluster is deleted with all its machines."},
		{"cluster-renamed", "A cluster gets another name, which deletes it and creates another."},
		{"cluster-moved", "A cluster goes to another fleet, which deletes it and creates it again."},
		{"management-deleted", "A management cluster is taken out of its fleet."},
		{"flux-changed", "A change of Flux's objects with consequences."},
		{"flux-replaced",
			"One of Flux's objects gets another identity, by which Flux deletes it and creates another."},
		{"flux-deleted", "One of Flux's objects is taken away."},
		{"flux-removed", "Flux's own files are taken away."},
		{"fleet-removed", "A whole fleet is taken out of the repository."},
	}
}
