package clusterspec

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// GitOpsOf reads the GitOps configuration of a FluxConfig or GitOpsConfig object that is in a cluster, where
// there is no file: kind and name are the object's, spec is its spec as the API server gives it, and
// managementCluster is the name of the cluster whose gitOpsRef it is. Defaults are filled in as for a file. A
// spec that names no repository, or a path outside of it, is an error.
func GitOpsOf(kind, name string, spec map[string]any, managementCluster string) (*GitOps, error) {
	wrong := func(err error) error { return fmt.Errorf("reading %s %s of the cluster: %w", kind, name, err) }
	if kind != "FluxConfig" && kind != "GitOpsConfig" {
		return nil, wrong(errors.New("it is neither a FluxConfig nor a GitOpsConfig"))
	}
	data, err := yaml.Marshal(map[string]any{"kind": kind, "metadata": map[string]any{"name": name},
		"spec": spec})
	if err != nil {
		return nil, wrong(err)
	}
	documents, problems := readDocuments(Source{Name: kind + " " + name, Data: data}, newLimits())
	if len(problems) > 0 {
		return nil, wrong(Problems(problems))
	}
	if len(documents) != 1 {
		return nil, wrong(errors.New("it cannot be read as one document"))
	}
	g := readGitOps(&Object{Kind: kind, Name: name, document: documents[0]}, managementCluster)
	switch {
	case g.GitHub != nil && (g.GitHub.Owner == "" || g.GitHub.Repository == ""):
		return nil, wrong(errors.New("it names no owner and repository on GitHub"))
	case g.Git != nil && g.Git.RepositoryURL == "":
		return nil, wrong(errors.New("it names no repository"))
	}
	if message := badPath(g.ClusterConfigPath); message != "" {
		return nil, wrong(fmt.Errorf("clusterConfigPath %q: %s", g.ClusterConfigPath, message))
	}
	if !isDNSLabel(g.SystemNamespace) {
		return nil,
			wrong(fmt.Errorf("the namespace of Flux is %q, which is not a valid name", g.SystemNamespace))
	}
	return g, nil
}

// CheckPath says what is wrong with a path inside a repository, such as a clusterConfigPath: one that leads
// out of it or into Git's own directory, or that cannot be checked out everywhere. It is nil for "." and for
// any other path that may be used.
func CheckPath(path string) error {
	if message := badPath(path); message != "" {
		return errors.New(message)
	}
	return nil
}
