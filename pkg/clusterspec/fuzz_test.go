package clusterspec_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// addCorpus makes every file of the corpus a seed.
func addCorpus(f *testing.F) {
	f.Helper()
	for _, dir := range []string{"valid", "invalid"} {
		for _, file := range specFiles(f, dir) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// FuzzParse: no input makes the reader panic, and what it accepts renders to something it accepts and that renders to itself.
func FuzzParse(f *testing.F) {
	addCorpus(f)
	for _, separator := range []string{"\uFEFF---\n", "--- # c\n", "...\n%YAML 1.2\n---\n", "----\n", "\u2014\n", "--- &a\n", "---\t\n", "", "<<<<<<< a\n"} {
		f.Add([]byte(strings.ReplaceAll(readSpec(f, "docker-fleet"), "---\n", separator)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkAccepted(t, data)
	})
}

// checkAccepted parses, and holds what is accepted to what is promised of it.
func checkAccepted(t *testing.T, data []byte) {
	t.Helper()
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: "fuzz.yaml", Data: data}})
	if err != nil {
		if problems, ok := err.(clusterspec.Problems); !ok || len(problems) == 0 {
			t.Fatalf("the error is %T with nothing in it", err)
		}
		_ = err.Error()
		clusterspec.CompareSets(set, set)
		return
	}
	for _, c := range set.Clusters {
		checkRendering(t, c)
	}
	if changes := clusterspec.CompareSets(set, set); len(changes) != 0 {
		t.Fatalf("a set differs from itself: %+v", changes)
	}
}

// FuzzConvert: no input makes the converter panic, and what it writes it leaves alone the next time.
func FuzzConvert(f *testing.F) {
	addCorpus(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := clusterspec.Convert(clusterspec.Source{Name: "fuzz.yaml", Data: data})
		if err != nil {
			return
		}
		again, err := clusterspec.Convert(clusterspec.Source{Name: "again.yaml", Data: out})
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("converting twice: %v\n%s\n---- and ----\n%s", err, out, again)
		}
	})
}

// FuzzEdited changes one line of a valid file, which stays valid more often than what random bytes make, so that the splicing of
// text is reached: comments, blank lines, block scalars and flow style in every place.
func FuzzEdited(f *testing.F) {
	files := specFiles(f, "valid")
	for i := range files {
		for operation := range uint8(4) {
			f.Add(uint8(i), uint8(7*i), operation, "  # a comment")
		}
	}
	for _, text := range []string{"status:", "  finalizers:", "  uid: |\n    x\n   \n", "  annotations: {anywhere.eks.amazonaws.com/managed-by-cli: \"true\"}", "  namespace:", "  branch: ''", "  systemNamespace: ~ # none", "status: {\n}", "\t", "  creationTimestamp: \"a\n    b\"", "x: &a {b: c}\ny: *a", "  labels:\n    <<: {a: b}\n    a: c", "\u2028", "...", "--- !!map", "%YAML 1.1"} {
		for at := range uint8(10) {
			f.Add(uint8(4*at), at, uint8(0), text)
		}
	}
	f.Fuzz(func(t *testing.T, file, at, operation uint8, text string) {
		data, err := os.ReadFile(files[int(file)%len(files)])
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(data, []byte("\n"))
		i := int(at) % len(lines)
		switch operation % 4 {
		case 0:
			lines[i] = append([]byte(text+"\n"), lines[i]...)
		case 1:
			lines[i] = append(bytes.TrimRight(lines[i], "\n"), text+"\n"...)
		case 2:
			lines[i] = nil
		case 3:
			lines[i] = []byte(text + "\n")
		}
		checkAccepted(t, bytes.Join(lines, nil))
	})
}

// FuzzCompareSets: whatever two states of a file hold, comparing them gives changes in order, each with a verdict, and the same ones
// every time.
func FuzzCompareSets(f *testing.F) {
	for _, name := range []string{"vsphere-external-etcd", "tinkerbell-template", "oidc-and-iam", "cloudstack-workload-github", "docker-fleet"} {
		before := readSpec(f, name)
		f.Add([]byte(before), []byte(strings.ReplaceAll(before, "1.33", "1.34")))
		f.Add([]byte(before), []byte(strings.ReplaceAll(before, "name: md-0", "name: md-1")))
		f.Add([]byte(before), []byte(strings.ReplaceAll(before, "spec:\n", "spec: {}\nstatus:\n")))
		f.Add([]byte(before), []byte(strings.ReplaceAll(before, "count: ", "count: [] # ")))
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
		old, _ := clusterspec.Parse([]clusterspec.Source{{Name: "f", Data: before}})
		current, _ := clusterspec.Parse([]clusterspec.Source{{Name: "f", Data: after}})
		changes := clusterspec.CompareSets(old, current)
		for i, c := range changes {
			if c.Verdict == "" || c.Object == "" || c.Line < 1 || i > 0 && c.Cluster < changes[i-1].Cluster {
				t.Fatalf("change %d of %+v", i, changes)
			}
		}
		if again := clusterspec.CompareSets(old, current); !reflect.DeepEqual(changes, again) {
			t.Fatalf("comparing twice differs:\n%+v\n%+v", changes, again)
		}
	})
}
