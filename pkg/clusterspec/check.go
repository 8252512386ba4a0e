package clusterspec

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// report collects what is wrong with one object. A rule adds nothing about a field that is known to be wrong
// already, nor about its parents and children, so that one mistake is told once.
type report struct {
	object   *Object
	applied  bool // see ParseApplied
	problems Problems
	strays   []stray
	missing  []missing
	unset    []unset
	meant    []string // paths of fields that are there under a misspelled name or in another place
}

// add records a problem with a field. The node is where it shows; nil is the object as a whole. Beyond the
// bound nothing is recorded, and the last problem says so.
func (r *report) add(severity Severity, rule string, node *yaml.Node, path, message string) *Problem {
	p := r.object.document.problem(rule, node, message)
	if node == nil {
		p.Line, p.Column = r.object.Line, 1
	}
	p.Severity, p.Object, p.Field = severity, r.object.Label(), path
	if r.object.Name == "" {
		p.Object = r.object.Kind
	}
	switch {
	case len(r.problems) > maxObjectProblems:
		return &p
	case len(r.problems) == maxObjectProblems:
		last := p
		last.Rule, last.Field, last.Line, last.Column = "too-many-problems", "", r.object.Line, 1
		last.Message = fmt.Sprintf("only the first %d problems of the object are shown", len(r.problems))
		r.problems = append(r.problems, last)
		return &p
	}
	r.problems = append(r.problems, p)
	return &r.problems[len(r.problems)-1]
}

// wrong records an error found by a rule, unless the field is known to be wrong; then it returns a problem
// that nobody sees.
func (r *report) wrong(rule, path, message string) *Problem {
	if len(r.problems) > maxObjectProblems || r.known(path) {
		return &Problem{}
	}
	return r.add(SeverityError, rule, r.object.find(path), path, message)
}

// warn records something that works and is probably not meant.
func (r *report) warn(rule, path, message string) *Problem {
	if len(r.problems) > maxObjectProblems || r.known(path) {
		return &Problem{}
	}
	return r.add(SeverityWarning, rule, r.object.find(path), path, message)
}

func (r *report) known(path string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool {
		return p.Severity == SeverityError && (within(p.Field, path) || within(path, p.Field))
	}) || slices.ContainsFunc(r.meant, func(meant string) bool {
		return within(path, meant) || within(meant, path)
	})
}

// within says whether a path is another one or lies below it.
func within(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

var pathForm = regexp.MustCompile(`\[([^\]]*)\]|[^.\[\]]+`)

// find gives the node at a path, or of its nearest parent that is there. For a value that is an object or a
// list it is the key.
func (o *Object) find(path string) *yaml.Node {
	node := o.root()
	shown := node
	for _, part := range pathForm.FindAllStringSubmatch(path, -1) {
		name := part[0]
		if strings.HasPrefix(name, "[") {
			name = part[1]
		}
		if node.Kind == yaml.SequenceNode {
			index, err := strconv.Atoi(name)
			if err != nil || index < 0 || index >= len(node.Content) {
				return shown
			}
			shown = node.Content[index]
			node = resolve(shown)
			continue
		}
		key, value := lookup(node, name)
		if key == nil {
			return shown
		}
		shown = key
		if value == nil {
			return shown
		}
		if value.Kind == yaml.ScalarNode {
			shown = value
		}
		node = value
	}
	return shown
}

// maxObjectProblems bounds what is told about one object. Whoever has that many fields wrong needs no list of
// them.
const maxObjectProblems = 100

// checkFields holds an object against the field table.
func (r *report) checkFields() {
	table, ok := fields().kinds[r.object.Kind]
	if !ok {
		return
	}
	r.checkObject(r.object.root(), r.object.root(), table, "")
	r.checkPlaces(table)
}

// checkObject checks the keys of a mapping. at is where a missing key is reported.
func (r *report) checkObject(at, mapping *yaml.Node, f *field, path string) {
	present := map[string]bool{}
	empty := map[string]*yaml.Node{} // keys without a value
	seen := map[string]bool{}
	for _, e := range entries(mapping) {
		if len(r.problems) >= maxObjectProblems {
			return
		}
		name := e.key.Value
		childPath := joinField(path, name)
		child, known := f.children[name]
		again := seen[name]
		seen[name] = true
		switch {
		case again: // told as a duplicate
		case !known:
			if len(r.strays) < maxObjectProblems {
				r.strays = append(r.strays, stray{mapping: path, key: e.key, value: e.value})
			}
		case kindOf(e.value) == kindNull || child.Zero && isZero(e.value):
			empty[name] = e.key // the same as not there, for every reader
		default:
			present[name] = true
			r.checkValue(e.key, e.value, child, childPath)
		}
	}
	for _, child := range f.order {
		if child.Required && !present[child.name()] && len(r.missing) < maxObjectProblems {
			r.missing = append(r.missing, missing{field: child, at: cmp.Or(empty[child.name()], at),
				path: joinField(path, child.name())})
		}
	}
}

func (f *field) childNames() []string {
	names := make([]string, 0, len(f.order))
	for _, child := range f.order {
		names = append(names, child.name())
	}
	return names
}

func (f *field) expectation() string {
	switch {
	case f.Expect != "":
		return f.Expect
	case len(f.Enum) == 1:
		return f.Enum[0]
	case len(f.Enum) > 1:
		return "one of " + strings.Join(f.Enum, ", ")
	}
	switch f.Type {
	case "object":
		if len(f.order) > 0 {
			names := make([]string, 0, len(f.order))
			for _, child := range f.order {
				if child.Required || len(f.order) <= 4 {
					names = append(names, child.name())
				}
			}
			if len(names) > 0 {
				return "an object with " + strings.Join(names, ", ")
			}
		}
		return "an object"
	case "list":
		return "a list"
	case "strings":
		return "a list of strings"
	case "map":
		return "a map of strings"
	case "integer":
		return "a whole number"
	case "boolean":
		return "true or false"
	case "quantity":
		return "a quantity such as 4Gi or 500m"
	case "duration":
		return "a duration such as 10m or 1h30m"
	case "integer-or-percent":
		return "a whole number or a percentage such as 40%"
	case "any":
		return ""
	}
	return "a string"
}

var (
	quantityForm = regexp.MustCompile(
		`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`)
	noBlankForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*):([^\s/].*)$`)
	percentForm = regexp.MustCompile(`^[0-9]+%$`)
)

func (r *report) checkValue(key, value *yaml.Node, f *field, path string) {
	if r.object.document.unclear[path] {
		return
	}
	kind := kindOf(value)
	ok := true
	switch f.Type {
	case "object":
		ok = kind == kindObject
	case "list", "strings":
		ok = kind == kindList
	case "map":
		ok = kind == kindObject
	case "string":
		if (kind == kindNumber || kind == kindInteger) && f.name() == "kubernetesVersion" &&
			f.pattern.MatchString(value.Value) {
			r.unquotedVersion(value, path)
			return
		}
		ok = kind == kindString
	case "integer":
		ok = kind == kindInteger
	case "boolean":
		ok = kind == kindBoolean
	case "quantity", "integer-or-percent":
		ok = kind == kindInteger || kind == kindNumber && f.Type == "quantity" || kind == kindString
	case "duration":
		ok = kind == kindString
	}
	if !ok {
		p := r.add(SeverityError, "wrong-type", value, path, "the value has the wrong type")
		p.Found, p.Expected = describe(value), f.expectation()
		switch {
		case f.Type == "strings" && value.Kind == yaml.ScalarNode:
			p.Expected = "a list of strings, such as [" + quote(value.Value) + "]"
		case (f.Type == "list" || f.Type == "strings") && kind == kindObject:
			p.Expected = `a list, whose items begin with "- "`
		case (f.Type == "object" || f.Type == "map") && kind == kindString &&
			noBlankForm.MatchString(value.Value):
			p.Expected = "a blank after the colon: " + noBlankForm.ReplaceAllString(value.Value, "$1: $2")
		}
		if f.Type == "string" && value.Kind == yaml.ScalarNode &&
			(f.pattern == nil || f.pattern.MatchString(value.Value)) {
			p.Expected = "a string, in quotes: " + strconv.Quote(value.Value)
		}
		if bare := strings.TrimSpace(value.Value); (f.Type == "integer" || f.Type == "boolean") &&
			kind == kindString && value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			if unquoted, _ := scalar(&yaml.Node{Kind: yaml.ScalarNode, Value: bare}); string(unquoted) ==
				f.Type {
				p.Expected = bare + ", without quotes"
			}
		}
		return
	}
	switch kind {
	case kindObject:
		if f.Type == "map" {
			r.checkMap(value, path)
		} else if f.Type != "any" {
			r.checkObject(key, value, f, path)
		}
	case kindList:
		r.checkList(key, value, f, path)
	default:
		r.checkScalar(key, value, f, path)
	}
}

// unquotedVersion tells of a version that YAML takes for a number. 1.30 is then 1.3, another version: EKS
// Anywhere's command repairs that text before it reads the file, but nothing else that reads it does. Other
// numbers keep their digits, and are written with quotes.
func (r *report) unquotedVersion(value *yaml.Node, path string) {
	_, number := scalar(value)
	if read := show(number); read != value.Value {
		p := r.add(SeverityError, "unquoted-version", value, path,
			"without quotes YAML reads the version as the number "+read)
		p.Found, p.Expected = value.Value, strconv.Quote(value.Value)
		return
	}
	p := r.add(SeverityWarning, "unquoted-version", value, path,
		"YAML reads a version without quotes as a number; it is written with quotes")
	p.Found, p.Expected = value.Value, strconv.Quote(value.Value)
}

func (r *report) checkMap(value *yaml.Node, path string) {
	for _, e := range entries(value) {
		if kind := kindOf(e.value); kind != kindString && kind != kindNull {
			p := r.add(SeverityError, "wrong-type", e.value, joinField(path, e.key.Value),
				"the value has the wrong type")
			p.Found, p.Expected = describe(e.value), "a string"
			if e.value.Kind == yaml.ScalarNode {
				p.Expected = "a string, in quotes: " + strconv.Quote(e.value.Value)
			}
		}
	}
}

func (r *report) checkList(key, value *yaml.Node, f *field, path string) {
	slips := r.slips(value, f, path)
	count := len(value.Content) - len(slips)
	least := f.MinItems
	if f.Required {
		least = max(least, 1)
	}
	switch {
	case count < least:
		p := r.add(SeverityError, "required", key, path, "the list is too short")
		p.Found, p.Expected = plural(count, "item"), "at least "+strconv.Itoa(least)
	case f.MaxItems > 0 && count > f.MaxItems:
		p := r.add(SeverityError, "invalid-value", key, path, "the list is too long")
		p.Found, p.Expected = plural(count, "item"), "at most "+strconv.Itoa(f.MaxItems)
	}
	for i, item := range value.Content {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		if slips[i] {
			continue
		}
		item := resolve(item)
		switch {
		case f.Type == "strings":
			if kind := kindOf(item); kind != kindString {
				p := r.add(SeverityError, "wrong-type", item, itemPath, "the value has the wrong type")
				p.Found, p.Expected = describe(item), "a string"
				if item.Kind == yaml.ScalarNode && kind != kindNull {
					p.Expected = "a string, in quotes: " + strconv.Quote(item.Value)
				}
			} else {
				r.placeholder(item, itemPath)
			}
		case f.item != nil:
			r.checkValue(item, item, f.item, itemPath)
		}
	}
}

// slips reports the items of a list that come from one line too many or too far to the left: an item that is
// the first line of the next one alone, and a text among objects that belongs to the empty list just before
// it.
func (r *report) slips(list *yaml.Node, f *field, path string) map[int]bool {
	if f.item == nil || f.item.Type != "object" {
		return nil
	}
	slips := map[int]bool{}
	for i := range len(list.Content) - 1 {
		item, next := resolve(list.Content[i]), resolve(list.Content[i+1])
		if item.Kind != yaml.MappingNode || len(item.Content) < 2 || len(r.problems) >= maxObjectProblems {
			continue
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		key, value := resolve(item.Content[0]), resolve(item.Content[1])
		if next.Kind == yaml.MappingNode && len(item.Content) == 2 && len(next.Content) > 2 &&
			value.Kind == yaml.ScalarNode && resolve(next.Content[0]).Value == key.Value &&
			resolve(next.Content[1]).Kind == yaml.ScalarNode &&
			resolve(next.Content[1]).Value == value.Value {
			p := r.add(SeverityError, "duplicate-key", key, at,
				"the item is the first line of the next one alone")
			p.Found, p.Expected = quote(key.Value+": "+value.Value)+" twice", "the line once"
			r.meant = append(r.meant, at, joinField(fmt.Sprintf("%s[%d]", path, i+1), key.Value))
			slips[i] = true
		}
		if next.Kind != yaml.ScalarNode {
			continue
		}
		last, empty := resolve(item.Content[len(item.Content)-2]), resolve(item.Content[len(item.Content)-1])
		if row := f.item.children[last.Value]; row != nil && row.Type == "strings" &&
			kindOf(empty) == kindNull {
			p := r.add(SeverityError, "wrong-type", next, fmt.Sprintf("%s[%d]", path, i+1),
				"the item does not fit the others; it is in the wrong place")
			p.Found, p.Expected = describe(next), "it further right, below "+joinField(at, last.Value)
			r.meant = append(r.meant, joinField(at, last.Value))
			slips[i+1] = true
		}
	}
	return slips
}

// placeholderForm is what "eksctl anywhere generate clusterconfig" writes where people are to put something.
var placeholderForm = regexp.MustCompile(`(?i)^(<\s*enter .*>|ssh-\S+ AAAA\.\.\.)$`)

func (r *report) placeholder(value *yaml.Node, path string) bool {
	if !placeholderForm.MatchString(value.Value) {
		r.noteVariable(value, path)
		return false
	}
	p := r.add(SeverityError, "placeholder", value, path,
		"the placeholder of the generated file was not replaced")
	p.Found, p.Expected = quote(value.Value), "a value of your own"
	return true
}

func plural(count int, word string) string {
	if count == 1 {
		return "1 " + word
	}
	return strconv.Itoa(count) + " " + word + "s"
}

func (r *report) checkScalar(key, value *yaml.Node, f *field, path string) {
	content := value.Value
	if f.Type == "string" && content == "" {
		if f.Required && !f.MayBlank {
			p := r.add(SeverityError, "required", value, path, "the field is required")
			p.Found, p.Expected = "an empty string", f.expectation()
		} else if f.NonEmpty {
			p := r.add(SeverityError, "invalid-value", value, path,
				"the field may be left out, but not be empty")
			p.Found, p.Expected = "an empty string", f.expectation()+", or no such field"
		}
		return
	}
	if f.Type == "string" && r.placeholder(value, path) {
		return
	}
	_, v := scalar(value)
	number, isNumber := v.(int64)
	ok := true
	expected := f.expectation()
	switch {
	case len(f.Enum) > 0 && !slices.Contains(f.Enum, content):
		p := r.add(SeverityError, "invalid-value", value, path,
			"the value is not one that EKS Anywhere knows")
		p.Found, p.Expected, p.Suggestion = quote(content), expected, spelling.Nearest(content, f.Enum)
		if len(f.Enum) == 1 {
			p.Suggestion = ""
		}
		return
	case f.pattern != nil:
		ok = f.pattern.MatchString(content)
	case f.Type == "quantity":
		ok = quantityForm.MatchString(content)
	case f.Type == "duration":
		_, err := time.ParseDuration(content)
		ok = err == nil
	case f.Type == "integer-or-percent":
		ok = isNumber && number >= 0 || percentForm.MatchString(content)
	case f.Type == "integer" && f.Min != nil && number < *f.Min:
		ok, expected = false, "at least "+strconv.FormatInt(*f.Min, 10)
	case f.Type == "integer" && f.Max != nil && number > *f.Max:
		ok, expected = false, "at most "+strconv.FormatInt(*f.Max, 10)
	}
	if !ok {
		p := r.add(SeverityError, "invalid-value", value, path, "the value is not allowed")
		p.Found, p.Expected = quote(content), expected
		if f.Type == "integer" {
			p.Found = content
		}
	}
}
