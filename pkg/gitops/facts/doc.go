// Package facts is what has been seen of a Git host, a repository, a management cluster and Flux, and what
// follows from it: which repository it is, whether Flux is at work, what has been lost, and in what the
// cluster is not as Git says.
//
// It reads through ports that cannot write, and it decides nothing: what has to be put right before a run can
// do its work is a [Finding], what a run does about a fact is pkg/gitops, what a person is told of it is
// pkg/gitops/status.
package facts
