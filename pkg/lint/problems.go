package lint

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// inRepository puts a problem of a spec into the words of a repository, where files are applied as they are.
func inRepository(p clusterspec.Problem) (clusterspec.Problem, bool) {
	switch p.Rule {
	case "foreign-object":
		// Users keep what they like beside the specs; only in EKS Anywhere's own file it would get lost.
		if path.Base(p.File) != layout.SpecFile {
			return p, false
		}
		p.Message = "not an object of EKS Anywhere's spec files; Flux applies it, but EKS Anywhere drops " +
			"it when it writes the file again"
		p.Expected = "a file of its own beside this one, listed in " + layout.KustomizationFile
	case "unquoted-version":
		p.Severity = clusterspec.SeverityError // Flux applies the number, and the API server refuses it
	case "unreferenced":
		p.Message = "no Cluster refers to the object"
	case "management-cluster":
		p.Expected = strings.TrimSuffix(p.Expected, ", or a run for each management cluster")
	case "two-management-clusters":
		p.Expected = "one management cluster below each path that a Flux applies"
	}
	return p, true
}

// report adds a problem. Severity, Rule and File are its caller's.
func (f *fleet) report(p clusterspec.Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.problems = append(f.problems, p)
	if p.Severity != clusterspec.SeverityError {
		return
	}
	f.failing[p.File] = true
	switch p.Rule {
	case "kustomization", "kustomization-cycle", "missing-resource", "listed-twice", "outside-repository",
		"symlink", "submodule", "ignored-file", "not-kubernetes", "namespace-missing", "nested-fleet",
		"two-flux", unservedRule, encryptedRule:
		f.broken, f.unbuilt[p.File] = true, true
	case "not-yaml", "conflict-marker", "duplicate-object", "duplicate-key", "too-large", "empty-file",
		"required", "unknown-kind":
		f.broken, f.unbuilt[p.File], f.unclear[p.File] = true, true, true
	}
}

// at adds a problem at a node of a YAML file.
func (f *fleet) at(severity clusterspec.Severity, rule, file string, node *yaml.Node, p clusterspec.Problem) {
	p.Severity, p.Rule, p.File = severity, rule, file
	if node != nil {
		p.Line, p.Column = node.Line, node.Column
	}
	f.report(p)
}

// fail is at for the common case of an error.
func (f *fleet) fail(rule, file string, node *yaml.Node, message, found, expected string) {
	f.at(clusterspec.SeverityError, rule, file, node,
		clusterspec.Problem{Message: message, Found: found, Expected: expected})
}

// on adds a problem at a field of an object.
func (f *fleet) on(severity clusterspec.Severity, rule string, o *clusterspec.Object, field string,
	p clusterspec.Problem) {
	p.Severity, p.Rule, p.File, p.Object, p.Field = severity, rule, o.File, o.Label(), field
	p.Line, p.Column = o.Position(field)
	f.report(p)
}
