package lint

import (
	"bytes"
	"path"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

const filterRule = "git-filter"

// lfsPointer begins what Git LFS stores in Git in the place of a file
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

// checkFilters finds the files of which Git stores something else than what is in the work tree. Flux's
// source-controller runs no filters: it takes what is stored.
func (f *fleet) checkFilters() {
	for name := range f.applied.files {
		node := f.tree.tree[name]
		content, ok := f.content(name)
		p := clusterspec.Problem{Severity: clusterspec.SeverityError, Rule: filterRule, File: name,
			Expected: "the file itself in Git, without a filter in .gitattributes"}
		switch {
		case node.Filter == "lfs", ok && bytes.HasPrefix(content, lfsPointer):
			p.Message = "Flux gets what Git stores of " + path.Base(name) +
				", which is a pointer of Git LFS: " + f.breaks()
			p.Expected = text.Command(
				"the file itself in Git: git lfs untrack %s, then git add --renormalize %s", name, name)
		case node.Filter != "":
			p.Severity = clusterspec.SeverityWarning
			p.Message = "Flux gets what Git stores of " + path.Base(name) + ", and that is what the filter " +
				quote(node.Filter) + " makes of it"
		default:
			continue
		}
		f.report(p)
	}
}
