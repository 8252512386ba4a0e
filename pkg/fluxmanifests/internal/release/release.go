// Package release names the Flux release that the program is built for, apart from everything that needs much
// to compile, so that the generator of its manifests builds quickly.
package release

// Version is the release; module github.com/fluxcd/flux2/v2 has the same version in go.mod.
const Version = "v2.9.4"

// Marker is the file that the generator writes last; its first line is the version that the other files are
// of.
const Marker = ".complete"

// Default is the file that holds gotk-components.yaml as the default options give it.
const Default = "gotk-components.yaml"
