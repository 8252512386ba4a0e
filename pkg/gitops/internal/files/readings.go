package files

import (
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// CheckReadings makes sure that what a plan writes means to EKS Anywhere, Flux and Kubernetes what it means
// here: they read YAML with another library. The installation of Flux that the program carries is known to (a
// test looks), and takes longer to read than all else. The error is a *facts.FoundError.
func CheckReadings(plan *Plan, systemNamespace string) error {
	var wrong []facts.Finding
	for _, c := range plan.Changes {
		if c.Change == layout.FileDelete || !layout.IsManifest(c.Path) && !layout.IsKustomization(c.Path) {
			continue
		}
		if path.Base(c.Path) == layout.ComponentsFile && fluxmanifests.Carried(c.After, systemNamespace) {
			continue
		}
		for _, problem := range clusterspec.CheckReadings(clusterspec.Source{Name: c.Path, Data: c.After}) {
			wrong = append(wrong, facts.AreaSpec.Finding(
				fmt.Sprintf("YAML readers do not agree on what would be written: %s", problem),
				"change that in your file, or in the repository where it comes from there, and run the "+
					"same command again"))
		}
	}
	return facts.Found(wrong...)
}
