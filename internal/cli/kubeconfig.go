package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// Where a kubeconfig is looked for: the flag, KUBECONFIG, then the file that eksctl anywhere leaves in a
// folder of the cluster's name, as EKS Anywhere does (cmd/eksctl-anywhere/cmd/options.go). What is not found
// says nothing about the cluster: the command may have been started in another directory. So every message
// names the places, whole, and who concludes something asks for more.

// kubeconfigWay is where a kubeconfig was found.
type kubeconfigWay struct {
	paths  []string // absolute
	origin string   // for messages
	// folder is the name of the cluster in whose folder it was found, and whose own it is; empty when a
	// person has named it.
	folder string
}

// ownKubeconfig is the file that eksctl anywhere leaves for a cluster that it has made from this directory.
func ownKubeconfig(cluster string) string {
	return filepath.Join(cluster, cluster+"-eks-a-cluster.kubeconfig")
}

// presence is whether a file can be read as a kubeconfig; what keeps that from being known is an error, and
// not its absence.
func presence(path string) (there bool, absent string, err error) {
	info, err := os.Stat(path)
	switch {
	// a file may have the name of a cluster
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, localfile.Whole(path) + " (does not exist)", nil
	case err != nil:
		return false, "", fmt.Errorf("reading the kubeconfig: %w", err)
	case !info.Mode().IsRegular():
		return false, "", fmt.Errorf("reading the kubeconfig: %s is not a regular file",
			localfile.Whole(path))
	case info.Size() == 0:
		return false, localfile.Whole(path) + " (is empty)", nil
	}
	return true, "", nil
}

// named is the way that a person has named, by the flag or by KUBECONFIG; false without one.
func (o *clusterOptions) named(d *deps) (kubeconfigWay, bool) {
	if o.kubeconfig != "" {
		return kubeconfigWay{paths: []string{localfile.Whole(o.kubeconfig)},
			origin: text.Command("--kubeconfig %s", o.kubeconfig)}, true
	}
	fromEnv := d.getenv("KUBECONFIG")
	if fromEnv == "" {
		return kubeconfigWay{}, false
	}
	paths := filepath.SplitList(fromEnv)
	for i, path := range paths {
		if path != "" {
			paths[i] = localfile.Whole(path)
		}
	}
	return kubeconfigWay{paths: paths, origin: "KUBECONFIG=" + fromEnv}, true
}

// open connects to the management cluster of a name; empty when it is not known.
func (o *clusterOptions) open(ctx context.Context, d *deps,
	managementCluster string) (*fluxinstall.Cluster, error) {
	way, err := o.find(d, managementCluster)
	if err != nil {
		return nil, err
	}
	return o.connect(ctx, d, way)
}

// openFor connects to the management cluster of a cluster that may be managed by another one; no name is any
// cluster. A kubeconfig that nobody has named is made sure to be the right one: folders hold those of
// workload clusters and of other fleets, too. For a deletion that means that the cluster is there, unless its
// folder says who manages it: that another fleet does not have it proves nothing. When it is not the right
// one, the error is a *fleetError.
func (o *clusterOptions) openFor(ctx context.Context, d *deps, cluster string,
	deleting bool) (*fluxinstall.Cluster, error) {
	manager, guessed := managerInFolder(cluster), false
	if manager != "" {
		there, _, err := presence(ownKubeconfig(manager))
		if err != nil {
			return nil, err
		}
		if !there && len(kubeconfigFolders()) == 1 {
			manager, guessed = "", true // the only one there is
		}
	}
	way, err := o.find(d, manager)
	if err != nil {
		return nil, err
	}
	connected, err := o.connect(ctx, d, way)
	if err != nil || way.folder == "" {
		return connected, err
	}
	state, err := connected.Inspect(ctx, fluxinstall.InspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking at the management cluster: %w", err)
	}
	wrong := ""
	switch {
	case !isManagement(state, way.folder):
		wrong = fmt.Sprintf("%s leads to cluster %s at %s, which is not a management cluster",
			way.origin, way.folder, state.Server)
	case guessed && deleting && !slices.ContainsFunc(state.Clusters, func(c fluxinstall.ClusterInfo) bool {
		return c.Name == cluster
	}):
		wrong = fmt.Sprintf("%s leads to management cluster %s at %s, which has no cluster %s",
			way.origin, way.folder, state.Server, cluster)
	default:
		return connected, nil
	}
	return nil, &fleetError{message: wrong, hint: fmt.Sprintf("name the kubeconfig that is meant with "+
		"--kubeconfig FILE or KUBECONFIG; nobody has named %s", way.origin)}
}

func isManagement(state *fluxinstall.State, name string) bool {
	return slices.ContainsFunc(state.ManagementClusters(), func(c fluxinstall.ClusterInfo) bool {
		return c.Name == name
	})
}

func (o *clusterOptions) connect(ctx context.Context, d *deps,
	way kubeconfigWay) (*fluxinstall.Cluster, error) {
	if err := checkProxies(d.getenv); err != nil {
		return nil, err
	}
	return fluxinstall.Connect(ctx, fluxinstall.KubeconfigOptions{
		Paths: way.paths, Origin: way.origin, Context: o.context, UserAgent: userAgent(),
		OnRetry: o.retries(d),
	})
}

// find looks for the kubeconfig of a management cluster. Without a name, or when that one has no folder here,
// the only folder with a kubeconfig in it is taken. When there is none, the error is a
// *kubeconfigMissingError.
func (o *clusterOptions) find(d *deps, managementCluster string) (kubeconfigWay, error) {
	if way, ok := o.named(d); ok {
		return way, nil
	}
	tried := []string{"--kubeconfig (not given)", "KUBECONFIG (not set)"}
	if managementCluster != "" {
		path := ownKubeconfig(managementCluster)
		there, absent, err := presence(path)
		if err != nil {
			return kubeconfigWay{}, err
		}
		if there {
			return folderWay(managementCluster), nil
		}
		return kubeconfigWay{}, &kubeconfigMissingError{tried: append(tried, absent),
			others: kubeconfigFolders()}
	}
	switch folders := kubeconfigFolders(); len(folders) {
	case 1:
		return folderWay(folders[0]), nil
	case 0:
		return kubeconfigWay{}, &kubeconfigMissingError{tried: append(tried,
			localfile.Whole(ownKubeconfig("NAME"))+" (of any NAME: none exists)")}
	default:
		return kubeconfigWay{}, &kubeconfigMissingError{
			tried:  append(tried, localfile.Whole(ownKubeconfig("NAME"))+" (there are several)"),
			others: folders}
	}
}

func folderWay(cluster string) kubeconfigWay {
	path := ownKubeconfig(cluster)
	return kubeconfigWay{paths: []string{localfile.Whole(path)}, origin: path, folder: cluster}
}

// kubeconfigFolders names the folders of the working directory that hold the kubeconfig of a cluster of their
// name, sorted. Folders of clusters that another one manages, as far as the file beside says so, are left
// out.
func kubeconfigFolders() []string {
	entries, err := os.ReadDir(".")
	if err != nil {
		return nil
	}
	var folders []string
	for _, entry := range entries {
		name := entry.Name()
		if there, _, err := presence(ownKubeconfig(name)); err == nil && there &&
			managerInFolder(name) == name {
			folders = append(folders, name)
		}
	}
	return folders
}

// managerInFolder is the management cluster of a cluster as the file says that EKS Anywhere keeps in the
// cluster's folder. Without such a file a cluster is taken for its own; who uses its kubeconfig makes sure of
// that.
func managerInFolder(cluster string) string {
	if cluster == "" {
		return ""
	}
	content, err := localfile.ReadRegular(localSpecPath(cluster), clusterspec.MaxTotalSize)
	if err != nil {
		return cluster
	}
	for document := range yamlnode.Documents(content) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct{ ManagementCluster struct{ Name string } }
		}
		if yaml.Unmarshal(document, &object) == nil && object.Kind == "Cluster" &&
			object.Metadata.Name == cluster {
			return cmp.Or(object.Spec.ManagementCluster.Name, cluster)
		}
	}
	return cluster
}

// kubeconfigMissingError says that no way to the management cluster was found, and where it was looked for.
// It says nothing about the cluster.
type kubeconfigMissingError struct {
	tried  []string
	others []string // folders that hold a kubeconfig of another cluster
}

func (e *kubeconfigMissingError) Error() string {
	return "there is no kubeconfig for the management cluster; tried: " + strings.Join(e.tried, ", ")
}

// Hint names what would be found.
func (e *kubeconfigMissingError) Hint() string {
	hint := "name it with --kubeconfig FILE or KUBECONFIG, or run the command in the directory from which " +
		"the cluster was created"
	if len(e.others) > 0 {
		found := make([]string, 0, len(e.others))
		for _, name := range e.others {
			found = append(found, text.Command("%s", ownKubeconfig(name)))
		}
		hint += "; here are: " + strings.Join(found, ", ")
	}
	return hint
}

// Is makes the error gitops.ErrNoKubeconfig.
func (e *kubeconfigMissingError) Is(target error) bool { return target == gitops.ErrNoKubeconfig }

// path is the one file in which open, or for a run about the management cluster itself openProvisioned, looks
// for the way to it, whether it exists or not.
func (o *clusterOptions) path(d *deps, managementCluster string, management bool) string {
	if o.kubeconfig != "" {
		return o.kubeconfig
	}
	own := ownKubeconfig(managementCluster)
	if fromEnv := d.getenv("KUBECONFIG"); fromEnv != "" {
		if there, _, err := presence(own); !management || err != nil || !there {
			return fromEnv
		}
	}
	return own
}

// openProvisioned connects to a management cluster that eksctl anywhere makes, or has made. The file that it
// leaves then goes before KUBECONFIG, which may be about another cluster for as long as this one does not
// exist. When neither leads to the cluster, the error is [gitops.ErrNoKubeconfig]. A file that is named with
// --kubeconfig has to lead there.
func (o *clusterOptions) openProvisioned(ctx context.Context, d *deps,
	name string) (*fluxinstall.Cluster, error) {
	own, fromEnv := ownKubeconfig(name), d.getenv("KUBECONFIG")
	if o.kubeconfig != "" && localfile.Whole(o.kubeconfig) != localfile.Whole(own) {
		return o.open(ctx, d, name)
	}
	there, absent, err := presence(own)
	if err != nil {
		return nil, err
	}
	missing := &kubeconfigMissingError{tried: []string{absent}}
	switch {
	case there:
		return o.connect(ctx, d, folderWay(name))
	case o.kubeconfig != "":
		return nil, missing
	case fromEnv == "":
		missing.tried = append(missing.tried, "KUBECONFIG (not set)")
		return nil, missing
	}
	if there, absent, err = presence(fromEnv); err != nil {
		return nil, err
	} else if !there {
		missing.tried = append(missing.tried, "KUBECONFIG="+fromEnv+": "+absent)
		return nil, missing
	}
	cluster, err := o.open(ctx, d, name)
	if err != nil {
		return nil, err
	}
	state, err := cluster.Inspect(ctx, fluxinstall.InspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("looking whether KUBECONFIG=%s leads to cluster %s: %w", fromEnv, name, err)
	}
	if isManagement(state, name) {
		return cluster, nil
	}
	missing.tried = append(missing.tried,
		"KUBECONFIG="+fromEnv+" (leads to another cluster, at "+state.Server+")")
	return nil, missing
}
