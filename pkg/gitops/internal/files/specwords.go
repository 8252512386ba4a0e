package files

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// describeConflict tells of a field that the file and Git changed, each in its own way.
func (p *SpecPlan) describeConflict(c clusterspec.Conflict) string {
	said := func(value string) string {
		if value == "" {
			return "nothing"
		}
		return value
	}
	text := fmt.Sprintf("cluster %s: %s", p.Cluster.Name, c.Object)
	if c.Field != "" {
		text += ": " + c.Field
	}
	text += fmt.Sprintf(": the file says %s (%s), Git says %s",
		said(c.Ours), p.placeOf(c.Object, c.Field), said(c.Theirs))
	if c.Base != "" {
		text += ", original value: " + c.Base
	}
	if len(p.Others) > 0 {
		text += "; in Git it was changed by " + RevisionText(p.Others[0])
	}
	return text
}

// placeOf is where a field stands in the user's own file, as file:line. Items of lists are shown by what
// tells them apart.
func (p *SpecPlan) placeOf(label, field string) string {
	for _, o := range p.Cluster.Objects {
		if o.Label() == label {
			line, _ := o.Position(indexed(o.Decoded(), field))
			return fmt.Sprintf("%s:%d", o.File, line)
		}
	}
	return p.Ours.Name
}

// shownItem is an item of a list in a field as it is shown: its name, or the values of its keys with colons
// between them.
var shownItem = regexp.MustCompile(`^(.*?)\[([^\]]+)\](.*)$`)

// indexed gives a field in which items are shown by names one in which they have their places in the list: as
// the positions in a file are asked for.
func indexed(object map[string]any, field string) string {
	parts := shownItem.FindStringSubmatch(field)
	if parts == nil {
		return field
	}
	at := any(object)
	for name := range strings.SplitSeq(parts[1], ".") {
		fields, _ := at.(map[string]any)
		at = fields[name]
	}
	list, _ := at.([]any)
	for i, item := range list {
		fields, _ := item.(map[string]any)
		first, _, _ := strings.Cut(parts[2], ":")
		for _, value := range fields {
			if fmt.Sprint(value) != parts[2] && fmt.Sprint(value) != first {
				continue
			}
			below := indexed(fields, strings.TrimPrefix(parts[3], "."))
			if strings.HasPrefix(parts[3], ".") {
				below = "." + below
			}
			return fmt.Sprintf("%s[%d]%s", parts[1], i, below)
		}
	}
	return parts[1]
}

// RevisionText names a commit for a person.
func RevisionText(r git.Revision) string {
	subject, _, _ := strings.Cut(r.Message, "\n")
	return fmt.Sprintf("%s on %s (%s %s)",
		r.Author, r.When.UTC().Format("2006-01-02"), facts.ShortCommit(r.Commit), subject)
}

// DescribeEdit tells of an edit in Git that the file does not have.
func (p *SpecPlan) DescribeEdit(e clusterspec.MergeEdit) string {
	value := func(v string) string {
		if v == "" {
			return "(none)"
		}
		return v
	}
	what := e.Object
	if e.Field != "" {
		what += ": " + e.Field
	}
	switch {
	case e.Field == "" && e.New == "":
		return what + ": removed"
	case e.Field == "":
		return what + ": added"
	}
	return fmt.Sprintf("%s: %s → %s", what, value(e.Old), value(e.New))
}
