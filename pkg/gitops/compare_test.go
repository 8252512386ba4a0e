package gitops_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// object is a part of a Kubernetes object.
type object = map[string]any

// TestCreate_gitOpsDifferences holds a workload cluster's FluxConfig against its management cluster's. EKS
// Anywhere wants the same spec under another name; what is not set counts as its default.
func TestCreate_gitOpsDifferences(t *testing.T) {
	t.Parallel()
	octo := func(more object) object {
		section := object{"owner": "octo", "repository": "fleet", "personal": true}
		for key, value := range more {
			section[key] = value
		}
		return section
	}
	gitOpsConfig := func(more object) object { return object{"flux": object{"github": octo(more)}} }
	git := func(more object) object {
		section := object{"repositoryUrl": "ssh://git@git.example.com/octo/fleet.git",
			"sshKeyAlgorithm": "ecdsa"}
		for key, value := range more {
			section[key] = value
		}
		return object{"git": section}
	}
	for name, test := range map[string]struct {
		provider string // of the file
		live     object
		want     []string // what each finding names
	}{
		"the same": {onGitHub, object{"github": octo(nil)}, nil},
		"the same, all set": {onGitHub, object{"github": octo(nil), "branch": "main",
			"systemNamespace": "flux-system", "clusterConfigPath": "clusters/dev"},
			nil},
		"the same, set empty": {onGitHub,
			object{"github": octo(nil), "branch": "", "systemNamespace": "", "clusterConfigPath": ""}, nil},
		"branch": {onGitHub, object{"github": octo(nil), "branch": "prod"},
			[]string{`branch is "main", the management cluster has "prod"`}},
		"namespace": {onGitHub, object{"github": octo(nil), "systemNamespace": "gitops"},
			[]string{`systemNamespace is "flux-system", the management cluster has "gitops"`}},
		"path": {onGitHub, object{"github": octo(nil), "clusterConfigPath": "fleet"},
			[]string{`clusterConfigPath is "clusters/dev", the management cluster has "fleet"`}},
		"owner": {onGitHub, object{"github": octo(object{"owner": "acme"})},
			[]string{`github.owner is "octo", the management cluster has "acme"`}},
		"repository": {onGitHub, object{"github": octo(object{"repository": "old"})},
			[]string{`github.repository is "fleet", the management cluster has "old"`}},
		"personal": {onGitHub, object{"github": octo(object{"personal": false})},
			[]string{`github.personal is "true", the management cluster has "false"`}},
		"personal unset": {onGitHub, object{"github": octo(object{"personal": nil})},
			[]string{`github.personal is "true", the management cluster has "false"`}},
		"many": {onGitHub,
			object{"github": octo(object{"owner": "acme", "repository": "old"}), "branch": "prod"},
			[]string{"branch", "github.owner", "github.repository"}},
		"other provider":        {onGitHub, git(nil), []string{"provider"}},
		"no provider":           {onGitHub, object{}, []string{"provider"}},
		"GitOpsConfig the same": {onGitHub, gitOpsConfig(nil), nil},
		"GitOpsConfig all set": {onGitHub, gitOpsConfig(object{"branch": "main",
			"fluxSystemNamespace": "flux-system", "clusterConfigPath": "clusters/dev"}),
			nil},
		"GitOpsConfig branch": {onGitHub, gitOpsConfig(object{"branch": "prod"}),
			[]string{`branch is "main", the management cluster has "prod"`}},
		"GitOpsConfig namespace": {onGitHub, gitOpsConfig(object{"fluxSystemNamespace": "gitops"}),
			[]string{`systemNamespace is "flux-system"`}},
		"GitOpsConfig path": {onGitHub, gitOpsConfig(object{"clusterConfigPath": "fleet"}),
			[]string{"clusterConfigPath"}},
		"GitOpsConfig owner": {onGitHub, gitOpsConfig(object{"owner": "acme"}), []string{"github.owner"}},
		"Git the same":       {onGit, git(nil), nil},
		"Git URL": {onGit, git(object{"repositoryUrl": "ssh://git@git.example.com/octo/old.git"}),
			[]string{"git.repositoryUrl"}},
		"Git algorithm": {onGit, git(object{"sshKeyAlgorithm": "rsa"}),
			[]string{`git.sshKeyAlgorithm is "ecdsa", the management cluster has "rsa"`}},
		// EKS Anywhere takes ecdsa when nothing is said, but does not fill it in before it compares.
		"Git algorithm unset": {onGit, git(object{"sshKeyAlgorithm": nil}),
			[]string{`git.sshKeyAlgorithm is "ecdsa", the management cluster has ""`}},
		"Git other provider": {onGit, object{"github": octo(nil)}, []string{"provider"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := followed(t, test.provider)
			w.live("FluxConfig", "dev", test.live)
			if len(test.want) == 0 {
				create(t, w, on(t, spec("w01", test.provider)))
				return
			}
			findings := refused(t, w, on(t, spec("w01", test.provider)))
			if len(findings) != len(test.want) {
				t.Fatalf("%d findings: %+v", len(findings), findings)
			}
			for i, f := range findings {
				if f.Area != facts.AreaSpec ||
					!strings.HasPrefix(f.Message, "cluster w01: FluxConfig w01: ") ||
					!strings.Contains(f.Message, test.want[i]) || f.Hint == "" {
					t.Errorf("%+v, want %s", f, test.want[i])
				}
			}
		})
	}
}

// followed is a world whose Flux follows the repository.
func followed(t *testing.T, provider string) *world {
	t.Helper()
	w := newSmallWorld(t, provider)
	if !w.noHost {
		w.exists = true
		w.commitSeed()
	}
	follow(w)
	w.components, w.private, w.publicKey = smallComponents, true, w.hostKey
	w.keys = append(w.keys, deployKey(w.publicKey))
	if w.noHost {
		w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/fleet.git"
	}
	return w
}

// live gives the management cluster a GitOps configuration.
func (w *world) live(kind, name string, spec object) {
	w.state.GitOps = append(w.state.GitOps,
		fluxinstall.LiveGitOps{Kind: kind, Namespace: "default", Name: name, Spec: spec})
	w.state.Clusters[0].GitOpsKind, w.state.Clusters[0].GitOpsName = kind, name
}

// TestCreate_sameGitOpsName refuses the management cluster's own FluxConfig for a workload cluster, as EKS
// Anywhere does.
func TestCreate_sameGitOpsName(t *testing.T) {
	t.Parallel()
	w := followed(t, onGitHub)
	w.live("FluxConfig", "w01",
		object{"github": object{"owner": "octo", "repository": "fleet", "personal": true}})
	findings := refused(t, w, on(t, spec("w01", onGitHub)))
	if len(findings) != 1 || findings[0].Area != facts.AreaSpec ||
		!strings.Contains(findings[0].Message, "FluxConfig w01 is the management cluster's own") {
		t.Errorf("%+v", findings)
	}
}

// TestCreate_workloadsTogether checks each of several workload clusters.
func TestCreate_workloadsTogether(t *testing.T) {
	t.Parallel()
	w := followed(t, onGitHub)
	w.live("GitOpsConfig", "dev",
		object{"flux": object{"github": object{"owner": "octo", "repository": "fleet"}}})
	findings := refused(t, w, on(t, spec("w01", onGitHub), spec("w02", onGitHub)))
	var messages []string
	for _, f := range findings {
		messages = append(messages, strings.SplitAfterN(f.Message, ":", 2)[0])
	}
	if !slices.Equal(messages, []string{"cluster w01:", "cluster w02:"}) {
		t.Errorf("%+v", findings)
	}
}
