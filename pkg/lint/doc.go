// Package lint says what is wrong with the files of a GitOps repository, and what a change of them does:
// which clusters and objects of Flux it creates, changes and takes away. It reads a whole repository, as
// [Tree], and compares it with a base when there is one.
//
// One rule is one entry of [Rules]; what a single cluster file may say is the business of clusterspec, whose
// findings are passed on with their place in the repository. Where files are, layout knows; what Flux makes
// of them, fluxbuild.
//
// The package is pure: it reads the contents that a [Tree] offers and nothing else, and the same trees give
// the same report.
package lint
