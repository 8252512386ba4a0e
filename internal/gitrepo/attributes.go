package gitrepo

import "github.com/go-git/go-git/v5/plumbing/format/gitattributes"

// attributesFile is where git reads the attributes of the files in a directory and below
// (https://git-scm.com/docs/gitattributes).
const attributesFile = ".gitattributes"

// attributes are the lines of files of attributes, in the order of increasing priority. Macros are not
// expanded.
type attributes []gitattributes.MatchAttribute

// readAttributes reads the attributes that hold below a directory. What git would not understand it passes
// over, as git does.
func readAttributes(file, dir string) attributes {
	given, domain := readLines(file, dir)
	var all attributes
	for _, line := range given {
		if attribute, err := gitattributes.ParseAttributesLine(line, domain, true); err == nil &&
			attribute.Pattern != nil {
			all = append(all, attribute)
		}
	}
	return all
}

// filter is the filter that a file passes on its way between the work tree and what is committed, such as
// lfs; empty for none.
func (a attributes) filter(name []string) string {
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(a[i].Attributes) - 1; j >= 0; j-- {
			if attribute := a[i].Attributes[j]; attribute.Name() == "filter" && a[i].Pattern.Match(name) {
				return attribute.Value()
			}
		}
	}
	return ""
}
