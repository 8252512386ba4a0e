package ui

import (
	"bytes"
	"fmt"
	"unicode/utf16"
)

// EscapeJSON replaces the characters of JSON that a terminal might obey, or that hide or turn text around, by
// JSON's escapes, so that a reader of the JSON gets them as they are. In JSON such characters stand only in
// strings, and encoding/json has escaped the ASCII ones.
func EscapeJSON(data []byte) []byte {
	unsafe := func(r rune) bool { return r >= 0x7F && r != '\uFFFD' && unsafeRune(r) }
	if bytes.IndexFunc(data, unsafe) < 0 {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		switch {
		case !unsafe(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
