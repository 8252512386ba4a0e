package fluxinstall

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Fit says whether an image of a controller belongs to a release of Flux.
type Fit string

// The fits. A controller of another minor release than the one that Flux's definitions are of works with definitions that it does not know, or
// lacks some that it needs.
const (
	FitSame    Fit = "same"    // of the release's minor release, whatever patch or build it is
	FitOlder   Fit = "older"   // of an older minor release
	FitNewer   Fit = "newer"   // of a newer one
	FitUnknown Fit = "unknown" // the image has no version for its tag, or it is not known which one the release has
)

// imageRelease is how the tag of an image of Flux begins: EKS Anywhere and others add to it (v1.9.0-eks-a-v0.26.0).
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

// ControllerFit holds the image of a controller, the name of whose Deployment is given, against a release of Flux. expected is what the release
// has as far as that is known: the controller's version for the release that this program brings, v1.N for the source- and the
// kustomize-controller of any v2.N.
func ControllerFit(release, controller, image string) (fit Fit, expected string) {
	releaseMajor, releaseMinor, ok := minorOf(release)
	if !ok {
		return FitUnknown, ""
	}
	ownMajor, ownMinor, _ := minorOf(Version)
	if releaseMajor == ownMajor && releaseMinor == ownMinor {
		expected = ImageVersion(releaseImages()[controller])
	}
	if expected == "" && releaseMajor == 2 && slices.Contains(requiredControllers(), controller) {
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

// RunningController is what runs of one of Flux's Deployments.
type RunningController struct {
	Name string
	// Images are those of the pods that are ready, each once, sorted; empty when none is.
	Images []string
}

// RunningControllers reads from Flux's pods which images of its controllers run. Who may not list pods is told what the Deployments say that
// have rolled out in full. Its errors are those of [Cluster.Inspect].
func (c *Cluster) RunningControllers(ctx context.Context, namespace string) ([]RunningController, error) {
	deployments, err := c.list(ctx, deploymentKind(), namespace, client.MatchingLabels{partOfLabel: "flux"})
	if err != nil {
		return nil, err
	}
	pods, podErr := c.list(ctx, podKind(), namespace)
	if ignoreForbidden(podErr) != nil {
		return nil, podErr
	}
	var running []RunningController
	for _, deployment := range deployments {
		controller := RunningController{Name: deployment.GetName()}
		selector, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
		for _, pod := range pods {
			if pod.GetDeletionTimestamp() == nil && selects(selector, pod.GetLabels()) && conditionOf(&pod, "Ready").Status == "True" {
				controller.Images = append(controller.Images, managerImage(&pod, "spec", "containers"))
			}
		}
		if podErr != nil && rolledOut(&deployment) {
			controller.Images = []string{controllerState(&deployment).Image}
		}
		slices.Sort(controller.Images)
		controller.Images = slices.Compact(controller.Images)
		running = append(running, controller)
	}
	slices.SortFunc(running, func(a, b RunningController) int { return strings.Compare(a.Name, b.Name) })
	return running, nil
}

// managerImage is the image of the container that runs the controller, in a list of containers.
func managerImage(u *unstructured.Unstructured, path ...string) string {
	containers, _, _ := unstructured.NestedSlice(u.Object, path...)
	for _, container := range containers {
		fields, _ := container.(map[string]any)
		if fields["name"] == managerContainer {
			image, _ := fields["image"].(string)
			return image
		}
	}
	return ""
}
