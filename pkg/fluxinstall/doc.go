// Package fluxinstall puts Flux onto a cluster and follows what it does there. It owns every contact with
// Kubernetes: the Secret that Flux's controllers read Git with, server-side apply, and waiting with the cause
// in plain words. It is the only importer of the Kubernetes client libraries. What is applied, fluxmanifests
// renders.
//
// # Cluster
//
// [Connect] reads a kubeconfig. [Cluster.Inspect] looks at everything once and writes nothing. The Ensure
// methods bring one thing each to the wanted state, write only a difference, and may be repeated; they take
// objects over the way the Flux CLI does, so that kustomize-controller manages them afterwards. The Wait
// methods watch, tell what they see, and end with the cause.
//
// # Failures
//
// Errors are typed and carry a Hint with the next action: [KubeconfigError], [UnreachableError],
// [ForbiddenError] (with the rule of the role that is missing), [RefusedError], [ConflictError],
// [NotReadyError]. What passes (a server that restarts, throttling, a conflict) is tried again with growing,
// jittered waits; an address that never answered is not. No error and no progress message holds what is
// private.
//
// # What it refuses
//
// To know a path inside the repository (the caller brings the files), to take anything over that it did not
// install, to rotate a credential that is there, and to log.
package fluxinstall
