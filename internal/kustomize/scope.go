package kustomize

import "strings"

// NeedsNamespace says whether objects of a kind live in a namespace, so that one that names none cannot be
// applied. Of kinds that neither Kubernetes itself nor Flux defines that is not known here, and it says no.
func NeedsNamespace(apiVersion, kind string) bool {
	group, _, named := strings.Cut(apiVersion, "/")
	if !named {
		group = ""
	}
	switch {
	case strings.HasSuffix(group, ".toolkit.fluxcd.io"):
		return true
	case strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io"):
		return false
	}
	namespaced, known := isNamespaced(apiVersion, kind)
	return known && namespaced
}
