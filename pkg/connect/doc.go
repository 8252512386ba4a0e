// Package connect makes the ports of pkg/gitops out of settings: where the repository and its host are, with
// which credentials they are reached, and which file of known hosts vouches for them.
//
//	way, err := connect.New(ctx, connect.Options{
//		GitOps:     cluster.GitOps,
//		// of a repository on GitHub, and of one on any other Git server
//		Token:      secret.New(token),
//		SSH:        connect.SSH{Key: connect.KeyFile{File: "id_ed25519"}, AgentSocket: socket},
//		KnownHosts: "known_hosts",
//		Kubeconfig: &fluxinstall.KubeconfigOptions{Paths: []string{"mgmt.kubeconfig"}},
//	})
//	options := gitops.CreateOptions{Settings: way.Settings, Source: way.Source,
//		SourceIsOperators: way.SourceIsOperators, ...}
//	result, err := gitops.Create(ctx, way.Ports, options)
//
// It reads the files that it is given, and no environment variable, save those that name proxies, which the
// libraries that make connections heed. It prints nothing and asks nobody: a passphrase that is missing is
// asked of [SSH.Ask]. No connection is made before a port is opened.
package connect
