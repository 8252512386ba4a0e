package text

import "unicode"

// Invisible says whether a character is not what a person sees: a control character, one that hides or turns
// text around, one that ends a line without being seen, or what stands for a broken one.
func Invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) ||
		r == unicode.ReplacementChar
}
