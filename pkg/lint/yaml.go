package lint

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// maxFile bounds what is read of a file as YAML. Flux's components, the largest of them, have less than a
// megabyte.
const maxFile = 16 << 20

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parseYAML reads the documents of a file that hold something.
func parseYAML(file string, content []byte) ([]*yaml.Node, *clusterspec.Problem) {
	problem := clusterspec.Problem{Severity: clusterspec.SeverityError, Rule: "not-yaml", File: file, Line: 1,
		Column: 1}
	if len(content) > maxFile {
		problem.Rule, problem.Message = "too-large", "the file is larger than 16 MB"
		return nil, &problem
	}
	if line := conflictMarker(content); line > 0 {
		problem.Rule, problem.Line, problem.Message = "conflict-marker", line,
			"the file contains the marks of a merge that was not finished"
		return nil, &problem
	}
	var documents []*yaml.Node
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			said := yamlLine.FindStringSubmatch(err.Error())
			problem.Message = "not valid YAML: " +
				strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: ")
			if said != nil && said[1] != "" {
				problem.Line, _ = strconv.Atoi(said[1])
				problem.Message = "not valid YAML: " + err.Error()[len(said[0]):]
			}
			return nil, &problem
		}
		if len(document.Content) == 1 && !yamlnode.IsNull(document.Content[0]) {
			documents = append(documents, document.Content[0])
		}
	}
}

// conflictMarker finds the line of a mark that git leaves in files it could not merge; 0 is none.
func conflictMarker(content []byte) int {
	if !bytes.Contains(content, []byte("<<<<<<< ")) || !bytes.Contains(content, []byte("\n>>>>>>> ")) {
		return 0
	}
	line := 0
	for text := range bytes.Lines(content) {
		line++
		if bytes.HasPrefix(text, []byte("<<<<<<< ")) {
			return line
		}
	}
	return 0
}

// quote shows a value from a file, shortened and without control characters.
func quote(value string) string {
	const most = 100
	value = redact.Text(value)
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	return strconv.Quote(value)
}

// groupOf is the group of an apiVersion; empty for the core of Kubernetes.
func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}
