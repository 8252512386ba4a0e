package description

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// FirstVersion is the version of the API that the descriptions describe; newer ones are patches of it.
const FirstVersion = "2022-11-28"

// Name is an operation's.
type Name struct{ Method, Path string }

// File is what is recorded of one server in one version of its API. Command extract writes it.
type File struct {
	// Package is the npm package with its version.
	Package string
	Server  string
	Version string
	// Base names the file that this one is put over; it holds what differs.
	Base string
	// Paths are operations by path and lower-case method.
	Paths map[string]map[string]any
	// Components are what operations refer to, by kind and name.
	Components map[string]map[string]any
}

// Encode writes the file as JSON with an operation or a component a line, so that a renewal can be read.
func (f *File) Encode() []byte {
	var b bytes.Buffer
	line := func(value any) string {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(value); err != nil {
			panic(err) // it came from JSON
		}
		return string(bytes.TrimSpace(text.Bytes()))
	}
	groups := func(all map[string]map[string]any) {
		b.WriteString("{")
		for i, group := range slices.Sorted(maps.Keys(all)) {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, "\n%s: {", line(group))
			for j, name := range slices.Sorted(maps.Keys(all[group])) {
				if j > 0 {
					b.WriteString(",")
				}
				fmt.Fprintf(&b, "\n%s: %s", line(name), line(all[group][name]))
			}
			b.WriteString("\n}")
		}
		b.WriteString("}")
	}
	fmt.Fprintf(&b, "{\n\"package\": %s,\n\"server\": %s,\n\"version\": %s,\n\"base\": %s,\n\"paths\": ",
		line(f.Package), line(f.Server), line(f.Version), line(f.Base))
	groups(f.Paths)
	b.WriteString(",\n\"components\": ")
	groups(f.Components)
	b.WriteString("\n}\n")
	return b.Bytes()
}
