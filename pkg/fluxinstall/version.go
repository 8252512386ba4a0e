package fluxinstall

import "github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall/internal/release"

// Version is the Flux release that is installed: the version of module github.com/fluxcd/flux2/v2 that the program is built with.
const Version = release.Version
