// Package layout turns clusters into the files of a GitOps repository. It is the only package that knows a
// path inside the repository.
//
// Under P, the clusterConfigPath of the GitOps configuration, it is
//
//	P/<system namespace>/{gotk-components,gotk-sync,kustomization}.yaml Flux, of management clusters only
//	P/<cluster>/eksa-system/{eksa-cluster,kustomization}.yaml           every cluster
//
// which is the layout of EKS Anywhere, with Flux's files as `flux bootstrap` names and writes them; either
// tool can take over.
//
// The package is pure: same input, same bytes. Every path it returns is relative, in slash form, and stays
// below the root of the repository, whatever the clusters hold.
package layout
