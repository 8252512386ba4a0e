package gitops_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// manifest is one of one object.
func manifest(apiVersion, kind, namespace, name string) string {
	return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata:\n  name: " + name +
		"\n  namespace: " + namespace + "\n"
}

func curated(namespace, name string) string {
	return manifest("packages.eks.amazonaws.com/v1alpha1", "Package", namespace, name)
}

// TestDelete_dependents: what lives in the namespace that EKS Anywhere removes with a cluster leaves Git with
// the cluster, wherever it is, and the kustomizations that list it follow. What cannot be taken out safely is
// named before anything is written.
func TestDelete_dependents(t *testing.T) {
	t.Parallel()
	const (
		root      = "clusters/dev/"
		harbor    = "Package eksa-packages-w01/harbor"
		configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n"
	)
	doom := curated("eksa-packages-w01", "harbor")
	for name, test := range map[string]struct {
		there   map[string]string
		changes []string // beside those of the cluster's own two files
		objects []string // beside the cluster's own
		files   map[string]string
		wrong   []string // the findings
		note    string
	}{
		"beside the cluster": {
			there:   map[string]string{root + "w01/packages.yaml": doom},
			changes: []string{"delete " + root + "w01/packages.yaml"}, objects: []string{harbor},
		},
		"elsewhere": {
			there:   map[string]string{root + "packages/w01.yaml": doom},
			changes: []string{"delete " + root + "packages/w01.yaml"}, objects: []string{harbor},
		},
		"several, of several kinds": {
			there: map[string]string{root + "packages/w01.yaml": "# ours\n---\n" + doom + "---\n" +
				manifest("v1", "Secret", "eksa-packages-w01", "login") + "---\n",
				root + "packages/w01-ns.yml": "apiVersion: v1\nkind: Namespace\n" +
					"metadata: {name: eksa-packages-w01}\n"},
			changes: []string{"delete " + root + "packages/w01-ns.yml",
				"delete " + root + "packages/w01.yaml"},
			objects: []string{"Namespace eksa-packages-w01", harbor, "Secret eksa-packages-w01/login"},
		},
		"a list": {
			there: map[string]string{root + "packages/w01.yaml": "apiVersion: v1\nkind: List\nitems:\n" +
				"- {apiVersion: packages.eks.amazonaws.com/v1alpha1, kind: " +
				"Package, metadata: {name: harbor, namespace: eksa-packages-w01}}\n"},
			changes: []string{"delete " + root + "packages/w01.yaml"}, objects: []string{harbor},
		},
		"the controller of its packages": {
			there: map[string]string{root + "packages/w01.yaml": manifest(
				"packages.eks.amazonaws.com/v1alpha1", "PackageBundleController", "eksa-packages", "w01")},
			changes: []string{"delete " + root + "packages/w01.yaml"},
			objects: []string{"PackageBundleController eksa-packages/w01"},
		},
		"listed": {
			there: map[string]string{root + "packages/w01.yaml": doom,
				root + "packages/w02.yaml":           curated("eksa-packages-w02", "harbor"),
				root + "packages/kustomization.yaml": "resources:\n- w01.yaml\n- w02.yaml # stays\n"},
			changes: []string{"modify " + root + "packages/kustomization.yaml",
				"delete " + root + "packages/w01.yaml"},
			objects: []string{harbor}, files: map[string]string{
				root + "packages/kustomization.yaml": "resources:\n- w02.yaml # stays\n"},
		},
		"listed with the cluster's own": {
			there: map[string]string{root + "w01/eksa-system/packages.yaml": doom,
				root + "w01/eksa-system/kustomization.yaml": "resources:\n- eksa-cluster.yaml\n" +
					"- packages.yaml\n"},
			changes: []string{"delete " + root + "w01/eksa-system/packages.yaml"}, objects: []string{harbor},
		},
		"all that is listed": {
			there: map[string]string{root + "packages/w01.yaml": doom,
				root + "packages/kustomization.yaml": "resources:\n- w01.yaml\n"},
			changes: []string{"delete " + root + "packages/kustomization.yaml",
				"delete " + root + "packages/w01.yaml"},
			objects: []string{harbor},
		},
		"put there by a kustomization": {
			there: map[string]string{root + "packages/w01/harbor.yaml": curated("\"\"", "harbor"),
				root + "packages/w01/secret.yaml": manifest("v1", "Secret", "eksa-packages-w01", "login"),
				root + "packages/w01/kustomization.yaml": "namespace: eksa-packages-w01\n" +
					"resources: [harbor.yaml, secret.yaml]\n",
				root + "packages/kustomization.yaml": "resources:\n- w01\n"},
			changes: []string{"delete " + root + "packages/kustomization.yaml",
				"delete " + root + "packages/w01/harbor.yaml",
				"delete " + root + "packages/w01/kustomization.yaml",
				"delete " + root + "packages/w01/secret.yaml"},
			objects: []string{harbor, "Secret eksa-packages-w01/login"},
		},
		"of others": {
			there: map[string]string{root + "packages/w0.yaml": curated("eksa-packages-w0", "harbor"),
				root + "packages/w011.yaml": curated("eksa-packages-w011", "harbor"),
				root + "packages/pbc.yaml": manifest("packages.eks.amazonaws.com/v1alpha1",
					"PackageBundleController", "eksa-packages", "w02"),
				root + "packages/ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: w01}\n",
				"elsewhere/w01.yaml":      doom,
				root + "packages/w01.md":  doom},
		},
		"in a directory of that name": {
			there: map[string]string{root + "eksa-packages-w01/x.yaml": configMap,
				root + "eksa-packages-w01/kustomization.yaml": "resources:\n- x.yaml\n",
				root + "more/kustomization.yaml": "# eksa-packages-w01\nresources:\n" +
					"- ../eksa-packages-w01\n"},
		},
		"an application that reaches into it": {
			there: map[string]string{root + "w01-shop.yaml": manifest("kustomize.toolkit.fluxcd.io/v1",
				"Kustomization", "eksa-system", "shop") +
				"spec:\n  kubeConfig:\n    secretRef:\n      name: w01-kubeconfig\n"},
			note: root + "w01-shop.yaml:1: Kustomization eksa-system/shop works on cluster w01",
		},
		"in one file with what stays": {
			there: map[string]string{root + "all.yaml": configMap + "---\n# the registry\n" + doom + "---\n" +
				manifest("v1", "Secret", "eksa-packages-w01", "login")},
			wrong: []string{root + "all.yaml:8: " + harbor + " is in the same file as objects that stay",
				root +
					"all.yaml:14: Secret eksa-packages-w01/login is in the same file as objects that stay"},
		},
		"generated": {
			there: map[string]string{root + "packages/kustomization.yaml": "resources: []\n" +
				"secretGenerator:\n- name: login\n  namespace: eksa-packages-w01\n  literals: [a=b]\n"},
			wrong: []string{root + "packages/kustomization.yaml:4: the kustomization names that namespace"},
		},
		"put there by a kustomization that does more": {
			there: map[string]string{root + "packages/harbor.yaml": curated("\"\"", "harbor"),
				root + "packages/kustomization.yaml": "resources: [harbor.yaml]\n" +
					"namespace: eksa-packages-w01\nnamePrefix: a-\n"},
			wrong: []string{root + "packages/kustomization.yaml:2: the kustomization names that namespace"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fleetWorld(t, onGitHub, "w01")
			w.commitOther("main", func(files map[string]string) { maps.Copy(files, test.there) })
			w.flux()
			before := maps.Clone(w.branches["main"].files)
			heard := &notes{}
			ports := w.ports(heard)
			options := doomed(t, onGitHub, "w01")
			options.DryRun = true
			dry, dryErr := gitops.Delete(t.Context(), ports, options)
			if len(w.calls) > 0 {
				t.Fatalf("a dry run wrote %v", w.calls)
			}
			asked := 0
			options.DryRun = false
			options.Confirm = func(_ context.Context, plan *gitops.Result) error {
				asked++
				equal(t, "changes that are asked about", changesOf(plan), changesOf(dry))
				return nil
			}
			result, err := gitops.Delete(t.Context(), ports, options)
			if len(test.wrong) > 0 {
				for _, err := range []error{dryErr, err} {
					refused := new(gitops.PreflightError)
					if !errors.As(err, &refused) || len(refused.Findings) != len(test.wrong) ||
						len(w.calls) > 0 {
						t.Fatalf("%v, wrote %v", err, w.calls)
					}
					for i, f := range refused.Findings {
						if !strings.HasPrefix(f.Message, test.wrong[i]) ||
							!strings.Contains(f.Hint, "by hand, push, and run the same command again") {
							t.Errorf("finding %q, hint %q", f.Message, f.Hint)
						}
					}
				}
				return
			}
			if err != nil || dryErr != nil || asked != 1 {
				t.Fatalf("error %v, of the dry run %v, asked %d times", err, dryErr, asked)
			}
			var got []string
			for _, change := range changesOf(result) {
				if !strings.Contains(change, "w01/eksa-system/eksa-cluster.yaml") &&
					!strings.Contains(change, "w01/eksa-system/kustomization.yaml") {
					got = append(got, change)
				}
			}
			equal(t, "changes", got, test.changes)
			for _, r := range []*gitops.Result{dry, result} {
				objects := r.Clusters[0].Objects
				equal(t, "objects", objects[len(objects)-len(test.objects):], test.objects)
				if len(test.objects) == 0 && strings.Contains(strings.Join(objects, " "), "Package") {
					t.Errorf("objects %q", objects)
				}
			}
			after := w.branches["main"].files
			for file, content := range before {
				changed := strings.HasPrefix(file, root+"w01/eksa-system/")
				for _, change := range test.changes {
					changed = changed || strings.HasSuffix(change, " "+file)
				}
				if is := after[file]; !changed && is != content {
					t.Errorf("%s is %q", file, is)
				}
			}
			for file, content := range test.files {
				if is := after[file]; is != content {
					t.Errorf("%s is %q", file, is)
				}
			}
			if !heard.told(test.note) {
				t.Errorf("notes %q", heard.all)
			}
		})
	}
}

// TestDelete_dependentsAlone: the cluster and its files are gone, by whomever, and what was in its namespace
// stops Flux: the same command takes it out.
func TestDelete_dependentsAlone(t *testing.T) {
	t.Parallel()
	w := fleetWorld(t, onGitHub, "w01")
	deleteClusters(t, w, doomed(t, onGitHub, "w01"))
	const file = "clusters/dev/packages/w01.yaml"
	w.commitOther("main",
		func(files map[string]string) { files[file] = curated("eksa-packages-w01", "harbor") })
	w.forget()
	result := deleteClusters(t, w, doomed(t, onGitHub, "w01"))
	equal(t, "changes", changesOf(result), []string{"delete " + file})
	if result.Clusters[0].SpecPath != "" || !result.Clusters[0].Gone {
		t.Errorf("%+v", result.Clusters[0])
	}
	w.forget()
	if again := deleteClusters(t, w, doomed(t, onGitHub, "w01")); again.Changed || len(w.effects) > 0 {
		t.Errorf("a second run wrote %v", w.effects)
	}
}
