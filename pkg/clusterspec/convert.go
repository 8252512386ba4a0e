package clusterspec

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Convert replaces each GitOpsConfig of a file by the FluxConfig that says the same, under the same name, and
// points the gitOpsRef of the clusters in the file to it. Everything else, comments included, stays as it is.
// A file without GitOpsConfig is returned unchanged. The error is Problems, for a file that cannot be read or
// that holds a FluxConfig of that name already.
func Convert(source Source) ([]byte, error) {
	content, bad := normalize(source)
	if bad != nil {
		return nil, Problems{*bad}
	}
	documents, problems := readDocuments(source, newLimits())
	converted := map[string]bool{}
	for _, d := range documents {
		problems = append(problems, d.duplicateProblems()...)
		if isOurs(d, "GitOpsConfig") {
			converted[text(d.root, "metadata", "name")] = true
		}
	}
	s := newSplicer(content)
	for _, d := range documents {
		switch {
		case isOurs(d, "FluxConfig") && converted[text(d.root, "metadata", "name")]:
			p := d.problem("duplicate-object", d.root, "a FluxConfig of this name is in the file already")
			p.Object = objectName(d.root)
			problems = append(problems, p)
		case isOurs(d, "GitOpsConfig"):
			if p := d.convert(s); p != nil {
				problems = append(problems, *p)
			}
		case isOurs(d, "Cluster"):
			if _, kind := lookup(d.root, "spec", "gitOpsRef", "kind"); kind != nil &&
				kind.Value == "GitOpsConfig" && converted[text(d.root, "spec", "gitOpsRef", "name")] {
				if !s.replaceScalar(kind, d.shifted(kind), "FluxConfig") {
					p := d.problem("not-editable", kind, "the reference cannot be edited in place")
					p.Object, p.Field, p.Expected = objectName(d.root), "spec.gitOpsRef.kind", "FluxConfig"
					problems = append(problems, p)
				}
			}
		}
	}
	if len(problems) > 0 {
		return nil, problems.sorted()
	}
	if len(converted) == 0 {
		return source.Data, nil
	}
	slices.SortStableFunc(s.edits, func(a, b spliceEdit) int { return a.start - b.start })
	var b bytes.Buffer
	at := 0
	for _, e := range s.edits {
		b.WriteString(s.body[at:e.start])
		b.WriteString(e.text)
		at = e.end
	}
	b.WriteString(s.body[at:])
	return withLineEndsOf(source.Data, b.Bytes()), nil
}

// withLineEndsOf gives a text with LF the line ends that most lines of another one have.
func withLineEndsOf(like, out []byte) []byte {
	if bytes.Count(like, []byte("\r\n"))*2 > bytes.Count(like, []byte("\n")) {
		return bytes.ReplaceAll(out, []byte("\n"), []byte("\r\n"))
	}
	return out
}

func isOurs(d *document, kind string) bool {
	return text(d.root, "kind") == kind && strings.HasPrefix(text(d.root, "apiVersion"), apiGroup)
}

// shifted copies a node with the line it has in the file.
func (d *document) shifted(node *yaml.Node) *yaml.Node {
	out := *node
	out.Line += d.firstLine - 1
	return &out
}

// convert plans the conversion of one GitOpsConfig in the text of its file.
func (d *document) convert(s *splicer) *Problem {
	_, github := lookup(d.root, "spec", "flux", "github")
	if github == nil || kindOf(github) != kindObject {
		p := d.problem("required", d.root, "the GitOpsConfig has no settings")
		p.Object, p.Field, p.Expected = objectName(d.root), "spec.flux.github",
			"an object with owner and repository"
		return &p
	}
	if text, ok := d.convertText(); ok {
		lines := strings.Split(strings.TrimRight(d.body, " \t\n"), "\n")
		first, last := d.firstLine, d.firstLine+len(lines)-1
		for ; strings.TrimSpace(lines[0]) == "" && first < last; first++ {
			lines = lines[1:]
		}
		s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[min(last, len(s.lines)-1)], text})
		return nil
	}
	p := d.problem("not-editable", d.root, "the document is not written in a way that can be edited")
	p.Object, p.Expected = objectName(d.root), "block style, without anchors"
	return &p
}

// convertText gives the text of the document as a FluxConfig: by splicing lines or, for JSON style, written
// anew. Either way the result is read again and must hold the right values.
func (d *document) convertText() (string, bool) {
	want := fluxSpec(decode(d.root).(map[string]any))
	if strings.HasPrefix(d.body, "   ") && d.inline || strings.ContainsAny(d.body, "\u0085\u2028\u2029") {
		return "", false
	}
	if spliced, ok := d.convertLines(); ok && holds(spliced, want) {
		return spliced, true
	}
	root := copyNode(d.root, map[*yaml.Node]*yaml.Node{})
	blockStyle(root, root.Style&yaml.FlowStyle != 0)
	if !convertNode(root) {
		return "", false
	}
	encoded, ok := encodeYAML(root)
	return encoded, ok && holds(encoded, want)
}

// movedSettings are those that a GitOpsConfig has beside owner and repository and a FluxConfig one level up,
// by their new names.
var movedSettings = map[string]string{"branch": "branch", "clusterConfigPath": "clusterConfigPath",
	"fluxSystemNamespace": "systemNamespace"}

// fluxSpec makes a FluxConfig of a decoded GitOpsConfig.
func fluxSpec(object map[string]any) map[string]any {
	spec, _ := object["spec"].(map[string]any)
	flux, _ := spec["flux"].(map[string]any)
	github, _ := flux["github"].(map[string]any)
	out := map[string]any{}
	inner := map[string]any{}
	for key, value := range github {
		if name, moved := movedSettings[key]; moved {
			out[name] = value
		} else {
			inner[key] = value
		}
	}
	out["github"] = inner
	object["kind"], object["spec"] = "FluxConfig", out
	return object
}

func (d *document) convertLines() (string, bool) {
	s := newSplicer(d.body)
	specAt := keyIndex(d.root, "spec")
	kindAt := keyIndex(d.root, "kind")
	if specAt < 0 || kindAt < 0 ||
		!s.replaceScalar(d.root.Content[kindAt], d.root.Content[kindAt+1], "FluxConfig") {
		return "", false
	}
	spec := d.root.Content[specAt+1]
	fluxAt := keyIndex(spec, "flux")
	if fluxAt < 0 || len(spec.Content) != 2 {
		return "", false
	}
	flux := spec.Content[fluxAt+1]
	githubAt := keyIndex(flux, "github")
	if githubAt < 0 || len(flux.Content) != 2 {
		return "", false
	}
	github, githubKey := flux.Content[githubAt+1], flux.Content[githubAt]
	first, last, ok := s.entryLines(spec, fluxAt)
	if !ok || github.Kind != yaml.MappingNode || github.Style&yaml.FlowStyle != 0 ||
		flux.Style&yaml.FlowStyle != 0 || len(github.Content) == 0 ||
		githubKey.Line == spec.Content[fluxAt].Line || github.Content[0].Line == githubKey.Line {
		return "", false
	}
	indent := spec.Content[fluxAt].Column - 1
	var above, moved, inside, below strings.Builder
	used := map[int]bool{spec.Content[fluxAt].Line: true, githubKey.Line: true}
	for i := 0; i+1 < len(github.Content); i += 2 {
		key := github.Content[i]
		from, to, ok := s.entryLines(github, i)
		if !ok {
			return "", false
		}
		target, width := &inside, indent+2
		name, out := movedSettings[key.Value]
		if out {
			target, width = &moved, indent
		}
		for line := from; line <= to; line++ {
			used[line] = true
			content := s.line(line)
			if line == key.Line && out {
				content = strings.Replace(content, key.Value, name, 1)
			}
			target.WriteString(reindent(content, width-(key.Column-1)) + "\n")
		}
	}
	for line := first; line <= last; line++ {
		content := strings.TrimSpace(s.line(line))
		switch {
		case used[line]:
		case line < githubKey.Line && content != "":
			above.WriteString(strings.Repeat(" ", indent) + content + "\n")
		case content != "":
			below.WriteString(strings.Repeat(" ", indent+2) + content + "\n")
		}
	}
	head := strings.Repeat(" ", indent) + "github:" +
		strings.TrimPrefix(strings.TrimLeft(s.line(githubKey.Line), " "), "github:") + "\n"
	fluxComment := strings.TrimSpace(
		strings.TrimPrefix(strings.TrimLeft(s.line(spec.Content[fluxAt].Line), " "), "flux:"))
	if fluxComment != "" {
		above.WriteString(strings.Repeat(" ", indent) + fluxComment + "\n")
	}
	s.edits = append(s.edits, spliceEdit{s.lines[first-1], s.lines[last],
		above.String() + moved.String() + head + inside.String() + below.String()})
	return s.apply()
}

func reindent(line string, by int) string {
	if by >= 0 {
		return strings.Repeat(" ", by) + line
	}
	return line[min(-by, indentation(line)):]
}

func convertNode(root *yaml.Node) bool {
	specAt, kindAt := keyIndex(root, "spec"), keyIndex(root, "kind")
	if specAt < 0 || kindAt < 0 {
		return false
	}
	_, github := lookup(root, "spec", "flux", "github")
	if github == nil || github.Kind != yaml.MappingNode {
		return false
	}
	str := func(value string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	}
	spec := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	inner := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(github.Content); i += 2 {
		if name, moved := movedSettings[github.Content[i].Value]; moved {
			github.Content[i].Value = name
			spec.Content = append(spec.Content, github.Content[i], github.Content[i+1])
		} else {
			inner.Content = append(inner.Content, github.Content[i], github.Content[i+1])
		}
	}
	spec.Content = append(spec.Content, str("github"), inner)
	root.Content[specAt+1] = spec
	root.Content[kindAt+1] = str("FluxConfig")
	return true
}
