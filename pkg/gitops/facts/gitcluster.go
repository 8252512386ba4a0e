package facts

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// GitCluster is one cluster's directory.
type GitCluster struct {
	Name string // of the directory, which is that of the cluster
	Path string // of its spec
	// The rest is known when the spec was read.
	Read                   bool
	Namespace              string
	KubernetesVersion      string
	ManagementCluster      string
	ControlPlanes, Workers int
	Objects                []GitObject
	// Broken is what is so wrong with the files that they cannot be compared with anything; empty when they
	// can.
	Broken string
}

// GitObject is an object as the repository has it.
type GitObject struct {
	Kind, Namespace, Name string
	Fields                map[string]any
}

// Parse reads a spec. What the checks of a whole run would find is for validate and lint to say; here only
// what cannot be read at all matters.
func (c *GitCluster) Parse(content []byte) {
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: c.Path, Data: content}})
	c.Read = true
	objects := slices.Clone(set.Unused)
	for _, cluster := range set.Clusters {
		objects = append(objects, cluster.Objects...)
		if cluster.Name == c.Name || len(set.Clusters) == 1 {
			c.Namespace, c.KubernetesVersion, c.ManagementCluster = cluster.Namespace,
				cluster.KubernetesVersion, cluster.ManagementCluster
			c.ControlPlanes, c.Workers = cluster.ControlPlaneCount, cluster.WorkerCount
		}
	}
	for _, object := range objects {
		c.Objects = append(c.Objects, GitObject{Kind: object.Kind, Namespace: object.Namespace,
			Name: object.Name, Fields: object.Decoded()})
	}
	var problems clusterspec.Problems
	if errors.As(err, &problems) && len(set.Clusters) == 0 {
		c.Broken = problems[0].String()
	}
}

// NameOf is what an object is known by in the cluster.
func NameOf(o GitObject) fluxinstall.ObjectName {
	return fluxinstall.ObjectName{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}

// FindLive finds a live object by what it is known by; nil when it is not among them.
func FindLive(live []fluxinstall.LiveObject, kind, namespace, name string) *fluxinstall.LiveObject {
	for i, o := range live {
		if o.Kind == kind && o.Namespace == namespace && o.Name == name {
			return &live[i]
		}
	}
	return nil
}

// DecodeObjects reads a stream of YAML documents. What is no object is left out.
func DecodeObjects(stream []byte) []GitObject {
	var objects []GitObject
	for document := range yamlnode.Documents(stream) {
		var fields map[string]any
		if yaml.Unmarshal(document, &fields) != nil {
			continue
		}
		metadata, _ := fields["metadata"].(map[string]any)
		kind, _ := fields["kind"].(string)
		name, _ := metadata["name"].(string)
		namespace, _ := metadata["namespace"].(string)
		if namespace == "" {
			namespace = "default"
		}
		if kind != "" && name != "" {
			objects = append(objects, GitObject{Kind: kind, Namespace: namespace, Name: name, Fields: fields})
		}
	}
	return objects
}

// FilesBelow lists the files of a directory and those below, those nearest to it where there are more.
func FilesBelow(ctx context.Context, snapshot SnapshotWalker, dir string) ([]string, error) {
	var files []string
	err := snapshot.Walk(ctx, dir, func(entry git.Entry) error {
		if entry.Mode.IsFile() && !entry.Unsafe {
			files = append(files, entry.Path)
		}
		return nil
	})
	depth := func(file string) int { return strings.Count(file, "/") }
	slices.SortStableFunc(files, func(a, b string) int { return cmp.Compare(depth(a), depth(b)) })
	return files[:min(len(files), maxOwnFiles)], err
}

// maxOwnFiles bounds what is read of a directory whose kustomization is somebody's own.
const maxOwnFiles = 200

// ClustersIn finds the clusters' directories in a snapshot, sorted by name. Nothing is transferred for it.
func ClustersIn(snapshot SnapshotFiles, config *clusterspec.GitOps,
	managementCluster string) ([]GitCluster, error) {
	root := layout.RootDir(config)
	dir := root
	if root == "." {
		dir = ""
	}
	entries, err := snapshot.List(dir)
	if errors.As(err, new(*git.PathError)) {
		return nil, nil // what should be the directory is none; Flux says so
	}
	if err != nil {
		return nil, err
	}
	var clusters []GitCluster
	for _, entry := range entries {
		if entry.Mode != git.Dir || entry.Name == config.SystemNamespace && entry.Name != managementCluster {
			continue
		}
		spec := path.Join(root, entry.Name, layout.ClusterSubdir, layout.SpecFile)
		found, there, err := snapshot.Lookup(spec)
		if err != nil || !there || !found.Mode.IsFile() {
			continue // a hostile name is refused; it is no cluster
		}
		clusters = append(clusters, GitCluster{Name: entry.Name, Path: spec})
	}
	slices.SortFunc(clusters, func(a, b GitCluster) int { return strings.Compare(a.Name, b.Name) })
	return clusters, nil
}

// RoleOf is the role of a cluster that has this management cluster.
func RoleOf(name, managementCluster string) clusterspec.Role {
	if name == managementCluster {
		return clusterspec.RoleManagement
	}
	return clusterspec.RoleWorkload
}
