package gitops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// What hangs or sleeps in the management cluster. A run that writes to Git, or starts Flux, sets off what
// waits there: a Kustomization whose deletion has begun takes all that it has applied along as soon as its
// controller runs. So this is looked at before anything is written.

// deletionFinding tells of a deletion that is under way.
func deletionFinding(d *fluxinstall.Deletion) facts.Finding {
	return facts.AreaCluster.Finding(fmt.Sprintf("%s: %s: %s", d.Object(), d.Describe(), d.Meaning()),
		d.Next().String())
}

// checkHanging finds deletions under way that a run would set off, or that take away what it works on.
func (r *run) checkHanging(state *fluxinstall.State) []facts.Finding {
	var wrong []facts.Finding
	for i := range state.Deletions {
		if d := &state.Deletions[i]; r.hinders(state, d) {
			wrong = append(wrong, deletionFinding(d))
		}
	}
	return wrong
}

// hinders says whether a deletion is in the way. Those of other clusters, and of other Kustomizations while
// their controller runs, go on whatever the run does.
func (r *run) hinders(state *fluxinstall.State, d *fluxinstall.Deletion) bool {
	namespace := r.seen.Config().SystemNamespace
	switch d.Kind {
	case "Kustomization":
		return d.Namespace == namespace && d.Name == namespace || d.Asleep != "" && len(d.Takes) > 0
	case "Namespace":
		// An empty one is gone in a moment, which a run that creates it again waits for.
		return state.Flux.GitRepository != nil || state.Flux.Kustomization != nil ||
			len(state.Flux.Controllers) > 0
	case "FluxConfig", "GitOpsConfig":
		live := state.GitOpsConfigOf(r.seen.ManagementCluster())
		return live != nil && live.Kind == d.Kind && live.Namespace == d.Namespace && live.Name == d.Name
	case "Cluster":
		return d.Management && d.Name == r.seen.ManagementCluster()
	}
	return true
}

// checkAsleep finds why Flux would not do what a run pushes: it is suspended, or nobody wants its controllers
// to run. What a detachment that was broken off has stopped, a run that looks after Flux starts again.
func (r *run) checkAsleep(state *fluxinstall.State) []facts.Finding {
	var wrong []facts.Finding
	flux := &state.Flux
	namespace := r.seen.Config().SystemNamespace
	if git := flux.GitRepository; git != nil && git.Suspended && !(git.Stopped && r.keepsFlux) {
		wrong = append(wrong, suspendedFinding("GitRepository", namespace, git.Name))
	}
	if ks := flux.Kustomization; ks != nil && ks.Suspended && !(ks.Stopped && r.keepsFlux) {
		wrong = append(wrong, suspendedFinding("Kustomization", namespace, ks.Name))
	}
	if r.keepsFlux {
		return wrong // it starts them, and says so
	}
	for _, name := range sleeping(flux) {
		wrong = append(wrong, facts.AreaCluster.Finding(fmt.Sprintf(
			"%s in namespace %s is scaled to zero, so that Flux would not apply the change", name, namespace),
			text.Command("to start it again: kubectl -n %s scale deployment %s --replicas=1",
				namespace, name)))
	}
	return wrong
}

// sleeping are the controllers that fetch and apply, as far as they are scaled to zero. Another one that is
// so is that in Git.
func sleeping(flux *fluxinstall.FluxState) []string {
	var names []string
	for _, c := range flux.Controllers {
		if c.Asleep && slices.Contains([]string{"source-controller", "kustomize-controller"}, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// noteAsleep says which controllers this run starts again.
func (r *run) noteAsleep() {
	if names := sleeping(&r.seen.Cluster().Flux); len(names) > 0 {
		r.steps.Note(step.LevelWarning,
			fmt.Sprintf("%s in namespace %s: scaled to zero; this run starts them as Flux's files in Git say",
				strings.Join(names, ", "), r.seen.Config().SystemNamespace))
	}
}

// checkLeaving finds clusters of the run that are being deleted: a file that is pushed now has Flux build the
// cluster anew when it is gone.
func (r *clustersRun) checkLeaving(found *findings) {
	if r.seen.Cluster() == nil {
		return
	}
	for _, c := range r.managed {
		for i := range r.seen.Cluster().Deletions {
			d := &r.seen.Cluster().Deletions[i]
			if c.Role() == clusterspec.RoleWorkload && d.Kind == "Cluster" && d.Namespace == c.Namespace &&
				d.Name == c.Name {
				found.addFinding(facts.AreaCluster.Finding(
					fmt.Sprintf("cluster %s is being deleted: %s", c.Name, d.Meaning()), d.Next().String()))
			}
		}
	}
}

// checkHanging is that of a run, but for a detachment: what it takes off the cluster may be going already, as
// long as nothing else goes with it.
func (d *deleteRun) checkHanging(state *fluxinstall.State) []facts.Finding {
	if !d.detaches {
		return d.run.checkHanging(state)
	}
	var wrong []facts.Finding
	namespace := d.seen.Config().SystemNamespace
	for i := range state.Deletions {
		// Of other Kustomizations it takes the finalizers off while no controller runs.
		deletion := &state.Deletions[i]
		if deletion.Kind == "Kustomization" && deletion.Namespace == namespace &&
			deletion.Name == namespace && len(deletion.Takes) > 0 {
			wrong = append(wrong, deletionFinding(deletion))
		}
	}
	return wrong
}
