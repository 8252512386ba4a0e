package lint

import (
	"bytes"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// compareFlux says what changes about Flux itself.
func (p *pair) compareFlux() {
	if len(p.before.systems) == 0 {
		return
	}
	dir := p.before.systems[0]
	if !slices.Contains(p.after.systems, dir) {
		p.after.problems = slices.DeleteFunc(p.after.problems, func(problem clusterspec.Problem) bool {
			return problem.Rule == "flux-missing"
		})
		if len(p.after.systems) > 0 ||
			slices.ContainsFunc(p.after.problems, func(problem clusterspec.Problem) bool {
				return inside(problem.File, dir) && problem.Severity == clusterspec.SeverityError
			}) {
			return
		}
		p.after.report(clusterspec.Problem{
			Severity: clusterspec.SeverityError, Rule: "flux-removed",
			File: path.Join(dir, firstOf(p.before.tree, dir)), Message: "Flux's own files are taken away, " +
				"so that Flux removes itself and the cluster is not managed through Git any more",
		})
		return
	}
	components := path.Join(dir, layout.ComponentsFile)
	if old, current := fluxVersion(p.before.contents[components]),
		fluxVersion(p.after.contents[components]); old != current && old != "" && current != "" {
		p.fluxChange(clusterspec.Change{Object: "Flux", Field: "version", Old: old, New: current,
			File: components, Line: 1, Column: 1},
			fluxRow{severity: fluxNotice})
	}
}

// fluxObject is one of Flux's objects in one state.
type fluxObject struct {
	group, kind, namespace, name string
	file                         string
	node                         *yaml.Node // as Flux applies it
	written                      *yaml.Node // as it stands in its file; nil when that is not known
}

func (o *fluxObject) label() string { return o.kind + " " + o.name }

// prunes says whether the object is a Kustomization with which goes what it has applied.
func (o *fluxObject) prunes() bool {
	switch yamlnode.Scalar(o.node, "spec", "deletionPolicy") {
	case "Orphan":
		return false
	case "Delete", "WaitForTermination":
		return true
	}
	return yamlnode.Scalar(o.node, "spec", "prune") == "true"
}

// kept says whether Flux leaves the object in the cluster when it is no longer in the repository.
func (o *fluxObject) kept() bool {
	return slices.ContainsFunc([]string{"annotations", "labels"}, func(marks string) bool {
		return strings.EqualFold(yamlnode.Scalar(o.node, "metadata", marks, layout.KeepAnnotation),
			layout.KeepValue)
	})
}

// isFluxGroup says whether a group is one of Flux's.
func isFluxGroup(group string) bool { return strings.HasSuffix(group, ".toolkit.fluxcd.io") }

// compareFluxObjects says what changes about each of Flux's objects in the path, and what follows from it.
func (p *pair) compareFluxObjects() {
	var gone, came []*fluxObject
	before, after := p.fluxObjects(p.before, p.after), p.fluxObjects(p.after, p.before)
	for _, key := range sortedKeys(union(before, after)) {
		switch old, current := before[key], after[key]; {
		case current == nil:
			gone = append(gone, old)
		case old == nil:
			came = append(came, current)
		default:
			p.compareFluxObject(old, current)
		}
	}
	for _, old := range gone {
		p.fluxObjectGone(old, replacementOf(old, came))
	}
}

// fluxObjects lists those of a state's Flux objects that are in files which the other state does not have as
// they are, by identity.
func (p *pair) fluxObjects(f, other *fleet) map[string]*fluxObject {
	out := map[string]*fluxObject{}
	add := func(o *fluxObject) {
		if isFluxGroup(o.group) {
			out[strings.Join([]string{o.group, o.kind, o.namespace, o.name}, "/")] = o
		}
	}
	for _, file := range sortedKeys(f.applied.files) {
		content, ok := f.content(file)
		if !ok || p.unclear(file) || path.Base(file) == layout.ComponentsFile ||
			!bytes.Contains(content, []byte(".toolkit.fluxcd.io/")) {
			continue
		}
		if _, applied := other.applied.files[file]; applied && !f.transformed(file) &&
			!other.transformed(file) && bytes.Equal(content, other.contents[file]) {
			continue
		}
		objects, problem := manifestsIn(file, content)
		if problem != nil {
			continue
		}
		if !f.transformed(file) {
			for _, m := range objects {
				add(&fluxObject{groupOf(yamlnode.Scalar(m.node, "apiVersion")), m.kind, m.namespace, m.name,
					file, m.node, m.node})
			}
			continue
		}
		for _, built := range f.applied.unitOf[file].objects[file] {
			var document yaml.Node
			if !isFluxGroup(built.Group) || yaml.Unmarshal(built.Text(), &document) != nil ||
				len(document.Content) == 0 {
				continue
			}
			o := &fluxObject{group: built.Group, kind: built.Kind, namespace: built.Namespace,
				name: built.Name.Name, file: file, node: document.Content[0]}
			for _, m := range objects {
				if m.kind == o.kind && (o.written == nil || m.name == o.name) {
					o.written = m.node
				}
			}
			add(o)
		}
	}
	return out
}

// replacementOf is the object that one which is gone has probably become.
func replacementOf(old *fluxObject, came []*fluxObject) *fluxObject {
	for _, same := range []func(*fluxObject) bool{
		func(o *fluxObject) bool { return o.name == old.name && o.kind == old.kind },
		func(o *fluxObject) bool { return o.file == old.file && o.kind == old.kind },
		func(o *fluxObject) bool { return o.file == old.file && o.name == old.name },
	} {
		if at := slices.IndexFunc(came, same); at >= 0 {
			return came[at]
		}
	}
	return nil
}

func (p *pair) compareFluxObject(old, current *fluxObject) {
	was, is := yamlnode.Leaves(old.node), yamlnode.Leaves(current.node)
	for _, field := range sortedKeys(union(was, is)) {
		before, after := was[field], is[field]
		if before.Text == after.Text || field == "apiVersion" {
			continue
		}
		change := clusterspec.Change{Object: current.label(), Field: field, Old: before.Text, New: after.Text,
			File: current.file}
		change.Line, change.Column = current.at(field)
		row, _ := fluxEffect(old, field, after.Text)
		p.fluxChange(change, row)
	}
}

// at is where a field stands in the file, or the object when it is not there.
func (o *fluxObject) at(field string) (line, column int) {
	if o.written == nil {
		return 1, 1
	}
	if leaf, ok := yamlnode.Leaves(o.written)[field]; ok {
		return leaf.Node.Line, leaf.Node.Column
	}
	return o.written.Line, o.written.Column
}

// fluxObjectGone tells of an object that is not among what Flux applies any more, and what has taken its
// place, if something has.
func (p *pair) fluxObjectGone(old, replacement *fluxObject) {
	place, field, rule := old, fieldGone, "flux-deleted"
	change := clusterspec.Change{Object: old.label(), Verdict: clusterspec.VerdictApplied}
	if replacement != nil {
		place, field, rule = replacement, fieldReplaced, "flux-replaced"
		change.Verdict = clusterspec.VerdictReplaced
	}
	row, _ := fluxEffect(old, field, "")
	change.Message = row.message
	if replacement != nil {
		change.Message = "becomes " + replacement.kind + " " + replacement.namespace + "/" +
			replacement.name + ": " + row.message
	}
	change.File = place.file
	change.Line, change.Column = place.at("metadata.name")
	removed := !p.after.tree.isFile(change.File)
	if removed {
		change.Line, change.Column = 0, 0
	}
	p.changes = append(p.changes, Change{Fleet: p.root, Change: change, Removed: removed})
	if p.told(old) {
		return
	}
	problem := clusterspec.Problem{
		Severity: row.severity, Rule: rule, File: change.File, Line: change.Line, Column: change.Column,
		Object: old.label(), Message: change.Message,
	}
	if replacement != nil {
		problem.Expected = "the object as it was called and where it was"
	}
	p.after.report(problem)
}

// told says whether an error says already that Flux's own object is not there, or is there under no right
// name.
func (p *pair) told(old *fluxObject) bool {
	return slices.ContainsFunc(p.after.problems, func(problem clusterspec.Problem) bool {
		return problem.Rule == "flux-removed" && inside(old.file, path.Dir(problem.File)) ||
			problem.Rule == "flux-incomplete" &&
				strings.Contains(problem.Message, "Flux's "+old.kind+" "+old.name)
	})
}

// fluxChange tells of a change of Flux or of one of its objects.
func (p *pair) fluxChange(change clusterspec.Change, row fluxRow) {
	change.Verdict, change.Message = clusterspec.VerdictApplied, row.message
	hideSecrets(&change)
	told := Change{Fleet: p.root, Change: change}
	p.changes = append(p.changes, told)
	if row.severity == fluxNotice || row.message == "" {
		p.tell(told)
		return
	}
	p.after.report(clusterspec.Problem{
		Severity: row.severity, Rule: "flux-changed", File: change.File, Line: change.Line,
		Column: change.Column, Object: change.Object, Field: change.Field, Message: describe(told),
	})
}

var fluxVersionLine = regexp.MustCompile(`(?m)^# Flux Version: (\S+)`)

func fluxVersion(components []byte) string {
	if found := fluxVersionLine.FindSubmatch(components[:min(len(components), 1000)]); found != nil {
		return string(found[1])
	}
	return ""
}

func union[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
