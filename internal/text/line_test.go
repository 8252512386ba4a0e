package text

import "testing"

func TestFirstLine(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "one": "one", "one\n": "one", "one\ntwo\nthree": "one", "\ntwo": "", "one\r\ntwo": "one\r",
	} {
		if got := FirstLine(given); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}
