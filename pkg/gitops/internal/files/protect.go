package files

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// planProtection adds to the kustomization of the management cluster's directory in Git what keeps Flux from
// deleting the cluster after a mistake there; see [layout.ProtectCluster]. Installations from before that,
// and directories that EKS Anywhere has written, have none.
func (p *Planner) planProtection(plan *Plan) error {
	if p.Management == nil {
		return nil
	}
	file := layout.PathsOf(p.Management).Kustomization
	before := plan.After[file]
	after, err := layout.ProtectCluster(before)
	if err != nil {
		return facts.Found(facts.AreaSpec.Finding(fmt.Sprintf("%s: %v", file, err),
			"repair the file in the repository"))
	}
	if bytes.Equal(before, after) {
		return nil
	}
	plan.After[file] = after
	plan.Notes = slices.DeleteFunc(plan.Notes, func(note string) bool {
		return note == unprotectedNote(file)
	})
	plan.Changes = append(plan.Changes,
		layout.FileChange{Path: file, Change: layout.FileModify, Before: before, After: after})
	return nil
}

// lacksProtection says whether a kustomization is from before this program wrote into it what keeps Flux from
// deleting the management cluster and itself.
func (p *Planner) lacksProtection(file string, before []byte) bool {
	if p.Management == nil {
		return false
	}
	var protected []byte
	var err error
	switch file {
	case layout.PathsOf(p.Management).Kustomization:
		if !bytes.Equal(bytes.TrimSpace(before), bytes.TrimSpace(layout.ClusterKustomization())) {
			return false // it is somebody's own, and told as such
		}
		protected, err = layout.ProtectCluster(before)
	case path.Join(layout.SystemDir(p.Facts.Config()), layout.KustomizationFile):
		protected, err = layout.ProtectSystem(before, p.Facts.Config().SystemNamespace)
	default:
		return false
	}
	return err == nil && !bytes.Equal(protected, before)
}

func unprotectedNote(file string) string {
	return file + " is kept as it is in Git, where a mistake can delete the management cluster or Flux; " +
		"eksa-gitops upgrade cluster adds what prevents that"
}
