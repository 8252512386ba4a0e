package hint

import "reflect"

// Rewordable is what puts itself into the words of a program, as texts do that only repeat what a Hint says.
type Rewordable interface{ Reword(words Words) }

// Reword puts every Hint and every [Rewordable] in a value, which a pointer leads to, into the words of a
// program: in fields, lists and maps, wherever an exported name leads. Behind interfaces, such as errors, it
// does not look.
func Reword(pointer any, words Words) {
	w := rewording{words: words, holds: map[reflect.Type]bool{}}
	if v := reflect.ValueOf(pointer); w.mayHold(v.Type()) {
		w.reword(v)
	}
}

var (
	hintType       = reflect.TypeFor[Hint]()
	rewordableType = reflect.TypeFor[Rewordable]()
)

// rewording knows the types that Hints may be found in, so that nothing large is looked through for none.
type rewording struct {
	words Words
	holds map[reflect.Type]bool
}

func (w *rewording) mayHold(t reflect.Type) bool {
	known, ok := w.holds[t]
	if !ok {
		known = leadsToHint(t, map[reflect.Type]bool{})
		w.holds[t] = known
	}
	return known
}

func leadsToHint(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == hintType || reflect.PointerTo(t).Implements(rewordableType) {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return leadsToHint(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); field.IsExported() && leadsToHint(field.Type, seen) {
				return true
			}
		}
	}
	return false
}

// reword does it in a value that may hold Hints; what is reached through a pointer or a list can be set.
func (w *rewording) reword(v reflect.Value) {
	switch {
	case v.Type() == hintType:
		v.SetString(Hint(v.String()).In(w.words))
		return
	case !w.mayHold(v.Type()):
		return
	case v.CanAddr():
		if own, ok := v.Addr().Interface().(Rewordable); ok {
			own.Reword(w.words)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.reword(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			w.reword(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			element := reflect.New(v.Type().Elem()).Elem()
			element.Set(v.MapIndex(key))
			w.reword(element)
			v.SetMapIndex(key, element)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				w.reword(v.Field(i))
			}
		}
	}
}
