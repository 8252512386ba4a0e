package yamlnode

import (
	"bytes"
	"iter"
)

// Documents are the texts between the markers of a YAML stream, for who reads each by itself and can leave
// out what does not parse. What stands before the first marker is the first of them, and it may be empty, as
// any other. A marker cannot stand at the start of a line inside of a value, so that lines are enough to go
// by; what follows it on its line belongs to the document that it begins.
func Documents(stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		begin := 0
		for at := 0; at < len(stream); {
			line := stream[at:]
			next := len(stream)
			if end := bytes.IndexByte(line, '\n'); end >= 0 {
				line, next = line[:end], at+end+1
			}
			if rest, ok := bytes.CutPrefix(line, []byte("---")); ok &&
				(len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r")) {
				if !yield(stream[begin:at]) {
					return
				}
				begin = at + len("---")
			}
			at = next
		}
		yield(stream[begin:])
	}
}
