package clusterspec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
)

// kubernetesReading is what Kubernetes' own readers make of a file: that of several documents, and that of
// one.
func kubernetesReading(content []byte) ([]any, error) {
	var all []any
	reader := k8syaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		encoded, err := yaml.YAMLToJSON(text)
		if err != nil {
			return nil, err
		}
		value, err := number(encoded)
		if err != nil {
			return nil, err
		}
		if value != nil {
			all = append(all, value)
		}
	}
}

// number reads JSON without making floats of integers.
func number(encoded []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// ourReading is what this package makes of the documents.
func ourReading(documents []*document) ([]any, error) {
	var all []any
	for _, d := range documents {
		encoded, err := json.Marshal(decode(d.root))
		if err != nil {
			return nil, err
		}
		value, err := number(encoded)
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

// sameReading compares, numbers by their value: 1.0 and 1 are one number.
func sameReading(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		other, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, errX := a.Float64()
		y, errY := other.Float64()
		return a == other || errX == nil && errY == nil && x == y &&
			(len(a) > 18 || strings.ContainsAny(string(a+other), ".eE"))
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, sameReading)
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(a) != len(other) {
			return false
		}
		for key, value := range a {
			if theirs, there := other[key]; !there || !sameReading(value, theirs) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// oddValues are forms that two readers of YAML may not read alike.
var oddValues = []string{
	"! 8192", "! {a: b}", "! [a]", "!!str 1", "&a 1", "*a", "0o17", "017", "1_000", "0x_1", "y", "on", "NULL",
	"~", ".inf", "2020-01-01", "12:30", "<<", "=", "|\n   x\n  y", "|1\n  x", ">-\n    x\n\n   \ty",
	"\"a\\\n   b\"", "'a\n\n b'", "\"\\x41\\u0042\\U00000043\\/\\N\"", "[a, b,]", "{a, b: }", "{a: 1, a: 2}",
	"? a", "- - a", "a\t# c", "\t# c", "\n\t# c", "# c\n\t# d", "x #c", "x# c", "\u0085", "\u2028x", "%a",
	"@a", "`a", "- a", "a: b", "!<tag:yaml.org,2002:str> 1", "!!binary aGk=", "1e3", "1.", "+1", "-0", "0b1",
	"9223372036854775808", "1.7976931348623157e309", "\"\\ud800\"", "a\r\nb", "",
}

// FuzzReadings: what is accepted means the same to Kubernetes' own readers, and so does what is written of
// it.
func FuzzReadings(f *testing.F) {
	for _, dir := range []string{"valid", "invalid"} {
		files, err := fixture.Glob("../../testdata/specs/" + dir + "/*.yaml")
		if err != nil || len(files) == 0 {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := fixture.Read(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, value := range oddValues {
		f.Add([]byte("a: " + value + "\nb:\n  " + value + "\n"))
		f.Add([]byte(value + "\n---\na: 1\n--- " + value + "\nb: 2\n...\nc: 3\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		source := Source{Name: "fuzz.yaml", Data: data}
		if content, bad := normalize(source); bad == nil && len(CheckReadings(source)) == 0 {
			if _, err := kubernetesReading([]byte(content)); err != nil {
				t.Fatalf("a file that is accepted cannot be read: %v", err)
			}
		}
		documents, problems := readDocuments(source, newLimits())
		for _, d := range documents {
			if len(problems) > 0 || len(d.duplicates) > 0 {
				break
			}
			theirs, err := kubernetesReading([]byte(d.body))
			ours, failed := ourReading([]*document{d})
			if err != nil || failed != nil || len(theirs) == 0 || !sameReading(ours[0], theirs[0]) {
				t.Fatalf("we read %v (%v), they %v (%v)", ours, failed, theirs, err)
			}
		}
		set, err := Parse([]Source{source})
		if err != nil {
			return
		}
		for _, c := range set.Clusters {
			text := Render(c)
			if problems := CheckReadings(Source{Name: "rendered.yaml", Data: text}); len(problems) > 0 {
				t.Fatalf("what is written is not read alike: %v\n%s", problems, text)
			}
			again, problems := readDocuments(Source{Name: "rendered.yaml", Data: text}, newLimits())
			ours, failed := ourReading(again)
			theirs, err := kubernetesReading(text)
			if len(problems) > 0 || failed != nil || err != nil ||
				!slices.EqualFunc(ours, theirs, sameReading) {
				t.Fatalf("of what is written we read %v (%v, %v), they %v (%v)\n%s",
					ours, problems, failed, theirs, err, text)
			}
		}
	})
}

// Each is refused, by the file alone and as a cluster spec, with the line.
func TestCheckReadings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: 1\nb: ! 8192\n":                        "f:2:4: wrong-type",
		"a: 1\n# c\n\t# d\nb: 2\n":                 "f:3:1: not-yaml",
		"# c\n\t# d\n---\na: 1\n":                  "f:2:1: not-yaml",
		"a: 1\n--- {b: 2}\n":                       "f:2:1: separator",
		"a: |\n  x\n---b\n":                        "f:3:1: not-yaml",
		"a: 1\n...\nb: 2\n":                        "f:3:1: not-yaml",
		"a:\n- x: [1, {z: ! 1}]\n":                 "f:2:14: wrong-type",
		"a: &b [1]\nc: *b\n---\nd: {<<: {x: 1}}\n": "",
		"a: 1\n---\n# c\n---\nb: 0o17\n":           "",
		"# c\n":                                    "",
		"":                                         "",
		"a: {b\n":                                  "f:1:1: not-yaml",
	} {
		got := ""
		for _, p := range CheckReadings(Source{Name: "f", Data: []byte(text)}) {
			got += fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Rule)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
