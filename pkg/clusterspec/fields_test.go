package clusterspec

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// sample gives a right and a wrong value for a field as YAML in flow style; wrong is empty when everything is
// right.
func sample(f *field) (right, wrong string) {
	wrong = "[[]]"
	switch f.Type {
	case "string":
		right = `"text"`
		switch {
		case len(f.Enum) > 0:
			right = strconv.Quote(f.Enum[0])
		case strings.HasSuffix(f.path, "ersion") && f.pattern != nil && strings.Contains(f.Pattern, "1\\."):
			right = `"1.33"`
		case f.name() == "eksaVersion":
			right = `"v0.26.0"`
		case f.path == "spec.datacenterRef.kind":
			right = `"VSphereDatacenterConfig"`
		case f.name() == "cpu" || f.name() == "memory":
			right = `"500m"`
		case f.name() == "socketListenAddress":
			right = `"unix:///var/run/kms.sock"`
		case f.name() == "tinkerbellIP" || f.name() == "ipStart" || f.name() == "ipEnd" ||
			f.name() == "gateway":
			right = `"10.0.0.1"`
		case f.name() == "subnet":
			right = `"10.0.0.0/24"`
		case strings.HasPrefix(f.Pattern, "^https"):
			right = `"https://example.com"`
		case f.name() == "httpProxy" || f.name() == "httpsProxy":
			right = `"proxy.example.com:3128"`
		case f.name() == "port":
			right = `"443"`
		case strings.HasSuffix(f.name(), "URL") || f.name() == "hookImagesURLPath":
			right = `"https://example.com/image"`
		case f.name() == "additionalTrustBundle" || f.name() == "data":
			right = strconv.Quote(certificate())
		case strings.HasPrefix(f.Pattern, "^sbe"):
			right = `"sbe-c.large"`
		case strings.HasPrefix(f.Pattern, "^/"):
			right = `"/text"`
		}
	case "integer":
		right = "1"
		if f.Min != nil {
			right = strconv.FormatInt(*f.Min, 10)
		}
	case "boolean":
		right = "true"
	case "object":
		right = "{}"
	case "list":
		right = "[]"
	case "strings":
		right = `["text"]`
	case "map":
		right = `{key: "text"}`
	case "quantity":
		right = "64Gi"
	case "duration":
		right = "10m"
	case "integer-or-percent":
		right = "40%"
	case "any":
		right, wrong = "{}", ""
	}
	return right, wrong
}

// certificate makes a certificate in PEM form.
var certificate = sync.OnceValue(func() string {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
})

// specWith gives an object of a kind that holds one field and what leads to it.
func specWith(kind, path, value string) string {
	for _, part := range slices.Backward(strings.Split(path, ".")) {
		name, list := strings.CutSuffix(part, "[]")
		if list {
			value = "[" + value + "]"
		}
		value = "{" + name + ": " + value + "}"
	}
	head := "apiVersion: " + APIVersion + "\nkind: " + kind + "\nmetadata: {name: dev}\n"
	if strings.HasPrefix(path, "metadata") {
		head = "apiVersion: " + APIVersion + "\nkind: " + kind + "\n"
	}
	if path == "apiVersion" || path == "kind" {
		return "metadata: {name: dev}\n" + value[1:len(value)-1] + "\n"
	}
	return head + value[1:len(value)-1] + "\n"
}

func problemsAt(t *testing.T, source, path string) []Problem {
	t.Helper()
	set, err := Parse([]Source{{Name: "f.yaml", Data: []byte(source)}})
	problems, _ := err.(Problems)
	var out []Problem
	for _, p := range append(slices.Clone(problems), set.Warnings...) {
		if p.Rule == "not-yaml" {
			t.Fatalf("%s\n%s", p, source)
		}
		if p.Field == path {
			out = append(out, p)
		}
	}
	return out
}

// TestFieldTable_everyRow puts each field of each kind alone into an object: with a right value, of a wrong
// type, misspelled.
func TestFieldTable_everyRow(t *testing.T) {
	t.Parallel()
	rules := []string{"wrong-type", "required", "invalid-value", "unknown-field"}
	kinds := fields().order
	if testing.Short() {
		kinds = kinds[:2]
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			count := 0
			fields().kinds[kind].each(func(f *field) {
				if f.path == "" || f.Type == "" || f.path == "kind" || f.path == "apiVersion" {
					return
				}
				count++
				right, wrong := sample(f)
				if right == "" {
					t.Fatalf("%s has the unknown type %q", f.path, f.Type)
				}
				concrete := strings.ReplaceAll(f.path, "[]", "[0]")
				for _, p := range problemsAt(t, specWith(kind, f.path, right), concrete) {
					if (p.Rule == "wrong-type" || p.Rule == "unknown-field" || p.Rule == "invalid-value") &&
						right != "{}" && right != "[]" {
						t.Errorf("%s: %s refuses %s", kind, p, right)
					}
				}
				if wrong != "" {
					source := specWith(kind, f.path, wrong)
					if f.Type == "list" || f.Type == "strings" {
						source = specWith(kind, f.path, "5")
					}
					found := problemsAt(t, source, concrete)
					if len(found) != 1 || found[0].Rule != "wrong-type" || found[0].Line == 0 ||
						found[0].Column == 0 {
						t.Errorf("%s: a wrong type at %s gives %v", kind, concrete, found)
					}
				}
				if !strings.HasSuffix(f.path, "[]") {
					found := problemsAt(t, specWith(kind, f.path+"zq", right), concrete+"zq")
					if len(found) != 1 || !slices.Contains(rules, found[0].Rule) ||
						found[0].Rule != "unknown-field" {
						t.Errorf("%s: %szq gives %v", kind, concrete, found)
					}
					if len(f.name()) > 5 && len(found) == 1 && found[0].Suggestion != f.name() {
						t.Errorf("%s: %szq is taken for %q", kind, concrete, found[0].Suggestion)
					}
				}
				if f.Required && !strings.HasSuffix(f.path, "[]") {
					parent := strings.TrimSuffix(strings.TrimSuffix(f.path, f.name()), ".")
					source := "apiVersion: " + APIVersion + "\nkind: " + kind + "\nmetadata: {name: dev}\n"
					if f.path == "metadata" || f.path == "metadata.name" {
						source = "apiVersion: " + APIVersion + "\nkind: " + kind + "\nmetadata: {}\n"
						if f.path == "metadata" {
							source = "apiVersion: " + APIVersion + "\nkind: " + kind + "\n"
						}
					} else if parent != "" {
						source = specWith(kind, parent, "{}")
					}
					if f.parent.Zero {
						if found := problemsAt(t, source, concrete); len(found) > 0 {
							t.Errorf("%s: %s is empty as EKS Anywhere writes it, and that gives %v",
								kind, parent, found)
						}
						for _, other := range f.parent.order {
							if other != f {
								right, _ := sample(other)
								source = specWith(kind, other.path, right)
							}
						}
					}
					found := problemsAt(t, source, concrete)
					if len(found) != 1 || found[0].Rule != "required" {
						t.Errorf("%s: %s is required, and missing gives %v", kind, concrete, found)
					}
				}
				if len(f.Enum) > 0 {
					found := problemsAt(t, specWith(kind, f.path, `"no such value"`), concrete)
					if len(found) != 1 || found[0].Rule != "invalid-value" ||
						!strings.Contains(found[0].Expected, f.Enum[0]) {
						t.Errorf("%s: a wrong value of %s gives %v", kind, concrete, found)
					}
				}
				if f.pattern != nil {
					found := problemsAt(t, specWith(kind, f.path, `"*"`), concrete)
					if len(found) != 1 || found[0].Rule != "invalid-value" ||
						!strings.Contains(found[0].Expected, f.Expect) {
						t.Errorf("%s: a wrong value of %s gives %v", kind, concrete, found)
					}
				}
				if f.Type == "quantity" || f.Type == "duration" || f.Type == "integer-or-percent" {
					found := problemsAt(t, specWith(kind, f.path, `"text"`), concrete)
					if len(found) != 1 || found[0].Rule != "invalid-value" ||
						found[0].Expected != f.expectation() {
						t.Errorf("%s: a wrong value of %s gives %v", kind, concrete, found)
					}
				}
				if f.MinItems > 0 {
					found := problemsAt(t,
						specWith(kind, f.path, "["+strings.Repeat("text, ", f.MinItems-1)+"]"), concrete)
					if len(found) != 1 || found[0].Rule != "required" {
						t.Errorf("%s: too few items of %s give %v", kind, concrete, found)
					}
				}
				if f.MaxItems > 0 {
					found := problemsAt(t,
						specWith(kind, f.path, "["+strings.Repeat("text, ", f.MaxItems+1)+"]"), concrete)
					if len(found) != 1 || found[0].Rule != "invalid-value" ||
						found[0].Expected != fmt.Sprintf("at most %d", f.MaxItems) {
						t.Errorf("%s: too many items of %s give %v", kind, concrete, found)
					}
				}
				for _, bound := range []struct {
					limit *int64
					by    int64
				}{{f.Min, -1}, {f.Max, 1}} {
					if bound.limit == nil {
						continue
					}
					found := problemsAt(t,
						specWith(kind, f.path, fmt.Sprint(*bound.limit+bound.by)), concrete)
					if len(found) != 1 || found[0].Rule != "invalid-value" {
						t.Errorf("%s: %d at %s gives %v", kind, *bound.limit+bound.by, concrete, found)
					}
				}
			})
			if count < 3 {
				t.Errorf("%s has only %d fields", kind, count)
			}
		})
	}
}

// twoValues gives two different values for a field that holds no fields of its own.
func twoValues(f *field) (one, two string) {
	switch f.Type {
	case "string":
		return `"one"`, `"two"`
	case "integer", "integer-or-percent":
		return "11", "12"
	case "boolean":
		return "false", "true"
	case "strings":
		return "[one]", "[two]"
	case "map":
		return "{key: one}", "{key: two}"
	case "quantity":
		return "1Gi", "2Gi"
	case "duration":
		return "1m", "2m"
	case "any":
		return "[1]", "[2]"
	}
	return "", ""
}

// whereShown gives the row that a change of a field is told of, and the field as it is shown: items with a
// name are told apart, other lists change as a whole.
func whereShown(f *field) (row *field, shown string) {
	var up []*field
	for at := f; at.path != ""; at = at.parent {
		up = append(up, at)
	}
	for _, at := range slices.Backward(up) {
		if !strings.HasSuffix(at.path, "[]") {
			shown = joinField(shown, at.name())
			row = at
			continue
		}
		if _, named := at.children["name"]; !named || row.path == "spec.identityProviderRefs" {
			return row, shown
		}
		shown += "[x]"
	}
	if f.Type == "map" {
		shown += ".key"
	}
	return f, shown
}

// TestFieldTable_everyChange changes each field and compares the verdict with the table.
func TestFieldTable_everyChange(t *testing.T) {
	t.Parallel()
	// Changes of these depend on more than the field; TestCompareSets has them.
	elsewhere := []string{
		"Cluster spec.managementCluster", "Cluster spec.eksaVersion", "OIDCConfig spec",
		"VSphereMachineConfig spec.users", "TinkerbellMachineConfig spec.users",
		"CloudStackDatacenterConfig spec.availabilityZones",
	}
	tested := 0
	for _, kind := range fields().order {
		fields().kinds[kind].each(func(f *field) {
			one, two := twoValues(f)
			if list := f.parent; list != nil && strings.HasSuffix(list.path, "[]") &&
				(f.name() == "name" || slices.Contains(list.parent.Key, f.name())) {
				return // another item
			}
			if one == "" || !strings.HasPrefix(f.path, "spec.") || slices.ContainsFunc(elsewhere,
				func(e string) bool { return strings.HasPrefix(kind+" "+f.path, e) }) {
				return
			}
			named := func(value string) string {
				source := specWith(kind, f.path, value)
				for at := f; at.path != ""; at = at.parent {
					if _, has := at.children["name"]; has && strings.HasSuffix(at.path, "[]") {
						list := strings.TrimSuffix(at.name(), "[]")
						source = strings.Replace(source, list+": [{", list+": [{name: x, ", 1)
					}
				}
				return source
			}
			before, _ := Parse([]Source{{Name: "a", Data: []byte(named(one))}})
			after, _ := Parse([]Source{{Name: "b", Data: []byte(named(two))}})
			row, shown := whereShown(f)
			changes := CompareSets(before, after)
			if len(changes) != 1 || changes[0].Field != shown ||
				(changes[0].Old == changes[0].New) != (f.Secret == secretValue) || changes[0].New == "" {
				t.Errorf("%s %s, to be shown as %s: %+v", kind, f.path, shown, changes)
				return
			}
			tested++
			// What the table says is worked out here once more: the nearest row above that says something
			// counts.
			want, says, wantDocumented := VerdictApplied, "", false
			column := func(row *field) string {
				if changes[0].Role == RoleManagement {
					return row.Change.Management
				}
				return row.Change.Workload
			}
			for at := row; at != nil; at = at.parent {
				wantDocumented = wantDocumented || slices.Contains(at.GitOps, changes[0].Role)
				if word := column(at); word != "" && says == "" {
					want = map[string]Verdict{"applies": VerdictApplied, "rejects": VerdictRejected,
						"ignores": VerdictIgnored, "replaces": VerdictReplaced}[word]
					says = at.Says
					if says == "" {
						says = "field is immutable"
					}
				}
			}
			if changes[0].Verdict != want || want == VerdictRejected && changes[0].Message != says {
				t.Errorf("%s %s: %s (%s), the table says %s (%s)",
					kind, f.path, changes[0].Verdict, changes[0].Message, want, says)
			}
			if changes[0].Documented != wantDocumented {
				t.Errorf("%s %s: documented is %t, the table says %t",
					kind, f.path, changes[0].Documented, wantDocumented)
			}
		})
	}
	if tested < 350 {
		t.Errorf("only %d fields were changed", tested)
	}
}

func TestParseFieldTable_errors(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"kinds: [":                                 "did not find",
		"kinds: {A: {spec: {type: [a]}}}":          "A: spec",
		"kinds: {A: {spec: {shape: b}}}":           "there is no shape b",
		"kinds: {A: {spec: {pattern: '('}}}":       "missing closing )",
		"kinds: {A: {spec: {change: [rejects]}}}":  "A: spec",
		"shapes: {object: {kind: {type: string}}}": "",
	} {
		_, err := parseFieldTable([]byte(data))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestFieldReference(t *testing.T) {
	t.Parallel()
	page := string(FieldReference())
	// The page is every row of the table in words, so it shows a change of the table that nobody meant.
	if stored, err := os.ReadFile("../../docs/fields.md"); err != nil || string(stored) != page {
		t.Errorf("docs/fields.md is not up to date (%v); run make generate", err)
	}
	if page != string(FieldReference()) {
		t.Error("two calls differ")
	}
	for _, want := range []string{
		"## Cluster\n", "## AWSIamConfig\n", "| `spec.kubernetesVersion` | string | yes | a Kubernetes " +
			"minor version in quotes, such as \"1.33\" |  | w | applied |  |\n",
		"| `spec.workerNodeGroupConfigurations[].count` | integer |  | at least 0 | 1 or the minimum " +
			"of the autoscaling | m, w | applied |  |\n",
		"| `spec.gitOpsRef.name` | string | yes |  |  |  | m: applied; w: rejected |  |\n",
		"| `spec.branch` | string |  |", "| m: rejected: config is immutable; w: applied |",
		"\n## All kinds\n", "| `metadata.uid` | any |  |  |  |  | ignored |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
