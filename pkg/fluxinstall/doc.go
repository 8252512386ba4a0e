// Package fluxinstall puts Flux onto a cluster and follows what it does there. It owns every contact with Kubernetes: the manifests
// of Flux's controllers, the Secret they read Git with, server-side apply, and waiting with the cause in plain words. It is the only
// importer of the Kubernetes client libraries.
//
// The manifests are those of one pinned Flux release ([Version]). `go generate` makes them from the controllers' own modules and the
// build embeds them; a program built without them downloads the release when it needs it.
//
// What it refuses: to know a path inside the repository (the caller brings the files), to take anything over that it did not
// install, and to rotate a credential that is there.
package fluxinstall

//go:generate go run ./internal/genmanifests manifests
