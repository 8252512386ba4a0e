package lint_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// definitions are components whose kinds have versions, as Flux's own have.
const definitions = components + `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gitrepositories.source.toolkit.fluxcd.io
spec:
  group: source.toolkit.fluxcd.io
  names: {kind: GitRepository, plural: gitrepositories}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        properties:
          spec:
            properties:
              interval: {type: string}
              url: {type: string}
              ref: {type: object, properties: {branch: {type: string}}}
              secretRef: {type: object, properties: {name: {type: string}}}
              include: {type: array, items: {type: object, properties: {fromPath: {type: string}}}}
  - {name: v1beta2, served: false, storage: false}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: kustomizations.kustomize.toolkit.fluxcd.io
spec:
  group: kustomize.toolkit.fluxcd.io
  names: {kind: Kustomization, plural: kustomizations}
  versions:
  - {name: v1, served: true, storage: true}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: alerts.notification.toolkit.fluxcd.io
spec:
  group: notification.toolkit.fluxcd.io
  names: {kind: Alert, plural: alerts}
  versions:
  - {name: v1beta3, served: true, storage: true}
`

// TestCheckRepository_fluxVersion: objects of Flux's in versions that its own definitions do not serve are
// errors, wherever Flux applies them, and nothing else is.
func TestCheckRepository_fluxVersion(t *testing.T) {
	t.Parallel()
	whole := func() repository {
		r := newRepository(t)
		r.remove(flux + "/gotk-components.yaml")
		r.put(flux+"/gotk-components.yaml", definitions)
		return r
	}
	const alert = "apiVersion: notification.toolkit.fluxcd.io/v1beta2\nkind: Alert\nmetadata:\n" +
		"  name: ops\n  namespace: flux-system\nspec: {}\n"
	for name, c := range map[string]struct {
		edit func(repository)
		want []string
	}{
		"served": {edit: func(r repository) {
			r.put(root+"/alerts.yaml", strings.Replace(alert, "v1beta2", "v1beta3", 1))
		}},
		"sync": {
			edit: func(r repository) {
				r.replace(flux+"/gotk-sync.yaml", "source.toolkit.fluxcd.io/v1",
					"source.toolkit.fluxcd.io/v1beta2")
				r.replace(flux+"/gotk-sync.yaml", "kustomize.toolkit.fluxcd.io/v1",
					"kustomize.toolkit.fluxcd.io/v1beta1")
			},
			want: []string{
				flux +
					"/gotk-sync.yaml:1:13 GitRepository flux-system/flux-system source.toolkit.fluxcd.io/v1",
				flux + "/gotk-sync.yaml:14:13 Kustomization flux-system/flux-system " +
					"kustomize.toolkit.fluxcd.io/v1",
			},
		},
		"own file that Flux applies": {
			edit: func(r repository) { r.put(root+"/monitoring/alerts.yaml", "# who is told\n---\n"+alert) },
			want: []string{root +
				"/monitoring/alerts.yaml:3:13 Alert flux-system/ops notification.toolkit.fluxcd.io/v1beta3"},
		},
		"own file that Flux does not apply": {edit: func(r repository) {
			r.put("elsewhere/alerts.yaml", alert)
			r.put(root+"/off/kustomization.yaml", "resources: [on.yaml]\n")
			r.put(root+"/off/on.yaml",
				"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n")
			r.put(root+"/off/alerts.yaml", alert)
		}},
		"kinds that are not Flux's": {edit: func(r repository) {
			r.put(root+"/tf.yaml", "apiVersion: infra.toolkit.fluxcd.io/v1alpha1\nkind: Terraform\n"+
				"metadata: {name: x, namespace: default}\n")
		}},
		"patches": {
			edit: func(r repository) {
				r.put(flux+"/kustomization.yaml", r.text(flux+"/kustomization.yaml")+`patches:
- path: sync-patch.yaml
- patch: |-
    # often enough
    apiVersion: source.toolkit.fluxcd.io/v1beta2
    kind: GitRepository
    metadata: {name: flux-system, namespace: flux-system}
    spec: {interval: 5m}
`)
				r.put(flux+"/sync-patch.yaml",
					"apiVersion: kustomize.toolkit.fluxcd.io/v1beta2\nkind: Kustomization\n"+
						"metadata: {name: flux-system, namespace: flux-system}\nspec: {interval: 1h}\n")
			},
			want: []string{
				flux + "/kustomization.yaml:10:10 GitRepository flux-system/flux-system " +
					"source.toolkit.fluxcd.io/v1",
				flux + "/sync-patch.yaml:1:13 Kustomization flux-system/flux-system " +
					"kustomize.toolkit.fluxcd.io/v1",
			},
		},
		"lists": {
			edit: func(r repository) {
				r.put(root+"/list.yaml", "apiVersion: v1\nkind: List\nitems:\n"+
					"- {apiVersion: notification.toolkit.fluxcd.io/v1beta1, kind: Alert, metadata: {name: "+
					"a, namespace: default}}\n")
			},
			want: []string{root + "/list.yaml:4:16 Alert default/a notification.toolkit.fluxcd.io/v1beta3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := whole()
			c.edit(r)
			kinds, err := lint.ReadFluxKinds([]byte(definitions))
			if err != nil {
				t.Fatal(err)
			}
			alone, err := lint.CheckFluxVersions(lint.Tree(r), root, kinds)
			if err != nil {
				t.Fatal(err)
			}
			var all []clusterspec.Problem
			report := check(t, lint.Tree(r), nil)
			for _, p := range report.Problems {
				if p.Rule == "flux-version" {
					all = append(all, p)
				}
			}
			for _, problems := range [][]clusterspec.Problem{alone, all} {
				var got []string
				for _, p := range problems {
					got = append(got,
						fmt.Sprintf("%s:%d:%d %s %s", p.File, p.Line, p.Column, p.Object, p.Expected))
					if p.Severity != clusterspec.SeverityError ||
						!strings.Contains(p.Message, "Flux then applies nothing of clusters/dev") ||
						report.Sources[p.File] == nil {
						t.Errorf("%+v", p)
					}
				}
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
			if report.Fleets[0].Broken != (len(c.want) > 0) {
				t.Errorf("broken: %v", report.Fleets[0].Broken)
			}
		})
	}
}

// TestUpdateVersions: a file gets served versions in place, and only when the objects mean the same
// afterwards.
func TestUpdateVersions(t *testing.T) {
	t.Parallel()
	kinds, err := lint.ReadFluxKinds([]byte(definitions))
	if err != nil {
		t.Fatal(err)
	}
	older := strings.NewReplacer("source.toolkit.fluxcd.io/v1\n",
		"\"source.toolkit.fluxcd.io/v1beta2\" # as bootstrap wrote it\n", "kustomize.toolkit.fluxcd.io/v1\n",
		"kustomize.toolkit.fluxcd.io/v1beta2\n").Replace(sync)
	after, changed, err := kinds.UpdateVersions("gotk-sync.yaml", []byte("# ours\n"+older))
	want := "# ours\n" + strings.Replace(sync, "source.toolkit.fluxcd.io/v1\n",
		"\"source.toolkit.fluxcd.io/v1\" # as bootstrap wrote it\n", 1)
	if err != nil || string(after) != want || len(changed) != 2 ||
		changed[0].APIVersion != "source.toolkit.fluxcd.io/v1beta2" ||
		changed[1].Instead != "kustomize.toolkit.fluxcd.io/v1" {
		t.Errorf("%v, %v:\n%s", changed, err, after)
	}
	if again, changed, err := kinds.UpdateVersions("gotk-sync.yaml", after); err != nil || len(changed) > 0 ||
		string(again) != string(after) {
		t.Errorf("again: %v, %v:\n%s", changed, err, again)
	}
	for field, line := range map[string]string{
		"spec.gitImplementation": "  gitImplementation: libgit2",
		"spec.ref.gone":          "  ref: {branch: main, gone: 1}",
		"spec.include[].gone":    "  include: [{fromPath: a}, {gone: a}]",
	} {
		_, _, err := kinds.UpdateVersions("gotk-sync.yaml",
			[]byte("apiVersion: source.toolkit.fluxcd.io/v1beta2\nkind: GitRepository\n"+
				"metadata: {name: a, namespace: b}\nspec:\n"+line+"\n"))
		unknown := new(lint.UnknownFieldError)
		if !errors.As(err, &unknown) || unknown.Field != field || unknown.Line != 5 ||
			err.Error() != "gotk-sync.yaml:5: GitRepository b/a: source.toolkit.fluxcd.io/v1 has no "+field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
