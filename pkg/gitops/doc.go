// Package gitops turns EKS Anywhere cluster specs into clusters managed through Git: it knows the steps,
// their order and their invariants, and leaves every contact with the outside to the ports in ports.go, which
// pkg/connect makes of pkg/github, internal/gitrepo and pkg/fluxinstall.
//
// How steps are done or planned is pkg/gitops/step; what was seen, and what follows from it, is
// pkg/gitops/facts. What a person is told of a repository and its clusters without a run is
// pkg/gitops/status.
//
// # Invariants
//
//   - Nothing is written anywhere before every check that can be made by reading has passed.
//   - A sync object refers only to a pushed path and an existing Secret; the Secret's public key is
//     registered; Git holds a thing before the cluster does. The order of steps follows: repository, push,
//     Namespace and source Secret, deploy key, CRDs and controllers, sync objects, wait for the pushed
//     commit.
//   - State is observed, never remembered. Each step compares what is there with what should be and writes
//     the difference, so a run that was cut off anywhere is finished by running it again, and a run with
//     nothing to do writes nothing.
//   - From the first write on, a failure of the GitOps part does not stop a creation (the documented promise
//     of EKS Anywhere): it is recorded in the [Result] with its cause, and the rest goes on.
package gitops
