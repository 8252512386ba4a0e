package clusterspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kubernetes "sigs.k8s.io/yaml"
)

// Files are read here with another library than EKS Anywhere, kustomize and Kubernetes read them with: one
// that knows where each value stands. The two do not agree about every text. So whatever is accepted here is
// read by theirs as well, and has to be the same.

// CheckReadings makes sure that every document of a YAML file means to Kubernetes' reader (sigs.k8s.io/yaml)
// what it means here. It is for files of any kind; what is in them is not judged, and [Parse] does the same
// for cluster specs. The problems name the lines; a file that cannot be read at all has one. It may be
// repeated.
func CheckReadings(source Source) Problems {
	content, bad := normalize(source)
	if bad != nil {
		return Problems{*bad}
	}
	if onlyComments(content) {
		return compareReadings(source.Name, content, nil)
	}
	decoder := yaml.NewDecoder(strings.NewReader(content))
	var roots []located
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if err != nil && err.Error() == "EOF" {
			return compareReadings(source.Name, content, roots)
		}
		if err != nil {
			d := &document{file: source.Name, body: content, firstLine: 1}
			return Problems{d.syntaxProblem(err, newLimits())}
		}
		if len(root.Content) == 0 {
			continue
		}
		budget := maxDocumentValues
		d := &document{file: source.Name, number: len(roots) + 1, firstLine: 1}
		if at, message := d.bounded(root.Content[0], 0, map[*yaml.Node]bool{}, &budget); at != nil {
			return Problems{d.problem("not-yaml", at, message)}
		}
		if top := resolve(root.Content[0]); kindOf(top) != kindNull {
			roots = append(roots, located{top, d})
		}
	}
}

// located is a document that was read here.
type located struct {
	root     *yaml.Node
	document *document // for the places of its values
}

// part is what Kubernetes' reader takes for one document.
type part struct {
	text      string
	firstLine int
}

// kubernetesParts cuts a file as Kubernetes' reader of several documents does
// (k8s.io/apimachinery/pkg/util/yaml): at the lines that begin with three dashes. Of one that has more than a
// comment behind them it gives the number: that reader refuses the file.
func kubernetesParts(content string) (parts []part, refused int) {
	var b strings.Builder
	first, number := 1, 0
	flush := func() {
		if strings.TrimSpace(b.String()) != "" {
			parts = append(parts, part{b.String(), first})
		}
		b.Reset()
	}
	for line := range strings.SplitAfterSeq(content, "\n") {
		number++
		behind, separates := strings.CutPrefix(line, "---")
		if !separates {
			b.WriteString(line)
			continue
		}
		if behind = strings.TrimSpace(behind); behind != "" && behind[0] != '#' {
			return nil, number
		}
		flush()
		first = number + 1
	}
	flush()
	return parts, 0
}

// compareReadings reads the content as Kubernetes does and compares it with what was read here.
func compareReadings(file, content string, ours []located) Problems {
	var theirs []any
	var lines []int
	parts, refused := kubernetesParts(content)
	if refused > 0 {
		return Problems{{
			Severity: SeverityError, Rule: "separator", File: file, Line: refused,
			Column: 1, Message: "Kubernetes reads the line as one that separates documents, and does not " +
				"accept the rest of it",
			Expected: "--- on a line of its own",
		}}
	}
	for _, p := range parts {
		value, err := readAsKubernetes(p.text)
		if err != nil {
			return Problems{refusedByKubernetes(file, p, err)}
		}
		if value != nil {
			theirs, lines = append(theirs, value), append(lines, p.firstLine)
		}
	}
	for i, o := range ours {
		if i == len(theirs) {
			p := o.document.problem("not-yaml", o.root, "Kubernetes' reader does not see this document")
			p.Expected = "--- on a line of its own before it"
			return Problems{p}
		}
		if p := o.document.compare(o.root, theirs[i]); p != nil {
			return Problems{*p}
		}
	}
	if len(theirs) > len(ours) {
		return Problems{{Severity: SeverityError, Rule: "not-yaml", File: file, Line: lines[len(ours)],
			Column: 1, Message: "Kubernetes' reader sees a document here that others do not"}}
	}
	return nil
}

// compare makes sure that what Kubernetes' reader makes of a document is the same as here.
func (d *document) compare(root *yaml.Node, theirs any) *Problem {
	at, other, differs := readDifferently(root, theirs, 0)
	if !differs {
		return nil
	}
	p := d.problem("wrong-type", at, "Kubernetes' reader reads this differently")
	p.Object, p.Found, p.Expected = objectName(root), describe(at)+", to Kubernetes "+other,
		"a form that all readers understand alike: no tag, and quotes around a text"
	return &p
}

// readAlike does that for the document of a cluster spec. Other readers cut files in other places, which
// makes no difference: what is written is cut in a way that all understand.
func (d *document) readAlike() *Problem {
	theirs, err := readAsKubernetes(d.body)
	if err != nil {
		p := refusedByKubernetes(d.file, part{d.body, d.firstLine}, err)
		return &p
	}
	if len(d.duplicates) > 0 {
		return nil // that is told, and no file with it is accepted
	}
	return d.compare(d.root, theirs)
}

// refusedComments makes sure that Kubernetes' reader can read a document of comments, which is kept with the
// next one.
func refusedComments(file string, c chunk) *Problem {
	if strings.TrimSpace(c.text) == "" {
		return nil
	}
	if _, err := readAsKubernetes(c.text); err != nil {
		p := refusedByKubernetes(file, part{c.text, c.firstLine}, err)
		return &p
	}
	return nil
}

// readAsKubernetes gives what the library of EKS Anywhere, kustomize and Kubernetes makes of one document.
func readAsKubernetes(text string) (any, error) {
	encoded, err := kubernetes.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// refusedByKubernetes says where Kubernetes' reader stops. Its words may quote a value and are not repeated.
func refusedByKubernetes(file string, p part, err error) Problem {
	line := 1
	if match := yamlLineForm.FindStringSubmatch(err.Error()); match != nil {
		line, _ = strconv.Atoi(match[1])
	}
	lines := strings.Split(p.text, "\n")
	line = min(max(line, 1), len(lines))
	if exact := firstRefusedLine(p.text, lines); exact > 0 {
		line = exact
	}
	problem := Problem{Severity: SeverityError, Rule: "not-yaml", File: file, Line: p.firstLine + line - 1,
		Column: 1, Message: "EKS Anywhere's YAML reader does not accept this line"}
	if column, name := strangeIndent(lines[line-1]); column > 0 {
		problem.Column, problem.Message = column,
			"not valid YAML for EKS Anywhere: "+name+" in the indentation"
		problem.Found, problem.Expected = name, "spaces"
	}
	return problem
}

var yamlLineForm = regexp.MustCompile(`line (\d+)`)

// firstRefusedLine finds the line, from 1, with which a text stops to be acceptable to Kubernetes' reader:
// all that stands before it is. 0 when that cannot be told, or not in a short time.
func firstRefusedLine(text string, lines []string) int {
	if len(text) > maxSearch/16 {
		return 0
	}
	accepts := func(n int) bool {
		_, err := readAsKubernetes(strings.Join(lines[:n], "\n"))
		return err == nil
	}
	// What is cut off in the middle may be refused for that alone, so the search is from the end where the
	// whole is refused.
	n := sort.Search(len(lines), func(i int) bool { return !accepts(i + 1) })
	if n < len(lines) && accepts(n) {
		return n + 1
	}
	return 0
}

// readDifferently finds the first value that is not the same, as Kubernetes would have it, with words for
// what it is there.
func readDifferently(node *yaml.Node, theirs any, depth int) (at *yaml.Node, other string, differs bool) {
	node = resolve(node)
	if depth > maxDepth {
		return node, "", false
	}
	switch node.Kind {
	case yaml.MappingNode:
		fields, ok := theirs.(map[string]any)
		if !ok {
			return node, said(theirs), true
		}
		seen := make(map[string]*yaml.Node, len(fields))
		var last []entry
		for _, e := range entries(node) {
			if seen[e.key.Value] != nil { // of a key that is there twice the last value counts
				last = slices.DeleteFunc(last, func(old entry) bool { return old.key.Value == e.key.Value })
			}
			seen[e.key.Value], last = e.value, append(last, e)
		}
		for _, e := range last {
			value, there := fields[e.key.Value]
			if !there {
				return e.key, "not this key", true
			}
			if at, other, differs := readDifferently(e.value, value, depth+1); differs {
				return at, other, true
			}
		}
		if len(fields) != len(last) {
			return node, "an object with other keys", true
		}
		return nil, "", false
	case yaml.SequenceNode:
		items, ok := theirs.([]any)
		if !ok || len(items) != len(node.Content) {
			return node, said(theirs), true
		}
		for i, item := range node.Content {
			if at, other, differs := readDifferently(item, items[i], depth+1); differs {
				return at, other, true
			}
		}
		return nil, "", false
	}
	_, ours := scalar(node)
	if sameScalar(ours, theirs) {
		return nil, "", false
	}
	return node, said(theirs), true
}

func sameScalar(ours, theirs any) bool {
	number, isNumber := theirs.(json.Number)
	switch value := ours.(type) {
	case int64:
		return isNumber && number.String() == strconv.FormatInt(value, 10)
	case float64:
		read, err := number.Float64()
		return isNumber && err == nil && read == value
	}
	return !isNumber && ours == theirs
}

// said describes a value of Kubernetes' reader.
func said(value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case string:
		return "the string " + quote(v)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	return fmt.Sprint("the value ", value)
}
