package lint_test

import (
	"fmt"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// An object whose kind needs a namespace and that gets none keeps Flux from applying anything, whoever's it
// is and wherever it is listed.
func TestCheckRepository_foreignNamespace(t *testing.T) {
	t.Parallel()
	const dir = "clusters/dev/shared/"
	object := func(apiVersion, kind, namespace string) string {
		text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: x\n", apiVersion, kind)
		if namespace != "" {
			text += "  namespace: " + namespace + "\n"
		}
		return text
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  string // file, line, object
	}{
		"ConfigMap": {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", "")},
			dir + "a.yaml:4 ConfigMap x"},
		"second document": {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", "y") + "---\n" +
			object("apps/v1", "Deployment", "")},
			dir + "a.yaml:10 Deployment x"},
		"in a List": {map[string]string{dir + "a.yaml": "apiVersion: v1\nkind: List\nitems:\n" +
			"- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n"},
			dir + "a.yaml:6 Secret s"},
		"of Flux": {map[string]string{dir + "a.yaml": object("helm.toolkit.fluxcd.io/v2", "HelmRelease", "")},
			dir + "a.yaml:4 HelmRelease x"},
		"empty": {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", `""`)},
			dir + "a.yaml:4 ConfigMap x"},
		"named":     {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", "y")}, ""},
		"Namespace": {map[string]string{dir + "a.yaml": object("v1", "Namespace", "")}, ""},
		"ClusterRole": {
			map[string]string{dir + "a.yaml": object("rbac.authorization.k8s.io/v1", "ClusterRole", "")}, ""},
		"kind of others": {map[string]string{dir + "a.yaml": object("example.com/v1", "Widget", "")}, ""},
		"given by a kustomization": {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", ""),
			dir + "kustomization.yaml": "namespace: y\nresources: [a.yaml]\n"},
			""},
		"not given by a kustomization": {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", ""),
			dir + "kustomization.yaml": "resources: [a.yaml]\n"},
			dir + "a.yaml:4 ConfigMap x"},
		"not applied": {map[string]string{dir + "a.yaml": object("v1", "ConfigMap", ""),
			dir + "kustomization.yaml": "resources: []\n"},
			""},
	} {
		r := newRepository(t)
		for file, content := range tc.files {
			r[file] = lint.Node{Content: lint.Bytes(content)}
		}
		report := check(t, lint.Tree(r), nil)
		got := ""
		for _, p := range report.Problems {
			if p.Rule == "namespace-missing" {
				if p.Severity != clusterspec.SeverityError || got != "" {
					t.Errorf("%s: another problem, or none that is an error: %s", name, p)
				}
				got = fmt.Sprintf("%s:%d %s", p.File, p.Line, p.Object)
			}
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
