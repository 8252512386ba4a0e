package clusterspec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// secretsOfTable are the fields that the table calls secrets, with a value for each and what of it is the
// secret.
func secretsOfTable(t *testing.T, visit func(kind string, f *field, value, secret, shown string)) {
	t.Helper()
	seen := map[string]bool{}
	for _, kind := range fields().order {
		fields().kinds[kind].each(func(f *field) {
			switch f.Secret {
			case secretValue:
				visit(kind, f, "sentinel-of-the-spec", "sentinel-of-the-spec", redact.Mask)
			case secretAddress:
				visit(kind, f, "bob:sentinel-of-the-spec@proxy:3128", "sentinel-of-the-spec",
					"***@proxy:3128")
			default:
				return
			}
			seen[f.name()] = true
		})
	}
	for _, name := range []string{"licenseToken", "httpProxy", "httpsProxy"} {
		if !seen[name] {
			t.Errorf("%s is no secret to the table", name)
		}
	}
}

// What the table calls a secret is in no change, edit, conflict or value that is shown; every field of it is
// tried.
func TestSecrets_neverInValues(t *testing.T) {
	t.Parallel()
	secretsOfTable(t, func(kind string, f *field, value, secret, shown string) {
		one, two, three := specWith(kind, f.path, value), specWith(kind, f.path, value+"-b"),
			specWith(kind, f.path, value+"-c")
		if got := Shown(kind, f.path, value); got != shown {
			t.Errorf("%s %s: %v is shown, not %s", kind, f.path, got, shown)
		}
		parent := map[string]any{f.name(): value}
		if got := fmt.Sprint(Shown(kind, f.parent.path, parent)); strings.Contains(got, secret) ||
			parent[f.name()] != value {
			t.Errorf("%s %s: %s is shown with what is around it, and the value is %s",
				kind, f.path, got, parent[f.name()])
		}
		if found := Secrets([]byte(one)); !slices.Contains(found, secret) {
			t.Errorf("%s %s: the secrets are %q", kind, f.path, found)
		}
		before, _ := Parse([]Source{{Name: "a", Data: []byte(one)}})
		after, _ := Parse([]Source{{Name: "b", Data: []byte(two)}})
		without, _ := Parse([]Source{{Name: "b", Data: []byte(specWith(kind, "spec.x", "y"))}})
		merged, err := Merge(Source{Name: "base", Data: []byte(one)}, Source{Name: "ours", Data: []byte(two)},
			Source{Name: "theirs", Data: []byte(three)})
		if err != nil || len(merged.Conflicts) == 0 {
			t.Errorf("%s %s: the merge has no conflict: %v", kind, f.path, err)
			return
		}
		edited, err := Merge(Source{Name: "base", Data: []byte(one)}, Source{Name: "ours", Data: []byte(two)},
			Source{Name: "theirs", Data: []byte(one)})
		if err != nil || len(edited.Edits) == 0 {
			t.Errorf("%s %s: the merge has no edit: %v", kind, f.path, err)
			return
		}
		changes := CompareSets(before, after)
		if len(changes) == 0 {
			t.Errorf("%s %s: no change", kind, f.path)
		}
		text, err := json.Marshal([]any{changes, CompareSets(without, after), CompareSets(before, without),
			merged.Conflicts, edited.Edits})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "sentinel") {
			t.Errorf("%s %s: %s", kind, f.path, text)
		}
	})
}

// No problem quotes a secret, whatever is wrong with the file or with the value.
func TestSecrets_neverInProblems(t *testing.T) {
	t.Parallel()
	long := "sentinel-" + strings.Repeat("x0", 60)
	for _, line := range []string{
		"licenseToken: *sentinel-of-the-spec", "licenseToken: &sentinel-of-the-spec",
		"licenseToken: !sentinel-of-the-spec x", "licenseToken:sentinel-of-the-spec",
		"licenseToken: [sentinel-of-the-spec]", "licenseToken: {a: sentinel-of-the-spec}",
		"licenseToken: 'sentinel-of-the-spec", "licenseToken: \"sentinel-of-the-spec\\q\"",
		"licenseToken: %sentinel-of-the-spec", "licenseToken: `sentinel-of-the-spec",
		"licenseToken: sentinel-of-the-spec: b", "licenseTokens: sentinel-of-the-spec",
		"licenseToken: " + long, "licenseToken: *" + long, "licenseToken: [" + long + "]",
		"licenseToken: sentinel-of-the-spec\n  licenseToken: sentinel-of-the-spec", "proxyConfiguration: " +
			"{httpProxy: 'http://bob:sentinel-of-the-spec@x', httpsProxy: 'bob:sentinel-of-the-spec@x'}",
		"proxyConfiguration: {httpProxy: ['http://bob:sentinel-of-the-spec@x'], httpsProxy: " +
			"'http://bob:sentinel-of-the-spec@[::1'}", "datacenterRef: 'https://bob:sentinel-of-the-spec@x'",
		"managementCluster: {name: 'https://sentinel-of-the-spec@x'}",
	} {
		source := []Source{{Name: "a.yaml", Data: []byte("apiVersion: " + APIVersion + "\nkind: Cluster\n" +
			"metadata: {name: dev}\nspec:\n  " + line + "\n")}}
		set, err := Parse(source)
		text, jsonErr := json.Marshal([]any{fmt.Sprint(err), err, set.Warnings})
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		if err == nil || strings.Contains(string(text), "sentinel") {
			t.Errorf("%s: %s", line, text)
		}
		if _, err := Convert(source[0]); err != nil && strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%s is converted to %v", line, err)
		}
	}
}

// A Secret that stands in a file has nothing that may be shown.
func TestSecrets_ofSecret(t *testing.T) {
	t.Parallel()
	found := Secrets([]byte("kind: Secret\nmetadata: {name: x-of-the-secret}\n" +
		"stringData: {password: sentinel-one}\ndata:\n  a: c2VudGluZWw=\n"))
	if want := []string{"c2VudGluZWw=", "sentinel-one"}; !slices.Equal(found, want) {
		t.Errorf("%q, not %q", found, want)
	}
	if found := Secrets([]byte("kind: Cluster\nmetadata: {name: x}\n")); found != nil {
		t.Errorf("%q are secrets of a file that has none", found)
	}
}
