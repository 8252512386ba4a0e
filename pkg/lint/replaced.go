package lint

import (
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// replaceDeliberately is the way to what somebody may have wanted who gave a cluster another identity.
const replaceDeliberately = "the identity as it was; to have another cluster, delete this one in a commit " +
	"of its own and then create the other"

// renames says of clusters that are in one state only, and are probably meant to be one, what happens to
// each.
func (p *pair) renames(old, current map[string]*clusterspec.Cluster) map[string]string {
	out := map[string]string{}
	for _, name := range sortedKeys(old) {
		if current[name] != nil {
			continue
		}
		if other := renamedTo(old[name], old, current); other != nil {
			out[name] = fmt.Sprintf("Flux deletes the cluster with all its machines and creates cluster %s",
				other.Name)
			out[other.Name] = fmt.Sprintf("Flux creates the cluster in the place of cluster %s, which it "+
				"deletes with all its machines", name)
		} else if p.otherObject(old[name]) {
			out[name] = "Flux deletes the cluster with all its machines and creates an object of another " +
				"kind or group"
		}
	}
	return out
}

// renamedTo is the new cluster that a cluster which is gone has probably become; nil for none.
func renamedTo(c *clusterspec.Cluster, old, current map[string]*clusterspec.Cluster) *clusterspec.Cluster {
	for _, other := range sortedKeys(current) {
		if old[other] == nil && sameCluster(c, current[other]) {
			return current[other]
		}
	}
	return nil
}

// otherObject says whether a cluster that is gone has left an object of its name with another kind or group
// in its file.
func (p *pair) otherObject(c *clusterspec.Cluster) bool {
	file := c.Objects[0].File
	// What kustomize builds has names of its own.
	if p.before.transformed(file) || p.after.transformed(file) {
		return false
	}
	if _, applied := p.after.applied.files[file]; !applied {
		return false
	}
	type identity struct{ group, kind, name string }
	identities := func(content []byte) map[identity]bool {
		out := map[identity]bool{}
		objects, _ := manifestsIn(file, content)
		for _, m := range objects {
			out[identity{groupOf(yamlnode.Scalar(m.node, "apiVersion")), m.kind, m.name}] = true
		}
		return out
	}
	was := identities(p.before.contents[file])
	for o := range identities(p.after.contents[file]) {
		if o.name == c.Name && !was[o] {
			return true
		}
	}
	return false
}

// place finds where a change stands in the files when it is one of what kustomize makes of them.
func (p *pair) place(change *clusterspec.Change, after *clusterspec.Set) {
	if !p.before.transformed(change.File) && !p.after.transformed(change.File) {
		return
	}
	f := p.before
	for _, c := range after.Clusters {
		for _, o := range c.Objects {
			if o.File == change.File && o.Label() == change.Object {
				f = p.after
			}
		}
	}
	for _, o := range after.Unused {
		if o.File == change.File && o.Label() == change.Object {
			f = p.after
		}
	}
	if f.transformed(change.File) {
		change.Line, change.Column = f.writtenAt(change.File, change.Object, change.Field)
	}
}
