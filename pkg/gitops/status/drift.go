package status

import (
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// drift compares what was read of Git with what is in the cluster.
func (o *Observation) drift() []facts.Difference {
	if o.Git == nil || o.LiveErr != nil || o.Brief {
		return nil
	}
	live := make(map[fluxinstall.ObjectName]*fluxinstall.LiveObject, len(o.Live))
	for i, object := range o.Live {
		live[fluxinstall.ObjectName{Kind: object.Kind, Namespace: object.Namespace, Name: object.Name}] =
			&o.Live[i]
	}
	kinds := clusterspec.Kinds()
	pending := !o.upToDate()
	var found []facts.Difference
	for i := range o.Git.Clusters {
		c := &o.Git.Clusters[i]
		for _, object := range c.Objects {
			if !slices.Contains(kinds, object.Kind) || facts.AppliedOnce(object) {
				continue
			}
			if object.Kind == "Cluster" && live[facts.NameOf(object)] == nil {
				// The state of the cluster says so, and all else of it is missing too.
				break
			}
			for _, d := range facts.Differences(object, live[facts.NameOf(object)]) {
				d.Cluster, d.Pending = c.Name, pending
				found = append(found, d)
			}
		}
	}
	for _, object := range o.Git.Sync {
		for _, actual := range o.Survey.Sync {
			if actual.Kind == object.Kind && actual.Name == object.Name &&
				actual.Namespace == object.Namespace {
				for _, d := range facts.Differences(object, &actual) {
					d.Pending = pending
					found = append(found, d)
				}
			}
		}
	}
	return found
}
