package clusterspec

import (
	_ "embed"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed fields.yaml
var fieldData []byte

// fieldRow is one line of the field table; fields.yaml explains the columns.
type fieldRow struct {
	Type     string   `yaml:"type"`
	Shape    string   `yaml:"shape"`
	Required bool     `yaml:"required"`
	Enum     []string `yaml:"enum"`
	Pattern  string   `yaml:"pattern"`
	Expect   string   `yaml:"expect"`
	Min      *int64   `yaml:"min"`
	Max      *int64   `yaml:"max"`
	MinItems int      `yaml:"minItems"`
	MaxItems int      `yaml:"maxItems"`
	NonEmpty bool     `yaml:"nonEmpty"`
	MayBlank bool     `yaml:"mayBeEmpty"`
	Zero     bool     `yaml:"zero"`
	Also     []string `yaml:"also"`
	Foreign  bool     `yaml:"foreign"`
	Default  string   `yaml:"default"`
	GitOps   []Role   `yaml:"gitops"`
	Change   byRole   `yaml:"change"`
	Says     string   `yaml:"says"`
	Key      []string `yaml:"key"`
	Ordered  bool     `yaml:"ordered"`
	Stored   string   `yaml:"stored"`
	Secret   string   `yaml:"secret"`
	About    string   `yaml:"about"`
}

// byRole is what EKS Anywhere does with a change, for each role; empty is not said.
type byRole struct {
	Management string `yaml:"management"`
	Workload   string `yaml:"workload"`
}

// UnmarshalYAML reads one word for both roles, or one for each.
func (b *byRole) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*b = byRole{Management: node.Value, Workload: node.Value}
		return nil
	}
	type plain byRole
	return node.Decode((*plain)(b))
}

// field is a row of the table in its place in the tree of an object.
type field struct {
	fieldRow
	path     string // "spec.users[].name"
	pattern  *regexp.Regexp
	children map[string]*field
	order    []*field // children as the table lists them, for messages and the reference
	item     *field
	parent   *field
}

// fieldTable holds the tree of fields of each kind.
type fieldTable struct {
	kinds map[string]*field
	order []string
}

// fields gives the table. It is read once; the data is part of the program, so an error in it is found by any
// test.
var fields = sync.OnceValue(func() *fieldTable {
	table, err := parseFieldTable(fieldData)
	if err != nil {
		panic("fields.yaml: " + err.Error())
	}
	return table
})

func parseFieldTable(data []byte) (*fieldTable, error) {
	var file struct {
		Shapes yaml.Node `yaml:"shapes"`
		Kinds  yaml.Node `yaml:"kinds"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	shapes := map[string]*yaml.Node{}
	for _, e := range entries(&file.Shapes) {
		shapes[e.key.Value] = e.value
	}
	table := &fieldTable{kinds: map[string]*field{}}
	for _, kind := range entries(&file.Kinds) {
		root := &field{fieldRow: fieldRow{Type: "object"}, children: map[string]*field{}}
		if err := root.addRows(shapes["object"], shapes); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.key.Value, err)
		}
		if err := root.addRows(kind.value, shapes); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.key.Value, err)
		}
		root.children["kind"].Enum = []string{kind.key.Value}
		table.kinds[kind.key.Value] = root
		table.order = append(table.order, kind.key.Value)
	}
	return table, nil
}

// fieldColumns are the columns of the table. Text with a comma that lacks its quotes would become others,
// which YAML takes in silence.
var fieldColumns = func() map[string]bool {
	columns := map[string]bool{}
	for column := range reflect.TypeFor[fieldRow]().Fields() {
		columns[column.Tag.Get("yaml")] = true
	}
	return columns
}()

func (f *field) addRows(rows *yaml.Node, shapes map[string]*yaml.Node) error {
	for _, e := range entries(rows) {
		var row fieldRow
		for _, column := range entries(e.value) {
			if !fieldColumns[column.key.Value] {
				return fmt.Errorf("%s: there is no column %q", e.key.Value, column.key.Value)
			}
		}
		if err := e.value.Decode(&row); err != nil {
			return fmt.Errorf("%s: %w", e.key.Value, err)
		}
		target := f
		for segment := range strings.SplitSeq(e.key.Value, ".") {
			name, list := strings.CutSuffix(segment, "[]")
			target = target.child(name)
			if list {
				if target.item == nil {
					target.item = &field{path: target.path + "[]", children: map[string]*field{},
						parent: target}
				}
				target = target.item
			}
		}
		target.fieldRow = row
		if !slices.Contains([]string{"", secretValue, secretAddress}, row.Secret) {
			return fmt.Errorf("%s: secret is %q", e.key.Value, row.Secret)
		}
		if _, known := rewritings[row.Stored]; row.Stored != "" && !known {
			return fmt.Errorf("%s: stored is %q", e.key.Value, row.Stored)
		}
		if row.Pattern != "" {
			pattern, err := regexp.Compile(row.Pattern)
			if err != nil {
				return fmt.Errorf("%s: %w", e.key.Value, err)
			}
			target.pattern = pattern
		}
		if row.Shape != "" {
			shape, ok := shapes[row.Shape]
			if !ok {
				return fmt.Errorf("%s: there is no shape %s", e.key.Value, row.Shape)
			}
			if err := target.addRows(shape, shapes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *field) child(name string) *field {
	if have, ok := f.children[name]; ok {
		return have
	}
	path := name
	if f.path != "" {
		path = f.path + "." + name
	}
	child := &field{path: path, children: map[string]*field{}, parent: f}
	f.children[name] = child
	f.order = append(f.order, child)
	return child
}

// name is the last part of the field's path.
func (f *field) name() string {
	return f.path[strings.LastIndexByte(f.path, '.')+1:]
}

// each calls visit for the field and everything below, in the order of the table.
func (f *field) each(visit func(*field)) {
	visit(f)
	if f.item != nil {
		f.item.each(visit)
	}
	for _, child := range f.order {
		child.each(visit)
	}
}

// Kinds lists the kinds that EKS Anywhere reads from a cluster file, in the order of the field table.
func Kinds() []string { return append([]string(nil), fields().order...) }
