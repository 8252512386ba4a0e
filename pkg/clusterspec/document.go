package clusterspec

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on one document. The API server stores no object above 1.5 MiB; nesting and the number of values are
// far beyond what any EKS Anywhere object has, and keep hostile input from taking memory and time.
const (
	maxDocumentSize   = 3 << 19
	maxDepth          = 100
	maxDocumentValues = 200_000
	maxTotalValues    = 2_000_000
	maxDocuments      = 20_000 // in one file
)

// limits bound the work of one run.
type limits struct {
	values   int // that may still be read
	searches int // for the exact places of syntax errors
	splits   int // of documents that lack a separator
}

func newLimits() *limits { return &limits{values: maxTotalValues, searches: 20, splits: 16} }

// trialLimits are those for a text of which we only ask whether it can be read, not what is wrong with it.
func trialLimits() *limits { return &limits{values: maxTotalValues} }

// document is one YAML document of a source.
type document struct {
	file      string
	number    int    // counts the documents that hold something, from 1
	lead      string // comments that stood in documents of their own before this one, or on its marker line
	tail      string // comments that stood in documents of their own after the last one
	body      string // the text without its marker lines
	firstLine int    // line of the file on which body begins
	inline    bool   // content began on the line of the marker, so that body cannot be edited by lines
	ended     int    // the line with a "..." that ended what stands before, or 0
	root      *yaml.Node
	// duplicates are keys that a mapping has twice, which EKS Anywhere's strict reader refuses and of which
	// its lenient one takes the last.
	duplicates []stray
	// fields whose values valueProblem refuses, so that there is no more to say about them
	unclear map[string]bool
}

// position gives line and column in the file.
func (d *document) position(node *yaml.Node) (line, column int) {
	if node == nil {
		return d.firstLine, 1
	}
	return d.firstLine + node.Line - 1, node.Column
}

func (d *document) problem(rule string, node *yaml.Node, message string) Problem {
	line, column := d.position(node)
	return Problem{Severity: SeverityError, Rule: rule, File: d.file, Document: d.number, Line: line,
		Column: column, Message: message}
}

// chunk is the text between two document markers.
type chunk struct {
	text      string
	comment   string // on the line of the marker
	firstLine int
	inline    bool
	ended     int // the line with a "..." directly before, or 0
}

// marker says whether a line is a document marker: three characters in the first column with nothing but
// blanks directly after.
func marker(line, mark string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(line, mark)
	if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", false
	}
	return rest, true
}

// split cuts a file into documents. The markers cannot occur at the start of a line inside any kind of YAML
// scalar, so lines are enough to go by.
func split(content string) []chunk {
	var chunks []chunk
	var b strings.Builder
	current := chunk{firstLine: 1}
	flush := func(nextLine int) {
		current.text = b.String()
		b.Reset()
		chunks = append(chunks, current)
		current = chunk{firstLine: nextLine}
	}
	explicit := false
	number := 0
	for line := range strings.SplitAfterSeq(content, "\n") {
		number++
		bare := strings.TrimSuffix(line, "\n")
		if rest, ok := marker(bare, "---"); ok {
			flush(number)
			explicit = true
			switch trimmed := strings.TrimLeft(rest, " \t"); {
			case trimmed == "":
				current.firstLine = number + 1
			case trimmed[0] == '#':
				current.comment = trimmed + "\n"
				current.firstLine = number + 1
			default:
				current.inline = true
				b.WriteString("   " + rest + "\n")
			}
			continue
		}
		if _, ok := marker(bare, "..."); ok {
			flush(number + 1)
			current.ended = number
			explicit = false
			continue
		}
		if !explicit && strings.HasPrefix(bare, "%") && onlyComments(b.String()) {
			// a directive; YAML versions and tag shorthands make no difference to what EKS Anywhere reads
			b.WriteString("\n")
			continue
		}
		b.WriteString(line)
	}
	flush(number)
	return chunks
}

// onlyComments says whether a chunk holds no content.
func onlyComments(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if trimmed := strings.TrimLeft(line, " \t"); trimmed != "" && trimmed[0] != '#' {
			return false
		}
	}
	return true
}

// readDocuments parses the documents of a source. Those that cannot be parsed are left out, each with a
// problem, which quotes no secret of the source.
func readDocuments(source Source, limits *limits) ([]*document, Problems) {
	documents, problems := readAll(source, limits)
	return documents, withoutSecrets(problems, source)
}

func readAll(source Source, limits *limits) ([]*document, Problems) {
	content, bad := normalize(source)
	if bad != nil {
		return nil, Problems{*bad}
	}
	if strings.TrimSpace(content) == "" {
		return nil, Problems{emptyFile(source.Name)}
	}
	var (
		documents []*document
		problems  Problems
		lead      strings.Builder
		number    int
	)
	for queue := split(content); len(queue) > 0; {
		c := queue[0]
		queue = queue[1:]
		lead.WriteString(c.comment)
		if onlyComments(c.text) {
			if p := refusedComments(source.Name, c); p != nil {
				problems = append(problems, *p)
			}
			if comment := trimBlankLines(c.text); comment != "" {
				lead.WriteString(comment)
			}
			continue
		}
		if number++; number > maxDocuments {
			return nil, Problems{{
				Severity: SeverityError, Rule: "too-large", File: source.Name, Line: c.firstLine,
				Message: "too many documents", Expected: fmt.Sprintf("at most %d in a file", maxDocuments),
			}}
		}
		d := &document{file: source.Name, number: number, lead: lead.String(), body: c.text,
			firstLine: c.firstLine, inline: c.inline, ended: c.ended}
		problem := d.parse(limits)
		if line, p := d.missingSeparator(problem != nil); line > 0 && limits.splits > 0 {
			limits.splits--
			problems = append(problems, p)
			queue = append(c.splitAt(line, problem != nil), queue...)
			number--
			continue
		}
		lead.Reset()
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		if d.root == nil {
			continue
		}
		found := d.valueProblems()
		if len(found) == 0 {
			if p := d.readAlike(); p != nil {
				found = Problems{*p}
			}
		}
		problems = append(problems, found...)
		documents = append(documents, d)
	}
	if rest := lead.String(); rest != "" && len(documents) > 0 {
		documents[len(documents)-1].tail = rest
	}
	if number == 0 {
		problem := emptyFile(source.Name)
		problem.Message = "the file contains only comments"
		return nil, Problems{problem}
	}
	return documents, problems
}

// trimBlankLines takes blank lines away at both ends; the result is empty or ends with a line end.
func trimBlankLines(text string) string {
	for {
		line, rest, more := strings.Cut(text, "\n")
		if !more || strings.TrimSpace(line) != "" {
			break
		}
		text = rest
	}
	text = strings.TrimSuffix(text, "\n")
	for {
		cut := strings.LastIndexByte(text, '\n')
		if strings.TrimSpace(text[cut+1:]) != "" {
			return text + "\n"
		}
		if cut < 0 {
			return ""
		}
		text = text[:cut]
	}
}

func (d *document) parse(limits *limits) *Problem {
	if len(d.body) > maxDocumentSize {
		p := d.problem("too-large", nil, "the document is too large")
		p.Expected = "at most 1.5 MiB, the most that Kubernetes stores as one object"
		return &p
	}
	// Every value needs at least one of these, so this bounds what the parser will allocate, before it does.
	values := 0
	for _, indicator := range []string{"\n", ":", ",", "[", "{", "- ", "?", "*"} {
		values += strings.Count(d.body, indicator)
	}
	limits.values -= values
	if values > maxDocumentValues || limits.values < 0 {
		p := d.problem("too-large", nil, "too many values")
		p.Expected = fmt.Sprintf("at most %d in a document and %d in a run",
			maxDocumentValues, maxTotalValues)
		return &p
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(d.body), &root); err != nil {
		p := d.syntaxProblem(err, limits)
		return &p
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) == 0 {
		return nil
	}
	top := resolve(root.Content[0])
	budget := maxDocumentValues
	if bad, message := d.bounded(root.Content[0], 0, map[*yaml.Node]bool{}, &budget); bad != nil {
		rule := "not-yaml"
		if budget < 0 || strings.HasPrefix(message, "values are nested") {
			rule = "too-large"
		}
		p := d.problem(rule, bad, message)
		if message == keyNotText {
			p.Expected = "a text; a value that begins with { is written in quotes"
		}
		return &p
	}
	if kind := kindOf(top); kind == kindNull {
		return nil
	} else if kind != kindObject {
		p := d.problem("not-yaml", top, "the document is not a Kubernetes object")
		p.Found, p.Expected = describe(top), "a mapping with apiVersion, kind, metadata and spec"
		return &p
	}
	d.root = top
	return nil
}

const keyNotText = "a key is not a plain text"

// bounded walks a document with its aliases followed, as every reader will, and names the node at which it
// goes too far.
func (d *document) bounded(node *yaml.Node, depth int, open map[*yaml.Node]bool,
	budget *int) (*yaml.Node, string) {
	*budget--
	switch {
	case *budget < 0:
		return node, "the aliases of the document expand to too many values"
	case depth > maxDepth:
		return node, fmt.Sprintf("values are nested more than %d deep", maxDepth)
	case node.Kind == yaml.AliasNode:
		if open[node.Alias] {
			return node, "an alias refers to a value that contains the alias"
		}
		return d.bounded(node.Alias, depth+1, open, budget)
	}
	if len(node.Content) == 0 {
		return nil, ""
	}
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := resolve(node.Content[i])
			if key.Kind != yaml.ScalarNode {
				return node.Content[i], keyNotText
			}
			if isMerge(node.Content[i]) {
				if value := resolve(node.Content[i+1]); value.Kind != yaml.MappingNode &&
					value.Kind != yaml.SequenceNode {
					return node.Content[i+1], "a merge key (<<) needs a mapping"
				}
			}
		}
	}
	if node.Anchor != "" {
		open[node] = true
		defer delete(open, node)
	}
	for _, child := range node.Content {
		if bad, message := d.bounded(child, depth+1, open, budget); bad != nil {
			return bad, message
		}
	}
	return nil, ""
}

// valueProblem refuses what YAML's readers do not all understand alike: tags, but for those that say what is
// plain to see, and numbers without a form in JSON.
func (d *document) valueProblem(node *yaml.Node) *Problem {
	switch {
	case node.Style&yaml.TaggedStyle != 0 && !plainTag(node):
		p := d.problem("wrong-type", node, "EKS Anywhere's YAML readers do not agree on the tag")
		p.Object, p.Found, p.Expected = objectName(d.root), quote(node.Tag), "no tag; for a string, quotes"
		return &p
	case node.Kind == yaml.ScalarNode && node.Style == 0 && notFiniteForm.MatchString(node.Value):
		p := d.problem("wrong-type", node, "Kubernetes does not accept this number")
		p.Object, p.Found, p.Expected = objectName(d.root), node.Value, "a number, or a string in quotes"
		return &p
	}
	return nil
}

func plainTag(node *yaml.Node) bool {
	switch node.Kind {
	case yaml.MappingNode:
		return node.ShortTag() == "!!map"
	case yaml.SequenceNode:
		return node.ShortTag() == "!!seq"
	}
	return node.ShortTag() == "!!str"
}

// valueProblems finds, besides, keys that YAML does not read as they are written: "on" is the boolean true.
// It notes keys that a mapping has twice.
func (d *document) valueProblems() Problems {
	var problems Problems
	var walk func(node *yaml.Node, field string)
	walk = func(node *yaml.Node, field string) {
		if p := d.valueProblem(node); p != nil {
			p.Field = field
			problems = append(problems, *p)
			if d.unclear == nil {
				d.unclear = map[string]bool{}
			}
			d.unclear[field] = true
		}
		switch node.Kind {
		case yaml.MappingNode:
			seen := make(map[string]*yaml.Node, len(node.Content)/2)
			for i := 0; i+1 < len(node.Content) && len(problems) < maxObjectProblems; i += 2 {
				key := resolve(node.Content[i])
				child := joinField(field, key.Value)
				if first, twice := seen[key.Value]; twice {
					if len(d.duplicates) < maxObjectProblems {
						d.duplicates = append(d.duplicates, stray{mapping: field, key: node.Content[i],
							value: resolve(node.Content[i+1]), first: d.firstLine + first.Line - 1})
					}
					continue
				}
				seen[key.Value] = node.Content[i]
				if p := d.valueProblem(node.Content[i]); p != nil {
					p.Field = child
					problems = append(problems, *p)
				}
				if _, read := scalar(key); !isMerge(node.Content[i]) && fmt.Sprint(read) != key.Value {
					p := d.problem("wrong-type", node.Content[i], "the key is not read as it is written")
					p.Object, p.Field = objectName(d.root), child
					p.Found, p.Expected = describe(key), "a string, in quotes: "+strconv.Quote(key.Value)
					problems = append(problems, p)
				}
				walk(node.Content[i+1], child)
			}
		case yaml.SequenceNode:
			for i, item := range node.Content {
				walk(item, fmt.Sprintf("%s[%d]", field, i))
			}
		}
	}
	walk(d.root, "")
	return problems
}

// duplicateProblems tells of the keys that are there twice, for a document that no report is made of.
func (d *document) duplicateProblems() Problems {
	var problems Problems
	for _, s := range d.duplicates {
		p := d.problem("duplicate-key", s.key, fmt.Sprintf("the key is already on line %d", s.first))
		p.Object, p.Field = objectName(d.root), s.path()
		p.Found, p.Expected = quote(s.key.Value)+" twice", "each key once"
		problems = append(problems, p)
	}
	return problems
}

// objectName is how messages name the object of a document, with what it has.
func objectName(root *yaml.Node) string {
	return strings.TrimSpace(text(root, "kind") + " " + text(root, "metadata", "name"))
}

func joinField(parent, name string) string {
	// a label's key with its prefix is no longer; what is, is no field's name, and would make paths without
	// end
	const longest = 320
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	if strings.ContainsAny(name, "./[]") || name == "" {
		return parent + "[" + name + "]"
	}
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// describe says in a few words what a node holds.
func describe(node *yaml.Node) string {
	switch kind, value := kindOf(node), node.Value; kind {
	case kindObject:
		return "an object"
	case kindList:
		return "a list"
	case kindNull:
		return "nothing"
	case kindString:
		return "the string " + quote(value)
	default:
		return "the " + string(kind) + " " + value
	}
}
