package fluxmanifests

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
)

// Fit says whether an image of a controller belongs to a release of Flux.
type Fit string

// The fits. A controller of another minor release than the one that Flux's definitions are of works with
// definitions that it does not know, or lacks some that it needs.
const (
	FitSame  Fit = "same"  // of the release's minor release, whatever patch or build it is
	FitOlder Fit = "older" // of an older minor release
	FitNewer Fit = "newer" // of a newer one
	// the image has no version for its tag, or it is not known which one the release has
	FitUnknown Fit = "unknown"
)

// imageRelease is how the tag of an image of Flux begins: EKS Anywhere and others add to it
// (v1.9.0-eks-a-v0.26.0).
var imageRelease = regexp.MustCompile(`^v?(\d{1,3})\.(\d{1,3})\.\d{1,3}(\D|$)`)

// minorOf is the major and minor number of a version.
func minorOf(version string) (major, minor int, ok bool) {
	found := imageRelease.FindStringSubmatch(version)
	if found == nil {
		return 0, 0, false
	}
	major, _ = strconv.Atoi(found[1])
	minor, _ = strconv.Atoi(found[2])
	return major, minor, true
}

// ControllerFit holds the image of a controller, the name of whose Deployment is given, against a release of
// Flux. expected is what the release has as far as that is known: the controller's version for the release
// that this program brings, v1.N for the source- and the kustomize-controller of any v2.N.
func ControllerFit(release, controller, image string) (fit Fit, expected string) {
	releaseMajor, releaseMinor, ok := minorOf(release)
	if !ok {
		return FitUnknown, ""
	}
	ownMajor, ownMinor, _ := minorOf(Version)
	if releaseMajor == ownMajor && releaseMinor == ownMinor {
		expected = ImageVersion(releaseImages()[controller])
	}
	if expected == "" && releaseMajor == 2 && slices.Contains(RequiredControllers(), controller) {
		expected = fmt.Sprintf("v1.%d.0", releaseMinor)
	}
	major, minor, ok := minorOf(ImageVersion(image))
	if !ok {
		return FitUnknown, expected
	}
	wantMajor, wantMinor, known := minorOf(expected)
	switch {
	case !known && releaseMajor >= 2 && major == 0:
		return FitOlder, expected // all controllers of Flux 2 have left 0 behind
	case !known:
		return FitUnknown, expected
	case major == wantMajor && minor == wantMinor:
		return FitSame, expected
	case major < wantMajor || major == wantMajor && minor < wantMinor:
		return FitOlder, expected
	}
	return FitNewer, expected
}

// releaseImages are the images of the release that this program brings, by the names of the Deployments.
var releaseImages = sync.OnceValue(func() map[string]string {
	components, err := Components(context.Background(), ComponentsOptions{})
	if err != nil {
		return nil
	}
	_, images, _ := ComponentVersion(components)
	return images
})
