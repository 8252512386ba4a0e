package lint_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// fetchOnly has the fleet's Flux fetch a part of the repository.
func (r repository) fetchOnly(beginnings ...string) {
	r.replace(flux+"/gotk-sync.yaml", "  url:", "  sparseCheckout:\n  - "+strings.Join(beginnings,
		"\n  - ")+"\n  url:")
}

var fetchedPart = regexp.MustCompile(`sparseCheckout:\n((?:  - .*\n)+)`)

// fetches says whether source-controller checks a file out.
func (r repository) fetches(name string) bool {
	node, there := r[flux+"/gotk-sync.yaml"]
	if !there || node.Kind != lint.NodeFile {
		return true
	}
	found := fetchedPart.FindStringSubmatch(r.text(flux + "/gotk-sync.yaml"))
	if found == nil {
		return true
	}
	entries := strings.Split(strings.TrimSpace(found[1]), "\n")
	return slices.ContainsFunc(entries, func(entry string) bool {
		return strings.HasPrefix(name, strings.TrimPrefix(strings.TrimSpace(entry), "- "))
	})
}

// leaveOut has the fleet's Flux leave out what patterns name.
func (r repository) leaveOut(patterns ...string) {
	r.replace(flux+"/gotk-sync.yaml", "  url:", "  ignore: |\n    "+strings.Join(patterns, "\n    ")+
		"\n  url:")
}

var leftOutPart = regexp.MustCompile(`ignore: \|\n((?:    .*\n)+)`)

// leftOut are the patterns of what the fleet's Flux leaves out.
func (r repository) leftOut() string {
	node, there := r[flux+"/gotk-sync.yaml"]
	if !there || node.Kind != lint.NodeFile {
		return ""
	}
	found := leftOutPart.FindStringSubmatch(r.text(flux + "/gotk-sync.yaml"))
	if found == nil {
		return ""
	}
	return strings.ReplaceAll(found[1], "    ", "")
}

// TestCheckRepository_sparseChange: a change that reaches outside of what Flux fetches is told with its line,
// and one that has all fetched again is good.
func TestCheckRepository_sparseChange(t *testing.T) {
	t.Parallel()
	before := newRepository(t)
	before.fetchOnly("clusters/dev/")
	before.put("base/kustomization.yaml", "resources: [x.yaml]\n")
	before.put("base/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n")
	edited := func() repository {
		r := repository{}
		for name, node := range before {
			r[name] = node
		}
		r.put(w01+"/kustomization.yaml", listing+"- ../../../../base\n")
		return r
	}
	errorsOf := func(r repository) (all []string) {
		for _, p := range check(t, lint.Tree(r), lint.Tree(before)).Problems {
			if p.Severity == "error" {
				all = append(all, p.Rule+" "+p.String())
			}
		}
		return all
	}
	const want = "outside-checkout clusters/dev/w01/eksa-system/kustomization.yaml:5:3: resources[1]: base " +
		"is not in what Flux fetches of the repository (spec.sparseCheckout in " +
		"clusters/dev/flux-system/gotk-sync.yaml: clusters/dev/); Flux then " +
		"applies nothing of clusters/dev; " +
		`found "../../../../base"; expected it in there; or all of the repository fetched: eksa-gitops upgrade ` +
		`cluster -f FILE --sparse-checkout=false`
	if got := errorsOf(edited()); !slices.Equal(got, []string{want}) {
		t.Errorf("got %q", got)
	}
	whole := edited()
	whole.replace(flux+"/gotk-sync.yaml", "  sparseCheckout:\n  - clusters/dev/\n", "")
	if got := errorsOf(whole); len(got) > 0 {
		t.Errorf("with all of it fetched: %q", got)
	}
}
