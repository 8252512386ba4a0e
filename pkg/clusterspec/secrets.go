package clusterspec

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// What the field table says of a field's value in the column secret.
const (
	secretValue   = "value"
	secretAddress = "address"
)

// Secrets are the values in a cluster file that must not be shown: those of fields that the field table
// marks, and what a Secret holds. The file may be anything; where it cannot be read as YAML, its lines are
// gone by. Use them with [redact.New] on what quotes the file.
func Secrets(data []byte) []string {
	if !slices.ContainsFunc(secretWords(), func(word []byte) bool { return bytes.Contains(data, word) }) {
		return nil
	}
	found := lineSecrets(data)
	documents, _ := readAll(Source{Data: data}, trialLimits())
	for _, d := range documents {
		kind := text(d.root, "kind")
		if kind == "Secret" {
			for _, e := range entries(d.root) {
				if e.key.Value == "data" || e.key.Value == "stringData" {
					found = append(found, scalarsOf(e.value, 0)...)
				}
			}
		}
		found = append(found, fields().kinds[kind].secrets(d.root)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// secrets are those of a value and all that is below it.
func (f *field) secrets(node *yaml.Node) []string {
	if f == nil || node == nil {
		return nil
	}
	node = resolve(node)
	switch f.Secret {
	case secretValue:
		return scalarsOf(node, 0)
	case secretAddress:
		return redact.AddressSecrets(node.Value)
	}
	var found []string
	switch node.Kind {
	case yaml.MappingNode:
		for _, e := range entries(node) {
			found = append(found, f.children[e.key.Value].secrets(e.value)...)
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			found = append(found, f.item.secrets(item)...)
		}
	}
	return found
}

// scalarsOf are the texts of a value, whatever it is.
func scalarsOf(node *yaml.Node, depth int) []string {
	node = resolve(node)
	if node.Kind == yaml.ScalarNode || depth > maxDepth {
		return []string{node.Value}
	}
	var found []string
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			continue // a key
		}
		found = append(found, scalarsOf(child, depth+1)...)
	}
	return found
}

// lineSecrets are what stands behind the name of a field that is a secret, on its line: in a file that is no
// YAML, and in a comment.
func lineSecrets(data []byte) []string {
	var found []string
	for _, match := range secretLine().FindAllSubmatch(data, -1) {
		value := strings.TrimSpace(string(match[2]))
		first, _, _ := strings.Cut(value, " ")
		found = append(found, value, strings.TrimLeft(first, `*&!"'`), strings.TrimLeft(value, `*&!"'`),
			strings.Trim(strings.Trim(value, ",}]"), ` "'`))
		if bare, _, ok := strings.Cut(value, " #"); ok {
			found = append(found, strings.Trim(strings.TrimSpace(bare), `"'`))
		}
	}
	return found
}

// secretNames are the names of the fields of which nothing is shown, and of those with an address.
var secretNames = sync.OnceValues(func() (values, addresses []string) {
	for _, kind := range fields().kinds {
		kind.each(func(f *field) {
			switch f.Secret {
			case secretValue:
				values = append(values, f.name())
			case secretAddress:
				addresses = append(addresses, f.name())
			}
		})
	}
	slices.Sort(values)
	slices.Sort(addresses)
	return slices.Compact(values), slices.Compact(addresses)
})

// secretWords are in every file that has secrets.
var secretWords = sync.OnceValue(func() [][]byte {
	values, addresses := secretNames()
	words := [][]byte{[]byte("Secret")}
	for _, name := range slices.Concat(values, addresses) {
		words = append(words, []byte(name))
	}
	return words
})

var secretLine = sync.OnceValue(func() *regexp.Regexp {
	values, _ := secretNames()
	return regexp.MustCompile(`(` + strings.Join(values, "|") + `)["']?[ \t]*:[ \t]*([^\r\n]+)`)
})

// withoutSecrets are problems whose words quote no secret of the sources.
func withoutSecrets(problems Problems, sources ...Source) Problems {
	if len(problems) == 0 {
		return problems
	}
	hide := &redact.Redactor{}
	for _, source := range sources {
		for _, s := range Secrets(source.Data) {
			hide.Know(s)
			if runes := []rune(s); len(runes) > mostQuoted {
				hide.Know(string(runes[:mostQuoted])) // as it is quoted
			}
		}
	}
	for i := range problems {
		for _, words := range []*string{&problems[i].Message, &problems[i].Found, &problems[i].Expected,
			&problems[i].Suggestion} {
			*words = hide.Text(*words)
		}
	}
	return problems
}

// Shown is the value of a field as it may be shown: without what the field table calls a secret, and without
// what has the form of one. The field is that of an object of the kind, with items of lists in brackets, and
// the value one of JSON. It is for people: it is no data any more.
func Shown(kind, path string, value any) any {
	f := fields().kinds[kind]
	for _, part := range pathForm.FindAllStringSubmatch(path, -1) {
		if f == nil {
			break
		}
		if strings.HasPrefix(part[0], "[") {
			f = f.item
		} else {
			f = f.children[part[0]]
		}
	}
	return f.hidden(value)
}

// shown is a value of the field as text.
func (f *field) shown(value any) string { return show(f.hidden(value)) }

func (f *field) hidden(value any) any {
	secret := ""
	if f != nil {
		secret = f.Secret
	}
	switch v := value.(type) {
	case nil:
		return nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = f.below(key).hidden(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = f.itemRow().hidden(item)
		}
		return out
	case string:
		switch {
		case v == "":
			return v
		case secret == secretValue:
			return redact.Mask
		case secret == secretAddress:
			return redact.Address(v)
		}
		return redact.Source(v)
	}
	if secret == secretValue {
		return redact.Mask
	}
	return value
}
