package clusterspec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// addCorpus makes every file of the corpus a seed.
func addCorpus(f *testing.F) {
	f.Helper()
	for _, dir := range []string{"valid", "invalid"} {
		for _, file := range specFiles(f, dir) {
			data, err := fixture.Read(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// FuzzParse: no input makes the reader panic, and what it accepts renders to something it accepts and that
// renders to itself.
func FuzzParse(f *testing.F) {
	addCorpus(f)
	for _, separator := range []string{"\uFEFF---\n", "--- # c\n", "...\n%YAML 1.2\n---\n", "----\n",
		"\u2014\n", "--- &a\n", "---\t\n", "", "<<<<<<< a\n"} {
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

// FuzzEdited changes one line of a valid file, which stays valid more often than what random bytes make, so
// that the splicing of text is reached: comments, blank lines, block scalars and flow style in every place.
func FuzzEdited(f *testing.F) {
	files := specFiles(f, "valid")
	for i := range files {
		for operation := range uint8(4) {
			f.Add(uint8(i), uint8(7*i), operation, "  # a comment")
		}
	}
	for _, text := range []string{"status:", "  finalizers:", "  uid: |\n    x\n   \n",
		"  annotations: {anywhere.eks.amazonaws.com/managed-by-cli: \"true\"}", "  namespace:",
		"  branch: ''", "  systemNamespace: ~ # none", "status: {\n}", "\t",
		"  creationTimestamp: \"a\n    b\"", "x: &a {b: c}\ny: *a", "  labels:\n    <<: {a: b}\n    a: c",
		"\u2028", "...", "--- !!map", "%YAML 1.1"} {
		for at := range uint8(10) {
			f.Add(uint8(4*at), at, uint8(0), text)
		}
	}
	f.Fuzz(func(t *testing.T, file, at, operation uint8, text string) {
		data, err := fixture.Read(files[int(file)%len(files)])
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

// FuzzMerge changes two lines each of a valid file on two sides and holds the merge to its promises: it is
// valid if it can be read at all, every edit that stands alone is in it, and nothing else.
func FuzzMerge(f *testing.F) {
	files := specFiles(f, "valid")
	texts := []string{
		"status: {}", "  labels: {a: b}", "  labels:\n    a: c # why", "  - name: md-7\n    count: 3",
		"    # a comment", "    count: 7 # seven", "", "---", "  x:\n    - y\n    - z",
		"  description: |\n    text\n\n    more", "  kubernetesVersion: 1.30",
		"  taints: [{key: a, value: b, effect: NoSchedule}]", "    labels: &l {a: b}", "\t", "  numCPUs: '4'",
		"      - 10.0.0.0/8", "    - key: a\n      effect: NoExecute", "    labels:\n      <<: {a: b}",
	}
	for i := range files {
		for n := range uint8(6) {
			f.Add(uint8(i), 3*n+uint8(i), n, texts[(int(n)+i)%len(texts)], 5*n+2*uint8(i), n/2,
				texts[(3*int(n)+2*i)%len(texts)])
		}
	}
	f.Fuzz(func(t *testing.T, file, at, operation uint8, text string, theirAt, theirOperation uint8,
		theirText string) {
		data, err := fixture.Read(files[int(file)%len(files)])
		if err != nil {
			t.Fatal(err)
		}
		base := string(data)
		ours, theirs := editLine(base, at, operation, text),
			editLine(base, theirAt, theirOperation, theirText)
		merged, err := clusterspec.Merge(source("base.yaml", base), source("ours.yaml", ours),
			source("theirs.yaml", theirs))
		if err != nil {
			return
		}
		checkMergeLaws(t, base, ours, theirs, merged)
		checkMergedValues(t, base, ours, theirs, merged)
	})
}

func editLine(text string, at, operation uint8, with string) string {
	lines := strings.SplitAfter(text, "\n")
	i := int(at) % len(lines)
	switch operation % 5 {
	case 0:
		lines[i] = with + "\n" + lines[i]
	case 1:
		lines[i] = strings.TrimRight(lines[i], "\n") + with + "\n"
	case 2:
		lines[i] = ""
	case 3:
		lines[i] = with + "\n"
	case 4:
		lines[i] += lines[(i+1)%len(lines)]
	}
	return strings.Join(lines, "")
}

// checkMergedValues compares the values of the four texts, leaf by leaf, knowing nothing of how the merge was
// made.
func checkMergedValues(t *testing.T, base, ours, theirs string, merged *clusterspec.Merged) {
	t.Helper()
	var sides [4]map[string]string
	for i, text := range []string{base, ours, theirs, string(merged.Overwriting)} {
		set, err := clusterspec.Parse([]clusterspec.Source{source("text.yaml", text)})
		if err != nil {
			return // only values are compared here, and Parse reads all of them only when there is no error
		}
		sides[i] = map[string]string{}
		objects := set.Unused
		for _, c := range set.Clusters {
			objects = append(objects, c.Objects...)
		}
		for _, o := range objects {
			flatten(o.Label()+": ", "", o.Decoded(), sides[i])
		}
	}
	var unnamed []string
	for _, paths := range sides {
		for path := range paths {
			if list, ok := strings.CutSuffix(path, "[unnamed]"); ok {
				unnamed = append(unnamed, list)
			}
		}
	}
	for _, paths := range sides {
		for path := range paths {
			if slices.ContainsFunc(unnamed,
				func(list string) bool { return strings.HasPrefix(path, list+"[") && path != list+"[]" }) {
				continue
			}
			b, o, th, got := sides[0][path], sides[1][path], sides[2][path], sides[3][path]
			want := o
			if b == o {
				want = th
			}
			alone := b == o || b == th || o == th
			for _, c := range merged.Conflicts {
				if strings.HasPrefix(path, c.Object+": "+c.Field) {
					want, alone = o, true
				}
			}
			if !alone && (strings.HasSuffix(path, "ersion") || strings.HasSuffix(path, "[]")) {
				continue // 1.30 and "1.30" are the same; lists with keys may be merged
			}
			if !alone {
				t.Errorf("%s: base %s, ours %s, theirs %s is no conflict", path, b, o, th)
			}
			if got != want && !strings.HasSuffix(path, "ersion") && !strings.HasSuffix(path, "[]") {
				t.Errorf("%s: base %q, ours %q, theirs %q, merged %q", path, b, o, th, got)
			}
			if strings.HasSuffix(path, "[]") && alone && o != th && got != want && (b == o || b == th) {
				t.Errorf("%s: base %s, ours %s, theirs %s, merged %s", path, b, o, th, got)
			}
		}
	}
}

// flatten gives the leaves of a value by their paths: those of lists as a whole, and, where all items have
// names, of each item.
func flatten(object, path string, value any, out map[string]string) {
	switch value := value.(type) {
	case nil:
	case map[string]any:
		for key, child := range value {
			joined := key
			if strings.ContainsAny(key, "./[]") || key == "" {
				joined = path + "[" + key + "]"
			} else if path != "" {
				joined = path + "." + key
			}
			flatten(object, joined, child, out)
		}
	case []any:
		encoded, _ := json.Marshal(value)
		out[object+path+"[]"] = string(encoded)
		items := map[string]any{}
		for _, item := range value {
			named, _ := item.(map[string]any)
			if name, _ := named["name"].(string); name != "" {
				items[name] = item
			}
		}
		if len(items) < len(value) ||
			!strings.HasSuffix(path, "workerNodeGroupConfigurations") && !strings.HasSuffix(path, "users") {
			out[object+path+"[unnamed]"] = path
			return
		}
		for name, item := range items {
			flatten(object, path+"["+name+"]", item, out)
		}
	default:
		out[object+path] = fmt.Sprintf("%T %v", value, value)
	}
}

// FuzzCompareSets: whatever two states of a file hold, comparing them gives changes in order, each with a
// verdict, and the same ones every time.
func FuzzCompareSets(f *testing.F) {
	for _, name := range []string{"vsphere-external-etcd", "tinkerbell-template", "oidc-and-iam",
		"cloudstack-workload-github", "docker-fleet"} {
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
