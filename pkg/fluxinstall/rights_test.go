package fluxinstall

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Rules as the API server gives them: wildcards hold, and a rule for names holds for these names only.
func TestAllowedBy(t *testing.T) {
	t.Parallel()
	rule := func(groups, resources, verbs, names []any) []any {
		fields := map[string]any{"apiGroups": groups, "resources": resources, "verbs": verbs}
		if names != nil {
			fields["resourceNames"] = names
		}
		return []any{fields}
	}
	bind := need{"rbac.authorization.k8s.io", "clusterroles", "cluster-admin", false, []string{"bind"}}
	write := need{"", "secrets", "", true, []string{"create"}}
	for name, c := range map[string]struct {
		rules []any
		n     need
		want  bool
	}{
		"everything":    {rule([]any{"*"}, []any{"*"}, []any{"*"}, nil), bind, true},
		"exactly":       {rule([]any{""}, []any{"secrets"}, []any{"get", "create"}, nil), write, true},
		"another verb":  {rule([]any{""}, []any{"secrets"}, []any{"get"}, nil), write, false},
		"another group": {rule([]any{"apps"}, []any{"secrets"}, []any{"create"}, nil), write, false},
		"the name": {
			rule([]any{bind.group}, []any{"clusterroles"}, []any{"bind"}, []any{"x", "cluster-admin"}),
			bind, true},
		"another name": {rule([]any{bind.group}, []any{"clusterroles"}, []any{"bind"}, []any{"x"}),
			bind, false},
		"a name for all":     {rule([]any{""}, []any{"secrets"}, []any{"create"}, []any{"x"}), write, false},
		"nothing":            {nil, write, false},
		"damaged":            {[]any{"x", map[string]any{"verbs": "create"}}, write, false},
		"a subresource only": {rule([]any{""}, []any{"secrets/status"}, []any{"create"}, nil), write, false},
	} {
		if got := allowedBy(c.rules, c.n, c.n.verbs[0]); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestMissingRight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		right      MissingRight
		text, hint string
	}{
		{MissingRight{Verbs: []string{"get", "create"}, Resource: "secrets",
			Namespace: "flux-system"},
			"the user of the kubeconfig may not get, create secrets in " +
				"namespace flux-system",
			`the user needs a Role in namespace flux-system with the rule: apiGroups [""], resources ["secrets"], verbs ["get", "create"]`},
		{MissingRight{Verbs: []string{"bind"}, Group: "rbac.authorization.k8s.io", Resource: "clusterroles",
			Name: "cluster-admin"},
			"the user of the kubeconfig may not bind clusterroles.rbac.authorization.k8s.io cluster-admin",
			`the user needs a ClusterRole with the rule: apiGroups ["rbac.authorization.k8s.io"], resources ["clusterroles"], resourceNames ["cluster-admin"], verbs ["bind"]`},
	} {
		if c.right.Error() != c.text || c.right.Hint() != c.hint {
			t.Errorf("%s\n%s", c.right.Error(), c.right.Hint())
		}
	}
}

// What is looked for is what the documentation names: no resource is in one and not in the other.
func TestNeeds_documented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "rbac.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []Purpose{ForInstalling, ForRemoving} {
		for _, n := range purpose.needs("flux-system") {
			if !slices.ContainsFunc(wordsOf(page), func(word string) bool { return word == n.resource }) {
				t.Errorf("docs/rbac.md does not name %s", n.resource)
			}
		}
	}
	if needs := ForReading.needs("flux-system"); needs != nil {
		t.Errorf("reading needs %v", needs)
	}
}

// wordsOf are the words of a page, letters only.
func wordsOf(page []byte) []string {
	var words []string
	word := ""
	for _, c := range string(page) + " " {
		if c >= 'a' && c <= 'z' {
			word += string(c)
			continue
		}
		if word != "" {
			words = append(words, word)
		}
		word = ""
	}
	return words
}
