package hint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// Hint is a text with references in it. It is made by [Text], [Command] or [Plain]; a constant is one, too,
// and Hints may be compared and put together with +. To be read it is put into words: a conversion to string
// shows what references are kept as. Its JSON form is the text in the words of the library.
type Hint string

// A reference is kept in the text as JSON between two code points that are no characters.
const (
	opening = "\ufdd0"
	closing = "\ufdd1"
)

var unmarked = strings.NewReplacer(opening, "", closing, "")

// Text is the format with its arguments, as [fmt.Sprintf] has it. A [Reference] among them, and those of a
// [Hint] or in the message of an error, stay references.
func Text(format string, args ...any) Hint {
	if false {
		_ = fmt.Sprintf(format, args...) // has vet look at the formats
	}
	return Hint(fmt.Sprintf(format, kept(args)...))
}

// kept are arguments in a form that fmt writes with their references.
func kept(args []any) []any {
	list := make([]any, len(args))
	for i, arg := range args {
		switch arg := arg.(type) {
		case Reference:
			list[i] = string(arg.Hint())
		case Hint:
			list[i] = string(arg)
		case error:
			list[i] = string(Message(arg))
		case string:
			list[i] = unmarked.Replace(arg)
		default:
			list[i] = arg
		}
	}
	return list
}

// Command is a command line of another program that a person is told to type, or a sentence with one: the
// format, in which each %s is a value, quoted as one word for a shell, a list of values, as so many, or a
// [Reference] or a Hint, which is put there as it is.
func Command(format string, values ...any) Hint {
	var b strings.Builder
	for {
		at, whole := -1, format
		for i, value := range values {
			switch value.(type) {
			case Reference, Hint:
				at = i
			}
			if at >= 0 {
				break
			}
		}
		if at < 0 {
			b.WriteString(text.Command(whole, values...))
			return Hint(b.String())
		}
		pieces := strings.SplitN(format, "%s", at+2)
		if len(pieces) < at+2 { // fewer verbs than values: text.Command says so in the text
			b.WriteString(text.Command(whole, values...))
			return Hint(b.String())
		}
		b.WriteString(text.Command(strings.Join(pieces[:at+1], "%s"), values[:at]...))
		b.WriteString(string(Text("%s", values[at])))
		format, values = pieces[at+1], values[at+1:]
	}
}

// Plain is a text from elsewhere, without references.
func Plain(text string) Hint { return Hint(unmarked.Replace(text)) }

// String is the text in the words of who calls the packages: an option is the field of that name, an
// operation the function.
func (h Hint) String() string { return h.In(Library{}) }

// In is the text in the words of a program.
func (h Hint) In(words Words) string {
	if !strings.Contains(string(h), opening) {
		return string(h)
	}
	var b strings.Builder
	for rest := string(h); ; {
		before, after, found := strings.Cut(rest, opening)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		encoded, next, _ := strings.Cut(after, closing)
		var r anyReference
		if err := json.Unmarshal([]byte(encoded), &r); err == nil {
			b.WriteString(r.in(words))
		}
		rest = next
	}
}

// MarshalText implements [encoding.TextMarshaler].
func (h Hint) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. What is read has no references.
func (h *Hint) UnmarshalText(text []byte) error {
	*h = Plain(string(text))
	return nil
}

// Hinted is an error that says what helps.
type Hinted interface {
	error
	Hint() Hint
}

// Of is the first hint that err or what it wraps offers; empty without one.
func Of(err error) Hint {
	if err == nil {
		return ""
	}
	if own := ownOf(err); own != "" {
		return own
	}
	for _, inner := range wrappedIn(err) {
		if found := Of(inner); found != "" {
			return found
		}
	}
	return ""
}

// AllOf are the hints of err and of all that it wraps, outermost first, each once.
func AllOf(err error) []Hint {
	var hints []Hint
	seen := map[Hint]bool{"": true}
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		if own := ownOf(err); !seen[own] {
			seen[own] = true
			hints = append(hints, own)
		}
		for _, inner := range wrappedIn(err) {
			walk(inner)
		}
	}
	walk(err)
	return hints
}

func ownOf(err error) Hint {
	switch hinted := err.(type) {
	case Hinted:
		return hinted.Hint()
	case interface{ Hint() string }:
		return Plain(hinted.Hint())
	}
	return ""
}

func wrappedIn(err error) []error {
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return []error{wrapper.Unwrap()}
	case interface{ Unwrap() []error }:
		return wrapper.Unwrap()
	}
	return nil
}

// Message is what an error says, with the references in it: its own (a method Message() Hint), and those of
// errors that it wraps, as far as it repeats their words.
func Message(err error) Hint {
	if err == nil {
		return ""
	}
	if said := new(messaged); errors.As(err, said) {
		return messageOf(err)
	}
	return Plain(err.Error())
}

// messaged is an error whose message has references.
type messaged interface{ Message() Hint }

func messageOf(err error) Hint {
	if err == nil {
		return ""
	}
	if own, ok := err.(messaged); ok {
		return own.Message()
	}
	return repeated(err.Error(), wrappedIn(err))
}

// repeated is a text in which the words of errors are their messages.
func repeated(said string, by []error) Hint {
	for _, inner := range by {
		message := messageOf(inner)
		if words := message.String(); words != "" && words != string(message) {
			said = strings.ReplaceAll(said, words, string(message))
		}
	}
	return Hint(said)
}

// Errorf makes an error as [fmt.Errorf] does, with references among its arguments.
func Errorf(format string, args ...any) error {
	list := kept(args)
	for i, arg := range args {
		if err, ok := arg.(error); ok {
			list[i] = err // to be wrapped
		}
	}
	err := fmt.Errorf(format, list...)
	return &messageError{err: err, message: repeated(err.Error(), wrappedIn(err))}
}

// messageError is an error whose message has references.
type messageError struct {
	err     error
	message Hint
}

func (e *messageError) Error() string { return e.message.String() }
func (e *messageError) Message() Hint { return e.message }
func (e *messageError) Unwrap() []error {
	return wrappedIn(e.err)
}
