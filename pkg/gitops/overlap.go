package gitops

import (
	"errors"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// overlapError says that files and Git changed the same fields, each in its own way, and that nobody said
// which one wins.
type overlapError struct{ plans []*specPlan }

func (e *overlapError) Error() string {
	var all []string
	for _, p := range e.plans {
		for _, c := range p.conflicts {
			all = append(all, p.describeConflict(c))
		}
	}
	return strings.Join(all, "; ")
}

func (e *overlapError) Hint() string {
	return "put Git's value into the file to keep it, or run the command with --overwrite to use the " +
		"file's value"
}

// asFindings gives an error that is about the files as findings; none for others.
func (u *upgradeRun) asFindings(err error) []facts.Finding {
	if overlap := new(overlapError); errors.As(err, &overlap) {
		var list []facts.Finding
		for _, p := range overlap.plans {
			for i, c := range p.conflicts {
				f := facts.Finding{Area: facts.AreaSpec, Message: p.describeConflict(c)}
				if i == len(p.conflicts)-1 {
					f.Hint = overlap.Hint()
				}
				list = append(list, f)
			}
		}
		return list
	}
	if changed := new(sourceChangedError); errors.As(err, &changed) {
		return []facts.Finding{facts.AreaLocal.Finding(changed.Error(), changed.Hint())}
	}
	if taken := new(takenOutError); errors.As(err, &taken) {
		return []facts.Finding{facts.AreaSpec.Finding(taken.Error(), taken.Hint())}
	}
	if broken := new(unreadableError); errors.As(err, &broken) {
		return []facts.Finding{facts.AreaSpec.Finding(broken.Error(), broken.Hint())}
	}
	if found := new(facts.FoundError); errors.As(err, &found) {
		return found.Findings
	}
	if refusal, ok := asRefusal(err); ok {
		return []facts.Finding{refusal}
	}
	if conflict := new(conflictError); errors.As(err, &conflict) {
		conflict.upgrade = true
		return []facts.Finding{facts.AreaSpec.Finding(conflict.Error(), conflict.Hint())}
	}
	var problems clusterspec.Problems
	if errors.As(err, &problems) {
		var list []facts.Finding
		for _, p := range problems {
			list = append(list,
				facts.Finding{Area: facts.AreaSpec, Message: "of the file as it would be in Git: " +
					p.String()})
		}
		return list
	}
	return nil
}
