package status_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// TestJudge_controllersOfAnotherRelease: a label that says v2.9.4 is not believed where the image says
// otherwise.
func TestJudge_controllersOfAnotherRelease(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]struct {
		version, problem, note string
		fit                    fluxmanifests.Fit
	}{
		"ghcr.io/fluxcd/source-controller:v1.9.4": {version: "v2.9.4", fit: fluxmanifests.FitSame},
		"public.ecr.aws/x/fluxcd/source-controller:v1.9.0-eks-a-v0.26.0": {version: "v2.9.4",
			fit: fluxmanifests.FitSame},
		"public.ecr.aws/x/fluxcd/source-controller:v0.36.1-eks-a-22": {problem: "it runs v0.36.1-eks-a-22 " +
			"(public.ecr.aws/x/fluxcd/source-controller:v0.36.1-eks-a-22), and Flux's definitions are of " +
			"v2.9.4",
			fit: fluxmanifests.FitOlder},
		"ghcr.io/fluxcd/source-controller:v1.10.1": {
			note: "source-controller runs v1.10.1, which is newer than Flux v2.9.4",
			fit:  fluxmanifests.FitNewer},
		"public.ecr.aws/x/fluxcd/source-controller:v1.10.0-eks-a-v0.27": {version: "v2.9.4",
			fit: fluxmanifests.FitNewer},
		"registry.example.com/source-controller@sha256:0123": {version: "v2.9.4",
			note: "of which it cannot be told whether it is of Flux v2.9.4", fit: fluxmanifests.FitUnknown},
	} {
		o := well()
		o.Survey.Flux.Controllers = []fluxinstall.ControllerState{{Name: "source-controller", Image: image,
			Available: true}}
		report, err := status.Judge(o)
		if err != nil {
			t.Fatal(err)
		}
		if report.Flux.Version != want.version || report.Flux.Controllers[0].Fit != want.fit ||
			report.Healthy != (want.problem == "") {
			t.Errorf("%s: %+v, problems %+v", image, report.Flux, report.Problems)
		}
		if want.problem != "" && (len(report.Problems) != 1 || report.Problems[0].Message != want.problem ||
			report.Problems[0].Object != "Deployment flux-system/source-controller" ||
			report.Problems[0].Next == "") {
			t.Errorf("%s: problems %+v", image, report.Problems)
		}
		notes := ""
		for _, note := range report.Notes {
			notes += note.String()
		}
		if want.note == "" && notes != "" ||
			!strings.Contains(notes, want.note) {
			t.Errorf("%s: notes %s", image, notes)
		}
	}
}
