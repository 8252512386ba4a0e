package status

import (
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// judgeReleases holds the controllers against the release of Flux that their labels, and so its definitions,
// are of. An image that a patch has kept makes the two differ, and then the label says what does not run.
func (j *judge) judgeReleases() {
	f, release := j.report.Flux, j.Survey.Flux.Version
	for i := range f.Controllers {
		c := &f.Controllers[i]
		if c.Image == "" || release == "" {
			continue
		}
		fit, expected := fluxmanifests.ControllerFit(release, c.Name, c.Image)
		c.Fit = fit
		switch {
		case fit == fluxmanifests.FitOlder:
			f.Version = ""
			j.problem(Problem{
				Object: fmt.Sprintf("Deployment %s/%s", j.Survey.Namespace, c.Name),
				Message: fmt.Sprintf("it runs %s (%s), and Flux's definitions are of %s",
					c.Version, c.Image, release),
				Cause: "an older controller does not know these definitions: something in the repository " +
					"keeps its image, such as gotk-patches.yaml or a patch in the kustomization of Flux's " +
					"directory",
				Next: "in a clone of the repository, see where that is: " + hint.Lint.Hint(),
			})
		// EKS Anywhere's own bundles may be ahead of its flux command
		case fit == fluxmanifests.FitNewer && !strings.Contains(c.Image, "-eks-a-"):
			f.Version = ""
			j.note("%s runs %s, which is newer than Flux %s, of which the definitions are",
				c.Name, c.Version, release)
		case fit == fluxmanifests.FitUnknown && expected != "":
			j.note("%s runs image %s, of which it cannot be told whether it is of Flux %s",
				c.Name, c.Image, release)
		}
	}
}
