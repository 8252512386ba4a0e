package clusterspec_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

func validSpec(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../testdata/specs/valid/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A pause is one line in the file, and its end takes that out again: all else stays, byte for byte.
func TestSetPaused(t *testing.T) {
	t.Parallel()
	const line = "    anywhere.eks.amazonaws.com/paused: \"true\"\n"
	plain := "# ours\n" + validSpec(t, "vsphere-workload-github")
	source := func(text string) clusterspec.Source {
		return clusterspec.Source{Name: "eksa-cluster.yaml", Data: []byte(text)}
	}
	paused, changed, err := clusterspec.SetPaused(source(plain), "dev", true)
	if err != nil || !slices.Equal(changed, []string{"Cluster dev"}) {
		t.Fatalf("%v, changed %v", err, changed)
	}
	if text := string(paused.Data); strings.Replace(strings.Replace(text, line, "", 1), "  annotations:\n",
		"", 1) != plain {
		t.Errorf("paused:\n%s", text)
	}
	if again, changed, err := clusterspec.SetPaused(paused, "dev", true); err != nil || len(changed) > 0 ||
		string(again.Data) != string(paused.Data) {
		t.Errorf("paused again: %v, changed %v", err, changed)
	}
	resumed, changed, err := clusterspec.SetPaused(paused, "dev", false)
	if err != nil || string(resumed.Data) != plain || !slices.Equal(changed, []string{"Cluster dev"}) {
		t.Errorf("%v, changed %v, resumed:\n%s", err, changed, resumed.Data)
	}
	if same, changed, err := clusterspec.SetPaused(resumed, "dev", false); err != nil || len(changed) > 0 ||
		string(same.Data) != plain {
		t.Errorf("resumed again: %v, changed %v", err, changed)
	}

	// Beside other annotations, on another object, and in another case: all of the file's pauses go.
	several := strings.Replace(string(paused.Data), line, line+"    owner: us\n", 1)
	several = strings.Replace(several, "kind: VSphereMachineConfig\nmetadata:\n",
		"kind: VSphereMachineConfig\nmetadata:\n  annotations:\n"+strings.ReplaceAll(line, "true", "True"), 1)
	out, changed, err := clusterspec.SetPaused(source(several), "dev", false)
	if err != nil || strings.Contains(string(out.Data), "paused") ||
		!strings.Contains(string(out.Data), "    owner: us\n") || len(changed) != 2 {
		t.Errorf("%v, changed %v:\n%s", err, changed, out.Data)
	}
	if _, _, err := clusterspec.SetPaused(source("kind: [\n"), "dev", true); !errors.As(err,
		new(clusterspec.Problems)) {
		t.Errorf("a broken file: %v", err)
	}
}

// What command line tools write for themselves goes, with the comment that belongs to it, and nothing else
// does.
func TestWithoutToolAnnotations(t *testing.T) {
	t.Parallel()
	file := clusterspec.Source{Name: "f", Data: []byte(validSpec(t, "server-set-fields"))}
	out, removed, err := clusterspec.WithoutToolAnnotations(file)
	if err != nil ||
		!slices.Equal(removed, []string{"Cluster dev: anywhere.eks.amazonaws.com/managed-by-cli"}) {
		t.Fatalf("%v, removed %v", err, removed)
	}
	if want := strings.Replace(string(file.Data), "    anywhere.eks.amazonaws.com/managed-by-cli: \"true\"\n",
		"", 1); string(out.Data) != want {
		t.Errorf("got\n%s", out.Data)
	}
	if again, removed, err := clusterspec.WithoutToolAnnotations(out); err != nil || len(removed) > 0 ||
		string(again.Data) != string(out.Data) {
		t.Errorf("again: %v, removed %v", err, removed)
	}
}

// Every annotation that acts where it should not be is told of, as an annotation and, of Flux's, as a label;
// every entry of the table that belongs to no file is kept out of files.
func TestAnnotations(t *testing.T) {
	t.Parallel()
	const prefix, flux = "anywhere.eks.amazonaws.com/", "kustomize.toolkit.fluxcd.io/"
	for text, want := range map[string]string{
		"annotations: {" + prefix + "paused: 'true'}":                       "warning paused",
		"annotations: {" + prefix + "paused: 'false'}":                      "",
		"annotations: {" + prefix + "managed-by-cli: 'true'}":               "warning cli-annotation",
		"annotations: {" + prefix + "management-components-version: v1}":    "warning cli-annotation",
		"annotations: {" + prefix + "tinkerbell-bootstrap-ip: 10.0.0.1}":    "warning cli-annotation",
		"annotations: {" + prefix + "allow-delete-when-paused: 'true'}":     "warning guard-lifted",
		"annotations: {" + prefix + "skip-ip-check: 'true'}":                "warning guard-lifted",
		"annotations: {" + prefix + "skip-eksa-version-skew-check: 'true'}": "warning guard-lifted",
		"annotations: {" + prefix + "managed-by: mgmt}":                     "",
		"annotations: {" + flux + "reconcile: disabled}":                    "warning paused",
		"labels: {" + flux + "reconcile: Disabled}":                         "warning paused",
		"labels: {" + prefix + "paused: 'true'}":                            "",
		"annotations: {" + flux + "prune: disabled}":                        "warning not-pruned",
		"annotations: {" + flux + "ssa: IfNotPresent}":                      "warning paused",
		"annotations: {" + flux + "ssa: Ignore}":                            "warning paused",
		"annotations: {" + flux + "ssa: Merge}":                             "",
		"annotations: {" + flux + "force: enabled}":                         "error force",
		"annotations: {example.com/paused: 'true'}":                         "",
	} {
		file := strings.Replace(validSpec(t, "vsphere-workload-github"), "metadata:\n  name: dev\n",
			"metadata:\n  name: dev\n  "+text+"\n", 1)
		set, err := clusterspec.Parse([]clusterspec.Source{{Name: "f.yaml", Data: []byte(file)}})
		var problems clusterspec.Problems
		if !errors.As(err, &problems) {
			problems = set.Warnings
		}
		got := ""
		for _, p := range problems {
			got += string(p.Severity) + " " + p.Rule
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, a := range clusterspec.Annotations() {
		if a.Does == "" || a.Place == "" {
			t.Errorf("%+v is not told of", a)
		}
		file := clusterspec.Source{Name: "f",
			Data: []byte("kind: Cluster\nmetadata:\n  name: dev\n  annotations: {" + a.Name + ": x}\n")}
		if _, removed, err := clusterspec.WithoutToolAnnotations(file); err != nil ||
			(len(removed) > 0) != (a.Place == clusterspec.PlaceNone && !strings.HasSuffix(a.Name, "/force")) {
			t.Errorf("%s: %v, removed %v", a.Name, err, removed)
		}
	}
}

// docs/annotations.md has every entry of the table, with its value and its place, and no others.
func TestAnnotations_documented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	if rows, entries := strings.Count(string(page), "\n| `"),
		len(clusterspec.Annotations()); rows != entries {
		t.Errorf("%d rows in docs/annotations.md, %d entries in the program", rows, entries)
	}
	for _, a := range clusterspec.Annotations() {
		value := "any"
		if a.Value != "" {
			value = "`" + a.Value + "`"
		}
		if !slices.ContainsFunc(strings.Split(string(page), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "| `"+a.Name+"` | "+value+" | ") &&
				strings.Contains(line, " | "+string(a.Place)+" | ")
		}) {
			t.Errorf("docs/annotations.md does not have %s with value %s, which belongs into %s",
				a.Name, value, a.Place)
		}
	}
}
