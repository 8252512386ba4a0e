package layout

// ClusterKustomization is the kustomization of every cluster's directory.
func ClusterKustomization() []byte {
	return []byte("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- " + SpecFile + "\n")
}
