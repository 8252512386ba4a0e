// Command fleet shows what another program can do with the packages of eksa-gitops.
//
//	fleet FILE                                                prints the files of the clusters, as JSON
//	fleet -kubeconfig FILE -key FILE -known-hosts FILE FILE   creates the clusters, and prints the result
//
// It takes clusters whose repository is on a Git server that is reached over SSH; see connect.Options for one
// on GitHub.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/connect"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) && hinted.Hint() != "" {
			fmt.Fprintln(os.Stderr, "fleet:", hinted.Hint())
		}
		stop()
		os.Exit(1)
	}
}

// access is how the repository and the management cluster are reached; without a kubeconfig neither is.
type access struct{ kubeconfig, key, knownHosts string }

func run(ctx context.Context, args []string, out io.Writer) error {
	var way access
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.StringVar(&way.kubeconfig, "kubeconfig", "",
		"kubeconfig `file` of the management cluster; without it, files are rendered and nothing is created")
	flags.StringVar(&way.key, "key", "", "private key `file` that may push to the repository")
	flags.StringVar(&way.knownHosts, "known-hosts", "",
		"`file` with the host keys of the repository's server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	clusters, err := read(ctx, flags.Args())
	if err != nil {
		return err
	}
	var result any
	if way.kubeconfig == "" {
		result, err = render(clusters)
	} else {
		result, err = create(ctx, clusters, way)
	}
	// A creation that fails has a result, too: what is there, and what is not.
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return errors.Join(err, encoder.Encode(result))
}

// read reads and checks cluster files, or directories of them.
func read(ctx context.Context, paths []string) ([]*clusterspec.Cluster, error) {
	sources, err := clusterspec.ReadPaths(ctx, paths, os.Stdin)
	if err != nil {
		return nil, err
	}
	set, err := clusterspec.Parse(sources)
	if err != nil {
		return nil, err
	}
	return set.Clusters, nil
}

// render gives the files of the clusters, by their paths in the repository.
func render(clusters []*clusterspec.Cluster) (map[string]string, error) {
	tree := map[string]string{}
	for _, cluster := range clusters {
		files, err := layout.ClusterFiles(cluster)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			tree[file.Path] = string(file.Content)
		}
	}
	return tree, nil
}

// create brings the repository and the management cluster to what the clusters say, and waits until Flux has
// applied it.
func create(ctx context.Context, clusters []*clusterspec.Cluster, way access) (*gitops.Result, error) {
	options := gitops.CreateOptions{Clusters: clusters}
	settings := connect.Options{
		SSH:        connect.SSH{Key: connect.KeyFile{File: way.key}},
		KnownHosts: way.knownHosts,
		Kubeconfig: &fluxinstall.KubeconfigOptions{Paths: []string{way.kubeconfig}},
		UserAgent:  "fleet/1.0",
	}
	for _, cluster := range clusters {
		if cluster.GitOps != nil {
			settings.GitOps = cluster.GitOps
			settings.KeepsFlux = settings.KeepsFlux || cluster.Role() == clusterspec.RoleManagement
		}
	}
	connection, err := connect.New(ctx, settings)
	if err != nil {
		return nil, err
	}
	options.Settings = connection.Settings
	options.Source, options.SourceIsOperators = connection.Source, connection.SourceIsOperators
	options.Author = git.Identity{Name: "fleet", Email: "fleet@example.com"}
	options.ToolVersion = "fleet 1.0"
	return gitops.Create(ctx, connection.Ports, options)
}
