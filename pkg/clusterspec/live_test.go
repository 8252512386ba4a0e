package clusterspec_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

func TestGitOpsOf(t *testing.T) {
	t.Parallel()
	type spec = map[string]any
	for name, tc := range map[string]struct {
		kind string
		spec spec
		want *clusterspec.GitOps
		err  string
	}{
		"GitHub with defaults": {
			"FluxConfig", spec{"github": spec{"owner": "acme", "repository": "fleet", "personal": true}},
			&clusterspec.GitOps{
				SystemNamespace: "flux-system", ClusterConfigPath: "clusters/mgmt", Branch: "main",
				GitHub: &clusterspec.GitHubConfig{Owner: "acme", Repository: "fleet", Personal: true},
			}, "",
		},
		"Git with everything": {
			"FluxConfig", spec{
				"systemNamespace": "flux", "clusterConfigPath": "prod", "branch": "live", "git": spec{
					"repositoryUrl": "ssh://git@git.example.com/fleet.git", "sshKeyAlgorithm": "ed25519"},
			},
			&clusterspec.GitOps{
				SystemNamespace: "flux", ClusterConfigPath: "prod", Branch: "live",
				Git: &clusterspec.GitConfig{RepositoryURL: "ssh://git@git.example.com/fleet.git",
					SSHKeyAlgorithm: "ed25519"},
			}, "",
		},
		"deprecated kind": {
			"GitOpsConfig", spec{"flux": spec{"github": spec{"owner": "acme", "repository": "fleet",
				"fluxSystemNamespace": "flux"}}},
			&clusterspec.GitOps{
				SystemNamespace: "flux", ClusterConfigPath: "clusters/mgmt", Branch: "main",
				GitHub: &clusterspec.GitHubConfig{Owner: "acme", Repository: "fleet"},
			}, "",
		},
		"no repository": {"FluxConfig", spec{"branch": "main"}, nil, "it names no repository"},
		"no owner": {"FluxConfig", spec{"github": spec{"repository": "fleet"}}, nil,
			"no owner and repository"},
		"nothing":    {"FluxConfig", nil, nil, "it names no repository"},
		"other kind": {"ConfigMap", nil, nil, "neither a FluxConfig"},
		"leaves the tree": {"FluxConfig",
			spec{"clusterConfigPath": "../x", "git": spec{"repositoryUrl": "ssh://git@h/r"}}, nil,
			". or .. as a part"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := clusterspec.GitOpsOf(tc.kind, "live", tc.spec, "mgmt")
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Kind, tc.want.Name = tc.kind, "live"
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
