// Package secret holds a credential in a type that cannot be printed by accident.
//
// A Value shows as "***" through every formatting, logging and encoding path of the standard library; the
// only way to its content is [Value.Reveal], which is easy to search for. It protects against accidents, not
// against code that wants the content: the bytes stay in memory until the garbage collector takes them.
package secret

import (
	"fmt"
	"log/slog"
)

// mask is what stands for a secret wherever one would be shown.
const mask = "***"

// Value is a token, a private key, a passphrase or any other content that must not be seen. The zero value is
// "no secret".
//
// The content is kept behind a function and not in a field: a Value in an unexported field of some struct is
// printed by reflection, without a call to any of its methods, and reflection cannot look into a function.
type Value struct{ reveal func() string }

// New wraps content. Empty content is the zero value.
func New(content string) Value {
	if content == "" {
		return Value{}
	}
	return Value{reveal: func() string { return content }}
}

// Reveal returns the content. Call it as late as possible, at the place that hands it to the other system.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// IsZero says whether there is no content.
func (v Value) IsZero() bool { return v.reveal == nil }

// String implements fmt.Stringer with a mask.
func (v Value) String() string { return mask }

// GoString implements fmt.GoStringer with a mask.
func (v Value) GoString() string { return mask }

// Format implements fmt.Formatter, so that no verb (%x, %q, %d of a struct that holds it) reaches the
// content.
func (v Value) Format(state fmt.State, _ rune) {
	// A formatter has no way to report a failed write.
	_, _ = state.Write([]byte(mask))
}

// MarshalText implements encoding.TextMarshaler with a mask; encoding/json and YAML encoders use it too.
func (v Value) MarshalText() ([]byte, error) { return []byte(mask), nil }

// LogValue implements slog.LogValuer with a mask.
func (v Value) LogValue() slog.Value { return slog.StringValue(mask) }
