package fluxinstall

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// RunningController is what runs of one of Flux's Deployments.
type RunningController struct {
	Name string
	// Images are those of the pods that are ready, each once, sorted; empty when none is.
	Images []string
}

// RunningControllers reads from Flux's pods which images of its controllers run. Who may not list pods is
// told what the Deployments say that have rolled out in full. Its errors are those of [Cluster.Inspect].
func (c *Cluster) RunningControllers(ctx context.Context, namespace string) ([]RunningController, error) {
	deployments, err := c.list(ctx, deploymentKind(), namespace,
		client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
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
			if pod.GetDeletionTimestamp() == nil && selects(selector, pod.GetLabels()) &&
				conditionOf(&pod, "Ready").Status == "True" {
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
		if fields["name"] == fluxmanifests.ManagerContainer {
			image, _ := fields["image"].(string)
			return image
		}
	}
	return ""
}
