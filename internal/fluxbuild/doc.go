// Package fluxbuild finds out what Flux's kustomize-controller makes of a directory of a repository: which
// objects it would apply, each with the file that it is from. It writes nothing and fetches nothing.
//
// What it goes by is the controller's documentation (Kustomization, "Generate kustomization.yaml" and the
// fields that change what is built) and its package fluxcd/pkg/kustomize.
package fluxbuild
