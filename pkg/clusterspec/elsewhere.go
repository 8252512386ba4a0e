package clusterspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// isForeign says whether a field is in a part of the table whose names are another project's.
func (f *field) isForeign() bool {
	for ; f != nil; f = f.parent {
		if f.Foreign {
			return true
		}
	}
	return false
}

// tellOtherName completes the problem of a stray that has the name which another kind has for a field of this
// one.
func (r *report) tellOtherName(p *Problem, table *field, s stray) bool {
	var found *field
	table.each(func(f *field) {
		if slices.Contains(f.Also, s.key.Value) {
			found = f
		}
	})
	if found == nil || r.object.valueAt(found.path) != nil {
		return false
	}
	p.Message, p.Expected = fmt.Sprintf("the field has another name and place in a %s", r.object.Kind),
		"it as "+found.path
	r.meant = append(r.meant, found.path)
	return true
}

// tellForeign completes the problem of a stray that belongs one level deeper, into what is written in another
// project's terms.
func (r *report) tellForeign(p *Problem, f *field, s stray) bool {
	for _, child := range f.order {
		if child.Foreign && child.children[s.key.Value] != nil {
			p.Message, p.Expected = "the field is in the wrong place",
				"it at "+joinField(joinField(s.mapping, child.name()), s.key.Value)
			return true
		}
	}
	return false
}

// tellOtherKind completes the problem of a stray that is a field of another kind: of one that has it at the
// same path, even where this kind has the name inside of something else, or of the only one that has it
// directly in its spec. Kinds of another provider do not count.
func (r *report) tellOtherKind(p *Problem, table *field, s stray) bool {
	kind, path := r.otherKind(func(other *field) string {
		if f := other.at(s.path()); f != nil && f.Type != "" && f.fits(kindOf(s.value)) {
			return f.path
		}
		return ""
	})
	if kind == "" && len(table.places(s.key.Value)) == 0 {
		kind, path = r.otherKind(func(other *field) string {
			if places := other.places(s.key.Value); len(places) == 1 && places[0] == "spec."+s.key.Value {
				return places[0]
			}
			return ""
		})
	}
	if kind == "" {
		return false
	}
	p.Message, p.Expected = fmt.Sprintf("the field belongs to a %s", kind),
		fmt.Sprintf("it as %s of that", path)
	return true
}

// otherKind gives the one kind that goes with the object and in which a search finds something; "" for none
// or several.
func (r *report) otherKind(search func(table *field) string) (kind, path string) {
	provider := r.providerOfKind()
	for _, candidate := range fields().order {
		theirs := kindProvider(candidate)
		if candidate == r.object.Kind || theirs != "" && theirs != provider {
			continue
		}
		if found := search(fields().kinds[candidate]); found != "" {
			if kind != "" {
				return "", ""
			}
			kind, path = candidate, found
		}
	}
	return kind, path
}

// providerOfKind is the provider that the object is for: by its kind, for a Cluster by its datacenter.
func (r *report) providerOfKind() string {
	if r.object.Kind == "Cluster" {
		return r.provider()
	}
	return kindProvider(r.object.Kind)
}

// kindProvider is the provider that a kind is for; "" for a kind of all providers.
func kindProvider(kind string) string {
	for _, p := range providers {
		if prefix := strings.TrimSuffix(p.datacenter, "DatacenterConfig"); strings.HasPrefix(kind, prefix) {
			return p.name
		}
	}
	return ""
}

// variableForm is a variable of a shell that is a whole value or a whole part of a path.
var variableForm = regexp.MustCompile(
	`(?:^|/)(\$(?:\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*))(?:/|$)`)

// unset is a field with a variable that a shell or a tool was to replace.
type unset struct{ path, variable string }

// noteVariable keeps a variable in mind until the rules have said whether the field is wrong anyway. Actions
// of a Tinkerbell template have variables of their own.
func (r *report) noteVariable(value *yaml.Node, path string) {
	match := variableForm.FindStringSubmatch(value.Value)
	if match != nil && r.object.Kind != "TinkerbellTemplateConfig" {
		r.unset = append(r.unset, unset{path, match[1]})
	}
}

// tellVariables warns of the variables in fields that are right otherwise.
func (r *report) tellVariables() {
	for _, u := range r.unset {
		w := r.warn("placeholder", u.path, "this looks like a variable that was not replaced")
		w.Found, w.Expected = quote(u.variable), "what it stands for"
	}
}

// isZero says whether a value is what Go writes for a struct of texts that holds nothing: a mapping that is
// empty, or whose values are.
func isZero(value *yaml.Node) bool {
	if kindOf(value) != kindObject {
		return false
	}
	return !slices.ContainsFunc(entries(value), func(e entry) bool {
		kind := kindOf(e.value)
		return kind != kindNull && !(kind == kindString && e.value.Value == "")
	})
}
