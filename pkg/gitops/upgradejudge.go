package gitops

import (
	"context"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/internal/files"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// drift is where the live objects differ from what is in Git and applied.
func (u *upgradeRun) drift(p *files.SpecPlan) []facts.Difference {
	snapshot := u.snapshot
	if snapshot == nil || !u.seen.Cluster().Applied(u.seen.Config().Branch, snapshot.Head()) {
		return nil
	}
	var found []facts.Difference
	for _, o := range p.Was {
		if facts.AppliedOnce(o) || !slices.Contains(clusterspec.Kinds(), o.Kind) {
			continue
		}
		for _, d := range facts.Differences(o, facts.FindLive(u.live, o.Kind, o.Namespace, o.Name)) {
			d.Cluster = p.Cluster.Name
			found = append(found, d)
		}
	}
	return found
}

// tell says what the run is about to change, before it does.
func (u *upgradeRun) tell() {
	u.tellFlux()
	for _, p := range u.specs {
		for _, note := range p.Notes {
			u.steps.Note(step.LevelWarning, note)
		}
		prefix := fmt.Sprintf("cluster %s: ", p.Cluster.Name)
		for _, c := range p.Changes {
			level := step.LevelInfo
			if c.Verdict != clusterspec.VerdictApplied {
				level = step.LevelWarning
			}
			u.steps.Note(level, "change of "+prefix+c.String())
		}
		for i, e := range p.Merged {
			text := "kept from Git, " + prefix + p.DescribeEdit(e)
			if i == 0 && len(p.Others) > 0 {
				text += ", by " + files.RevisionText(p.Others[0])
			}
			u.steps.Note(step.LevelInfo, text)
		}
		if len(p.Merged) > 0 && !u.asked.UpdateSources {
			u.steps.Note(step.LevelInfo,
				fmt.Sprintf("%s does not have what was kept from Git; --update-file writes it there",
					p.Ours.Name))
		}
		for _, d := range u.clusterResult(p.Cluster.Name).Drift {
			u.steps.Note(step.LevelWarning, "drift of "+prefix+d.String())
		}
	}
}

// judgeChanges asks the API server about every object that changes, and refuses what would not be applied.
// Where the server takes what EKS Anywhere's rules, as this program knows them, reject, the server knows
// better.
func (u *upgradeRun) judgeChanges(ctx context.Context, found *findings) error {
	for _, p := range u.specs {
		if !p.Changed() {
			continue
		}
		objects, err := p.ObjectsIn(ctx, u.snapshot)
		if err != nil {
			return fmt.Errorf("reading the files of cluster %s: %w", p.Cluster.Name, err)
		}
		fields := make([]map[string]any, 0, len(objects))
		for _, o := range objects {
			fields = append(fields, o.Fields)
		}
		verdicts, err := u.open.cluster.DryRunApply(ctx, fields)
		if err != nil {
			if facts.IsAccessError(err) {
				found.add(facts.AreaAccess, fmt.Errorf("asking the API server about the change: %w", err))
				continue
			}
			return fmt.Errorf("asking the API server about the change: %w", err)
		}
		if u.asReleased {
			for i := range verdicts {
				verdicts[i] = allowReference(verdicts[i])
			}
		}
		u.judgeOne(p, verdicts, found)
		u.checkMarks(p, objects, found)
	}
	return nil
}

// judgeOne turns the verdicts on a cluster's objects into findings: each rejected field once, in the words of
// the rules where they know it, else in the server's.
func (u *upgradeRun) judgeOne(p *files.SpecPlan, verdicts []fluxinstall.Verdict, found *findings) {
	refused := map[string]bool{}
	for _, v := range verdicts {
		object := v.Kind + " " + v.Name
		if v.Accepted() {
			continue
		}
		refused[object] = true
		if len(rejectedOf(p.Changes, object)) == 0 {
			found.addRefusal(p.Cluster.Name, v)
		}
	}
	u.refuseReplacement(p, found)
	for i, c := range p.Changes {
		if c.Verdict != clusterspec.VerdictRejected {
			continue
		}
		if !refused[c.Object] && c.Field != "" {
			p.Changes[i].Message = "the API server accepts it, although EKS Anywhere's rules say: " +
				c.Message
			p.Changes[i].Verdict = clusterspec.VerdictApplied
			continue
		}
		hint := ""
		if line := c.Line; line > 0 && !u.fromGit(p, c) {
			hint = fmt.Sprintf("give the field its old value in %s", p.Ours.Name)
		}
		found.addFinding(facts.AreaSpec.Finding(fmt.Sprintf("cluster %s: %s", p.Cluster.Name, c.String()),
			hint))
	}
	u.clusterResult(p.Cluster.Name).Changes = p.Changes
}

// fromGit says whether a change came from Git.
func (u *upgradeRun) fromGit(p *files.SpecPlan, c clusterspec.Change) bool {
	return slices.ContainsFunc(p.Merged, func(e clusterspec.MergeEdit) bool {
		return e.Object == c.Object && e.Field == c.Field
	})
}

func rejectedOf(changes []clusterspec.Change, object string) []clusterspec.Change {
	return slices.DeleteFunc(clusterspec.WithVerdict(changes, clusterspec.VerdictRejected),
		func(c clusterspec.Change) bool { return c.Object != object })
}

// checkMarks finds objects that change and that Flux is told to leave alone.
func (u *upgradeRun) checkMarks(p *files.SpecPlan, objects []facts.GitObject, found *findings) {
	for _, o := range objects {
		live := facts.FindLive(u.live, o.Kind, o.Namespace, o.Name)
		if live == nil || len(facts.Differences(o, live)) == 0 {
			continue
		}
		for _, pause := range live.Pauses {
			if pause.StopsFlux() {
				found.addFinding(facts.AreaCluster.Finding(
					fmt.Sprintf("cluster %s: %s is %s, so that Flux would not apply the change",
						p.Cluster.Name, pause.Object, pause.Describe()),
					pause.Resume))
			}
		}
	}
}
