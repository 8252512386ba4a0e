package files

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// The API groups whose objects are looked at.
const (
	KustomizeGroup = "kustomize.toolkit.fluxcd.io"
	SourceGroup    = "source.toolkit.fluxcd.io"
)

var eksaGroup, _, _ = strings.Cut(clusterspec.APIVersion, "/")

// Consequences tells what Flux does, the Clusters first.
func (f *Forecast) Consequences() ([]Foreseen, error) {
	if f.Unbuilt != nil {
		return nil, nil
	}
	var all []Foreseen
	going, err := f.going()
	if err != nil {
		return nil, err
	}
	all = append(all, going...)
	for name, object := range f.is {
		c := of(name, "", object.File)
		if !c.IsCluster() {
			continue
		}
		before, was := f.was[name]
		switch {
		case f.liveCluster(name) != nil:
			if !was || before.File == "" || object.Same(before) {
				continue
			}
			c.Change, c.Asked = facts.ConsequenceChange, true
		case was && f.following, f.running && !f.following && !f.plan.ChangesFile(object.File):
			continue // Flux creates it by itself, as soon as it can
		default:
			c.Change = facts.ConsequenceCreate
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Foreseen) int {
		rank := func(c Foreseen) int {
			if c.IsCluster() {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Change, b.Change))
	})
	return all, nil
}

// going are the objects that Flux deletes.
func (f *Forecast) going() ([]Foreseen, error) {
	var names []fluxbuild.Name
	for name, object := range f.was {
		if _, stays := f.is[name]; stays || f.ofFlux(name) ||
			object.File != "" && fluxbuild.Kept(object.Fields()) {
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 || !f.prunes() {
		return nil, nil
	}
	var all, doubtful []Foreseen
	var unsure []fluxbuild.Name // whether they are there, and whose they are
	for _, name := range names {
		c := of(name, facts.ConsequenceDelete, f.was[name].File)
		switch {
		case c.IsCluster():
			live := f.liveCluster(name)
			if live == nil || live.KeptByFlux && live.Held == nil || live.Deleting {
				continue
			}
		case name.Group == eksaGroup && !(f.Asked != nil && f.Asked(&c, f.plan)):
			unsure, doubtful = append(unsure, name), append(doubtful, c)
			continue
		case name.Group != eksaGroup && len(f.Unseen) > 0 && c.File == "":
			continue // it may be among what is not looked at
		}
		all = append(all, c)
	}
	live, err := f.liveObjects(unsure)
	if err != nil {
		return nil, err
	}
	for _, c := range doubtful {
		if live != nil {
			object := live[fluxinstall.ObjectName{Kind: c.Name.Kind, Namespace: c.Name.Namespace,
				Name: c.Name.Name}]
			if object == nil || fluxbuild.Kept(object.Fields) {
				continue
			}
			c.Owner = ownerOf(object.Fields)
			c.Asked = f.Named != nil && f.Named(c.Owner)
		}
		all = append(all, c)
	}
	return all, nil
}

// prunes says whether Flux deletes what is no longer in Git, as its Kustomization has it after the run.
func (f *Forecast) prunes() bool {
	if f.settings.Prune != nil {
		return *f.settings.Prune
	}
	state := f.Facts.Cluster()
	return state != nil && state.Flux.Kustomization != nil && state.Flux.Kustomization.Prune
}

// ofFlux says whether an object is one of Flux's components, which change with its release, while others of
// them stay.
func (f *Forecast) ofFlux(name fluxbuild.Name) bool {
	namespace := f.Facts.Config().SystemNamespace
	if _, stays := f.is[fluxbuild.Name{Group: "apps", Kind: "Deployment", Namespace: namespace,
		Name: "kustomize-controller"}]; !stays {
		if _, there := f.was[fluxbuild.Name{Group: "apps", Kind: "Deployment", Namespace: namespace,
			Name: "kustomize-controller"}]; there {
			return false
		}
	}
	switch {
	case name.Namespace == namespace:
		return slices.Contains(
			[]string{"Deployment", "Service", "ServiceAccount", "NetworkPolicy", "ResourceQuota"}, name.Kind)
	case name.Kind == "CustomResourceDefinition":
		return strings.HasSuffix(name.Name, ".toolkit.fluxcd.io")
	case name.Kind == "ClusterRole" || name.Kind == "ClusterRoleBinding":
		return strings.HasSuffix(name.Name, "-"+namespace)
	}
	return false
}

// liveObjects reads objects of EKS Anywhere, by name; nil when the user has no right to see them.
func (f *Forecast) liveObjects(names []fluxbuild.Name) (map[fluxinstall.ObjectName]*fluxinstall.LiveObject,
	error) {
	live := map[fluxinstall.ObjectName]*fluxinstall.LiveObject{}
	if len(names) == 0 || f.Observer == nil {
		return live, nil
	}
	wanted := make([]fluxinstall.ObjectName, 0, len(names))
	for _, name := range names {
		wanted = append(wanted,
			fluxinstall.ObjectName{Kind: name.Kind, Namespace: name.Namespace, Name: name.Name})
	}
	objects, err := f.Observer.Objects(f.ctx, wanted)
	switch {
	case err != nil && facts.IsAccessError(err):
		return nil, nil // then all of them count
	case err != nil:
		return nil, fmt.Errorf("reading the objects that Flux would delete: %w", err)
	}
	for i, o := range objects {
		live[fluxinstall.ObjectName{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}] = &objects[i]
	}
	return live, nil
}

// liveCluster is a Cluster object as it was seen; nil when it is not there.
func (f *Forecast) liveCluster(name fluxbuild.Name) *fluxinstall.ClusterInfo {
	if f.Facts.Cluster() == nil {
		return nil
	}
	return f.Facts.Cluster().Cluster(name.Namespace, name.Name)
}

// ownerOf is the Cluster that an object of EKS Anywhere belongs to, as its controller notes it; zero without
// one.
func ownerOf(fields map[string]any) fluxbuild.Name {
	metadata, _ := fields["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	owners, _ := metadata["ownerReferences"].([]any)
	for _, entry := range owners {
		owner, _ := entry.(map[string]any)
		if name, _ := owner["name"].(string); owner["kind"] == "Cluster" && name != "" {
			return fluxbuild.Name{Group: eksaGroup, Kind: "Cluster", Namespace: namespace, Name: name}
		}
	}
	return fluxbuild.Name{}
}
