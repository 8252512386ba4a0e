package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// The files of a cluster are rendered without a network and without a cluster.
func TestRender(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"testdata/dev.yaml"}, &out); err != nil {
		t.Fatal(err)
	}
	var tree map[string]string
	if err := json.Unmarshal(out.Bytes(), &tree); err != nil {
		t.Fatalf("%v:\n%s", err, &out)
	}
	want := []string{"clusters/dev/dev/eksa-system/eksa-cluster.yaml",
		"clusters/dev/dev/eksa-system/kustomization.yaml"}
	if got := slices.Sorted(maps.Keys(tree)); !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
	if spec := tree[want[0]]; !strings.Contains(spec, "count: 2 # scaled through Git") {
		t.Errorf("the specification in the repository is\n%s", spec)
	}
}

// What is wrong with a file is told with its place.
func TestRender_invalid(t *testing.T) {
	spec, err := os.ReadFile("testdata/dev.yaml")
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, bytes.Replace(spec, []byte("count: 3"), []byte("count: many"), 1),
		0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = run(t.Context(), []string{broken}, &out)
	if err == nil || !strings.Contains(err.Error(), "broken.yaml:8") || out.Len() > 0 {
		t.Errorf("error %v, output %q", err, &out)
	}
}

// All that a creation misses is found before anything is connected to.
func TestCreate_refused(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(),
		[]string{"-kubeconfig", filepath.Join(t.TempDir(), "none"), "-key", "none", "testdata/dev.yaml"},
		&out)
	refused, ok := errors.AsType[*gitops.PreflightError](err)
	if !ok || len(refused.Findings) != 3 {
		t.Errorf("error %v, want one about the kubeconfig, the known hosts and the key", err)
	}
	if !strings.Contains(out.String(), `"status": "refused"`) {
		t.Errorf("the result is\n%s", &out)
	}
}
