package text

// Apart shortens two values that are different to so many characters each, in such a way that the first
// difference shows.
func Apart(a, b string, most int) (string, string) {
	left, right := []rune(a), []rune(b)
	same := 0
	for same < min(len(left), len(right)) && left[same] == right[same] {
		same++
	}
	from := max(0, same-most/3)
	if same < most-1 {
		from = 0 // the beginnings show it
	}
	return window(left, from, most), window(right, from, most)
}

// window is a part of a value, with dots where something is left out.
func window(value []rune, from, most int) string {
	lead := ""
	if from > 0 {
		lead = "…"
		most--
	}
	value = value[min(from, len(value)):]
	if len(value) <= most {
		return lead + string(value)
	}
	return lead + string(value[:most-1]) + "…"
}
