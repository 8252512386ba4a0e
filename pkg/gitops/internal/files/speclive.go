package files

import (
	"bytes"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// liveText is what the management cluster holds of a cluster's objects, as a file; empty when there is
// nothing.
func (u *UpgradePlanner) liveText(c *clusterspec.Cluster) ([]byte, error) {
	var documents [][]byte
	for _, o := range c.Objects {
		live := facts.FindLive(u.Live, o.Kind, o.Namespace, o.Name)
		if live == nil {
			continue
		}
		text, err := yaml.Marshal(essence(live.Fields))
		if err != nil {
			return nil, fmt.Errorf("writing down %s %s of the cluster: %w", o.Kind, o.Name, err)
		}
		documents = append(documents, text)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// overlaidText is what the live objects become when a file is applied to them.
func (u *UpgradePlanner) overlaidText(c *clusterspec.Cluster, file []byte) ([]byte, error) {
	git := facts.GitCluster{Name: c.Name}
	git.Parse(file)
	var documents [][]byte
	for _, o := range git.Objects {
		fields := any(o.Fields)
		if live := facts.FindLive(u.Live, o.Kind, o.Namespace, o.Name); live != nil {
			fields = overlay(essence(live.Fields), o.Fields)
		}
		text, err := yaml.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("writing down %s %s: %w", o.Kind, o.Name, err)
		}
		documents = append(documents, text)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// essence is an object without what the server and controllers write.
func essence(fields map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range fields {
		if name != "status" && name != "metadata" {
			out[name] = value
		}
	}
	metadata, _ := fields["metadata"].(map[string]any)
	kept := map[string]any{}
	for _, name := range []string{"name", "namespace", "annotations"} {
		if value, ok := metadata[name]; ok {
			kept[name] = value
		}
	}
	out["metadata"] = kept
	return out
}

// overlay gives what becomes of a live value when another is applied to it, as [facts.Differences] sees it:
// maps are merged; a list is replaced, and what is filled into its items stays as long as there are as many.
func overlay(live, applied any) any {
	switch applied := applied.(type) {
	case map[string]any:
		before, ok := live.(map[string]any)
		if !ok {
			return applied
		}
		out := make(map[string]any, len(before))
		for name, value := range before {
			out[name] = value
		}
		for name, value := range applied {
			out[name] = overlay(before[name], value)
		}
		return out
	case []any:
		before, ok := live.([]any)
		if !ok || len(before) != len(applied) {
			return applied
		}
		out := make([]any, len(applied))
		for i := range applied {
			out[i] = overlay(before[i], applied[i])
		}
		return out
	case nil:
		return live
	}
	return applied
}
