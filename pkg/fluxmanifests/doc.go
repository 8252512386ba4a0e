// Package fluxmanifests renders and reads Flux's own files. [Components] and [Sync] return those that `flux
// bootstrap` writes, of one pinned Flux release ([Version]). `go generate` makes them from the controllers'
// own modules and the build embeds them; a program built without them downloads the release when it needs it.
//
// The other functions say what such a file is: which release with which images ([ComponentVersion]), with
// which options it was generated ([GeneratedFrom]), what differs between two ([CompareComponents]), what
// Flux's folder builds to ([BuildSystem]), and whether an image belongs to a release ([ControllerFit]).
//
// It knows no cluster, and no path inside the repository: the caller brings the files.
package fluxmanifests

//go:generate go run ./internal/genmanifests manifests
