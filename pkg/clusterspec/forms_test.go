package clusterspec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// inUTF16 encodes a text with a byte order mark.
func inUTF16(text string, order binary.AppendByteOrder) string {
	var out []byte
	for _, unit := range append([]uint16{0xFEFF}, utf16.Encode([]rune(text))...) {
		out = order.AppendUint16(out, unit)
	}
	return string(out)
}

// asJSON gives the documents of a file in JSON, one after the other.
func asJSON(t *testing.T, text, separator string) string {
	t.Helper()
	var documents []string
	for document := range strings.SplitSeq(text, "---\n") {
		converted, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(converted))
	}
	return strings.Join(documents, separator)
}

// TestParse_formsOfYAML: one file of three documents in every form that YAML allows reads as the same
// objects, and renders as something that both of EKS Anywhere's readers read to the end.
func TestParse_formsOfYAML(t *testing.T) {
	t.Parallel()
	base := readSpec(t, "docker-management-github")
	separated := func(separator string) string { return strings.ReplaceAll(base, "---\n", separator) }
	documents := strings.Split(base, "---\n")
	forms := map[string]string{
		"CRLF":                           strings.ReplaceAll(base, "\n", "\r\n"),
		"CR":                             strings.ReplaceAll(base, "\n", "\r"),
		"mixed line ends":                strings.Replace(base, "\n", "\r\n", 5),
		"byte order mark":                "\uFEFF" + base,
		"byte order mark and CRLF":       "\uFEFF" + strings.ReplaceAll(base, "\n", "\r\n"),
		"byte order mark and separator":  "\uFEFF---\n" + base,
		"byte order mark before each":    "\uFEFF" + separated("---\n\uFEFF"),
		"byte order mark after an end":   separated("...\n\uFEFF"),
		"UTF-16 little endian":           inUTF16(base, binary.LittleEndian),
		"UTF-16 big endian":              inUTF16(strings.ReplaceAll(base, "\n", "\r\n"), binary.BigEndian),
		"separator with blanks":          separated("---  \t \n"),
		"separator with a tab":           separated("---\t\n"),
		"separator with a comment":       separated("--- # next\n"),
		"separator with tab and comment": separated("---\t# next\n"),
		"comments around separators":     separated("# before\n---\n# after\n"),
		"separator at both ends":         "---\n" + base + "---\n",
		"many separators":                separated("---\n---\n\n---\n"),
		"documents of comments":          separated("---\n# nothing\n---\n  # here\n---\n"),
		"documents of null":              separated("---\n~\n---\nnull # nothing\n---\n"),
		"end markers":                    separated("...\n---\n"),
		"end markers alone":              separated("...\n"),
		"end markers with comments":      separated("... # over\n# between\n---\n"),
		"end marker at the end":          base + "...\n",
		"directives":                     "%YAML 1.2\n---\n" + separated("...\n%YAML 1.2\n---\n"),
		"tag directive":                  "%TAG !e! tag:example.com,2000:\n---\n" + base,
		"unknown directive":              "%FUTURE x y\n# comment\n---\n" + base,
		"directive and comment":          "# first\n%YAML 1.1 # old\n--- # begin\n" + base,
		"no line end at the end":         strings.TrimSuffix(base, "\n"),
		"blank lines at the end":         base + "\n\n  \n",
		"tabs after colons":              strings.ReplaceAll(base, "name: dev\n", "name:\tdev\t\n"),
		"tab before a comment": strings.ReplaceAll(base, "kind: FluxConfig\nmeta",
			"kind: FluxConfig\t# x\nmeta"),
		"tag on the separator":    separated("--- !!map\n"),
		"anchor on the separator": separated("--- &all\n"),
		"JSON":                    asJSON(t, base, "\n---\n"),
		"JSON on the separator":   "--- " + asJSON(t, base, "\n--- "),
		"JSON with tabs":          strings.ReplaceAll(asJSON(t, base, "\n---\n"), ",", ",\n\t\t"),
		"JSON with end markers":   asJSON(t, base, "\n...\n"),
		"flow style over lines":   strings.ReplaceAll(asJSON(t, base, "\n---\n"), ",", "\n  ,"),
		"first document on the marker": "--- {apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: " +
			"DockerDatacenterConfig, metadata: {name: dev}, spec: {}}\n---\n" + documents[0] + "---\n" +
			documents[2],
		"comments above and below": "# top\n\n" + separated("# end\n\n---\n\n# begin\n") + "\n# bottom",
		"aliases": strings.ReplaceAll(
			strings.Replace(base, "  name: dev\nspec:\n  kub", "  name: &n dev\nspec:\n  kub", 1),
			"kind: DockerDatacenterConfig\n    name: dev", "kind: DockerDatacenterConfig\n    name: *n"),
		"anchors nobody uses": strings.ReplaceAll(base, "spec:\n", "spec: &s\n"),
		"quoted keys": strings.NewReplacer("apiVersion:", `"apiVersion":`, "kind:", "'kind':", "name:",
			`"name" :`).Replace(base),
		"explicit keys": strings.ReplaceAll(base, "kind: FluxConfig\nmetadata:\n  name: dev",
			"? kind\n: FluxConfig\n? metadata\n: name: dev"),
		"deeper indentation": documents[0] + "---\n" + documents[1] + "---\n" +
			regexp.MustCompile(`(?m)^( +)`).ReplaceAllString(documents[2], "$1$1$1"),
		"folded and literal": strings.ReplaceAll(base, "owner: octo", "owner: >-\n      octo"),
		"quotes over lines":  strings.ReplaceAll(base, "owner: octo", "owner: \"oc\\\n      to\""),
		"strings with tags":  strings.ReplaceAll(base, "owner: octo", "owner: !!str octo"),
		"escapes":            strings.ReplaceAll(base, "owner: octo", `owner: "\x6fct\u006F"`),
	}
	want := map[string]map[string]any{}
	for _, o := range parseText(base).Clusters[0].Objects {
		want[o.Label()] = o.Decoded()
	}
	for name, text := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := clusterspec.Parse([]clusterspec.Source{{Name: "spec.yaml", Data: []byte(text)}})
			if err != nil || len(set.Warnings) > 0 || len(set.Clusters) != 1 ||
				len(set.Clusters[0].Objects) != len(want) {
				t.Fatalf("%v %v\n%q", err, set.Warnings, text)
			}
			for _, o := range set.Clusters[0].Objects {
				if !reflect.DeepEqual(o.Decoded(), want[o.Label()]) {
					t.Errorf("%s reads as\n%v\nwant\n%v", o.Label(), o.Decoded(), want[o.Label()])
				}
			}
			checkRendering(t, set.Clusters[0])
			first := clusterspec.Render(set.Clusters[0])
			again, err := clusterspec.Parse([]clusterspec.Source{{Name: "spec.yaml", Data: []byte(text)}})
			if err != nil || !bytes.Equal(clusterspec.Render(again.Clusters[0]), first) {
				t.Errorf("rendering the same text twice differs (%v)", err)
			}
		})
	}
}

// TestParse_notText: what is no text, or no text that YAML allows, is refused with its place, whatever it
// stands in.
func TestParse_notText(t *testing.T) {
	t.Parallel()
	base := readSpec(t, "docker-management-github")
	for name, test := range map[string]struct{ text, want string }{
		"NUL": {strings.Replace(base, "octo", "oc\x00to", 1),
			`spec.yaml:41:14: a control character, which YAML does not allow; found U+0000`},
		"NUL at the end": {base + "\x00",
			"spec.yaml:43:1: a control character, which YAML does not allow; found U+0000"},
		"NUL between documents": {strings.Replace(base, "---\n", "---\n\x00\n", 1),
			"spec.yaml:28:1: a control character, which YAML does not allow; found U+0000"},
		"bell": {strings.Replace(base, "octo", "\a", 1),
			"spec.yaml:41:12: a control character, which YAML does not allow; found U+0007"},
		"form feed": {strings.Replace(base, "---\n", "---\n\f\n", 1),
			"spec.yaml:28:1: a control character, which YAML does not allow; found U+000C"},
		"Latin-1": {strings.Replace(base, "octo", "# \xE9", 1),
			"spec.yaml:41:14: not text in UTF-8; found byte 0xE9"},
		"cut in the middle": {base + "# \xE2\x82", "spec.yaml:43:3: not text in UTF-8; found byte 0xE2"},
		"UTF-16 without a mark": {inUTF16(base, binary.LittleEndian)[2:],
			"spec.yaml:1:2: a control character, which YAML does not allow; found U+0000"},
		"half a UTF-16 unit": {inUTF16(base, binary.LittleEndian) + "x",
			"spec.yaml:43: not text in UTF-16; expected text in UTF-8"},
		"half a UTF-16 pair": {inUTF16(base, binary.BigEndian) + "\xD8\x00",
			"spec.yaml:43: not text in UTF-16; expected text in UTF-8"},
		"compressed": {"\x1f\x8b\x08\x00",
			"spec.yaml:1:1: a control character, which YAML does not allow; found U+001F"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := clusterspec.Parse([]clusterspec.Source{{Name: "spec.yaml", Data: []byte(test.text)}})
			var problems clusterspec.Problems
			if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Rule != "not-yaml" ||
				problems[0].String() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
