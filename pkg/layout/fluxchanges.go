package layout

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// compareFlux says what changes about Flux itself.
func (p *pair) compareFlux() {
	if len(p.before.systems) == 0 {
		return
	}
	dir := p.before.systems[0]
	if !slices.Contains(p.after.systems, dir) {
		p.after.problems = slices.DeleteFunc(p.after.problems, func(problem clusterspec.Problem) bool { return problem.Rule == "flux-missing" })
		if len(p.after.systems) > 0 || slices.ContainsFunc(p.after.problems, func(problem clusterspec.Problem) bool {
			return inside(problem.File, dir) && problem.Severity == clusterspec.SeverityError
		}) {
			return
		}
		p.after.report(clusterspec.Problem{
			Severity: clusterspec.SeverityError, Rule: "flux-removed", File: path.Join(dir, firstOf(p.before.tree, dir)),
			Message: "Flux's own files are taken away, so that Flux removes itself and the cluster is not managed through Git any more",
		})
		return
	}
	components, sync := path.Join(dir, ComponentsFile), path.Join(dir, SyncFile)
	if old, current := fluxVersion(p.before.contents[components]), fluxVersion(p.after.contents[components]); old != current && old != "" && current != "" {
		p.fluxChange(clusterspec.Change{Object: "Flux", Field: "version", Old: old, New: current, File: components, Line: 1, Column: 1})
	}
	if string(p.before.contents[sync]) == string(p.after.contents[sync]) {
		return
	}
	old, problem := manifestsIn(sync, p.before.contents[sync])
	current, other := manifestsIn(sync, p.after.contents[sync])
	if problem != nil || other != nil {
		return
	}
	for _, m := range current {
		at := slices.IndexFunc(old, func(o manifest) bool { return o.kind == m.kind && o.name == m.name })
		if at < 0 {
			continue
		}
		was, is := flatten(old[at].node), flatten(m.node)
		for _, field := range sortedKeys(union(was, is)) {
			before, after := was[field], is[field]
			if before.text == after.text {
				continue
			}
			node := after.node
			if node == nil {
				node = m.node
			}
			p.fluxChange(clusterspec.Change{
				Object: m.kind + " " + m.name, Field: field, Old: before.text, New: after.text, File: sync, Line: node.Line, Column: node.Column,
				Message: fluxEffect(m.kind, field),
			})
		}
	}
}

func (p *pair) fluxChange(change clusterspec.Change) {
	change.Verdict = clusterspec.VerdictApplied
	p.shared.hideSecrets(&change)
	p.changes = append(p.changes, Change{Fleet: p.root, Change: change})
	p.tell(Change{Fleet: p.root, Change: change})
}

// fluxEffect says what a change of Flux's own objects means where it means much.
func fluxEffect(kind, field string) string {
	switch kind + " " + field {
	case "GitRepository spec.url":
		return "Flux fetches another repository from then on"
	case "GitRepository spec.ref.branch":
		return "Flux follows another branch from then on"
	case "Kustomization spec.prune":
		return "decides whether Flux deletes what is taken out of the repository"
	}
	return ""
}

var fluxVersionLine = regexp.MustCompile(`(?m)^# Flux Version: (\S+)`)

func fluxVersion(components []byte) string {
	if found := fluxVersionLine.FindSubmatch(components[:min(len(components), 1000)]); found != nil {
		return string(found[1])
	}
	return ""
}

// leaf is a value that is no object.
type leaf struct {
	text string
	node *yaml.Node
}

// flatten lists the values of an object by their path.
func flatten(node *yaml.Node) map[string]leaf {
	out := map[string]leaf{}
	var walk func(*yaml.Node, string)
	walk = func(node *yaml.Node, at string) {
		switch node.Kind {
		case yaml.AliasNode: // not followed: it may lead to itself
			out[at] = leaf{text: "*" + node.Value, node: node}
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				walk(node.Content[i+1], strings.TrimPrefix(at+"."+node.Content[i].Value, "."))
			}
		case yaml.SequenceNode:
			for i, item := range node.Content {
				walk(item, fmt.Sprintf("%s[%d]", at, i))
			}
		case yaml.ScalarNode:
			out[at] = leaf{text: node.Value, node: node}
		}
	}
	walk(node, "")
	return out
}

func union[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
