package kustomize

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// repository is a directory of a web server, and one that builds on it.
func repository(kustomization string) map[string][]byte {
	return map[string][]byte{
		"base/kustomization.yaml": []byte("resources: [web.yaml]\n"),
		"base/web.yaml": []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1"}, {name: side, image: "side:1"}]
      volumes: [{name: data, image: {reference: "data:1"}}]
`),
		"top/kustomization.yaml": []byte(kustomization),
		"top/settings.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n" +
			"data: {color: red, size: large}\n"),
		"top/merge.yaml": []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n" +
			"spec: {replicas: 2}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n" +
			"data: {color: blue}\n"),
		"top/ops.yaml": []byte("- {op: replace, path: /spec/replicas, value: 3}\n" +
			"- {op: replace, path: /spec/template/spec/containers/0/image, value: \"web:json\"}\n"),
	}
}

const both = "resources: [../base, settings.yaml]\n"

// deprecated are kustomizations with fields that have a present form.
var deprecated = map[string]string{
	"bases":        "bases: [../base]\nresources: [settings.yaml]\n",
	"commonLabels": both + "commonLabels: {team: fleet, app: own}\n",
	"commonLabels with labels": both +
		"commonLabels: {team: fleet}\nlabels: [{pairs: {team: other, tier: one}}]\n",
	"imageTags": both +
		"imageTags: [{name: web, newTag: \"2\"}]\nimages: [{name: side, newTag: \"3\"}]\n",
	"merge patches in a file": both + "patchesStrategicMerge: [merge.yaml]\n",
	"merge patches, inline": both + "patchesStrategicMerge:\n- |-\n  apiVersion: v1\n  kind: ConfigMap\n" +
		"  metadata: {name: settings}\n  data: {size: small}\n- |-\n  $patch: delete\n" +
		"  apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web}\n",
	"merge patches before the others": both +
		"patchesStrategicMerge: [merge.yaml]\npatches:\n- target: {kind: Deployment}\n" +
		"  patch: '[{\"op\": \"test\", \"path\": \"/spec/replicas\", \"value\": 2}, {\"op\": \"replace\", " +
		"\"path\": \"/spec/replicas\", \"value\": 9}]'\n",
	"JSON patches": both + "patchesJson6902: [{target: {group: apps, version: v1, kind: Deployment, name: " +
		"web}, path: ops.yaml}]\n",
	"JSON patches, after others": both + "patches:\n- target: {kind: Deployment}\n" +
		"  patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 9}]'\n" +
		"patchesJson6902: [{target: {version: v1, group: apps, kind: Deployment, name: web}, patch: " +
		"'[{\"op\": \"test\", \"path\": \"/spec/replicas\", \"value\": 9}]'}]\n",
	"JSON patches, after names": both + "namespace: apps\nnamePrefix: a-\n" +
		"patchesJson6902: [{target: {version: v1, group: apps, kind: Deployment, name: web}, patch: " +
		"'[{\"op\": \"replace\", \"path\": \"/metadata/name\", \"value\": \"own\"}]'}]\n",
	"JSON patches, before images and replicas": both +
		"namespace: apps\nimages: [{name: \"web\", newTag: last}, {name: data, newTag: last}]\n" +
		"replicas: [{name: web, count: 7}]\nreplacements: [{source: {kind: ConfigMap, fieldPath: " +
		"data.color}, targets: [{select: {kind: Deployment}, fieldPaths: [metadata.name]}]}]\n" +
		"patchesJson6902: [{target: {version: v1, group: apps, kind: Deployment, name: web}, path: " +
		"ops.yaml}]\n",
	"all of them": "bases: [../base]\nresources: [settings.yaml]\nnamespace: apps\n" +
		"commonLabels: {team: fleet}\nimageTags: [{name: web, newTag: last}]\n" +
		"patchesStrategicMerge: [merge.yaml]\npatchesJson6902: [{target: {version: v1, group: apps, kind: " +
		"Deployment, name: web}, path: ops.yaml}]\n",
	"empty": both + "bases: []\ncommonLabels: {}\nimageTags: []\npatchesJson6902: []\n" +
		"patchesStrategicMerge: []\nvars: []\n",
}

// What kustomize would say something about is built without a word, and just as kustomize itself builds it.
func TestBuild_deprecated(t *testing.T) {
	t.Parallel()
	for name, kustomization := range deprecated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := repository(kustomization)
			isFile := func(beside string) bool { return files[path.Join("top", beside)] != nil }
			renewed, field := renew(files["top/kustomization.yaml"], isFile)
			if field != "" {
				t.Fatalf("the field %s has no present form", field)
			}
			var before, after types.Kustomization
			if err := errors.Join(before.Unmarshal([]byte(kustomization)),
				after.Unmarshal(renewed)); err != nil {
				t.Fatal(err)
			}
			if len(*before.CheckDeprecatedFields()) == 0 {
				t.Error("kustomize would say nothing")
			}
			if warnings := *after.CheckDeprecatedFields(); len(warnings) > 0 {
				t.Errorf("kustomize would still say %q of:\n%s", warnings, renewed)
			}
			got, err := Build(files, "top", AllFiles)
			if err != nil {
				t.Fatal(err)
			}
			out, err := got.AsYaml()
			if err != nil {
				t.Fatal(err)
			}
			if want := plain(t, files); string(out) != want {
				t.Errorf("built\n%s\nwant, as kustomize builds it\n%s", out, want)
			}
		})
	}
}

// plain builds with kustomize alone, which writes its warnings to the test's standard error.
func plain(t *testing.T, files map[string][]byte) string {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := memory.WriteFile("/"+name, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	built, err := build(memory, "/top", AllFiles)
	if err != nil {
		t.Fatal(err)
	}
	out, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What has no present form is named, with the file; a file that the build does not read is nobody's business.
func TestBuild_unsupported(t *testing.T) {
	t.Parallel()
	json := "patchesJson6902: [{target: {version: v1, group: apps, kind: Deployment, name: web}, path: " +
		"ops.yaml}]\n"
	for kustomization, field := range map[string]string{
		both + "vars: [{name: COLOR, objref: {kind: ConfigMap, name: settings, apiVersion: v1}, fieldref: " +
			"{fieldpath: data.color}}]\n": "vars",
		both + "namespace: apps\nimages: [{name: web, newTag: last}]\nconfigurations: [images.yaml]\n" +
			json: "patchesJson6902",
	} {
		files := repository(kustomization)
		_, err := Build(files, "top", AllFiles)
		unsupported := new(UnsupportedError)
		if !errors.As(err, &unsupported) ||
			*unsupported != (UnsupportedError{File: "top/kustomization.yaml", Field: field}) {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := Build(files, "base", Directory); err != nil {
			t.Errorf("%s: another directory: %v", field, err)
		}
	}
}

// A kustomization without deprecated fields, and one that cannot be read, stay as they are.
func TestRenew_same(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"# mine\nresources: [a.yaml] # and why\n", "resources: [a.yaml\n",
		"nosuch: field\nbases: [x]\n", ""} {
		if renewed, field := renew([]byte(content), nil); string(renewed) != content || field != "" {
			t.Errorf("%q became %q, %s", content, renewed, field)
		}
	}
}

// The bounds are kustomize's.
func TestBuild_bounds(t *testing.T) {
	t.Parallel()
	files := repository("resources: [../base/web.yaml]\n")
	if _, err := Build(files, "top", AllFiles); err != nil {
		t.Error(err)
	}
	if _, err := Build(files, "top", Directory); err == nil ||
		!strings.Contains(err.Error(), "is not in or below '/top'") {
		t.Errorf("a file from elsewhere: %v", err)
	}
}
