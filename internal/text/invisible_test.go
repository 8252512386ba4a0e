package text_test

import (
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

func TestInvisible(t *testing.T) {
	t.Parallel()
	for r, want := range map[rune]bool{
		'a': false, ' ': false, 'é': false, '語': false, '\u00a0': false, '\n': true, '\t': true, '\x1b': true,
		'\x7f': true, '\u0085': true, '\u200b': true, '\u202e': true, '\ufeff': true, '\u2028': true,
		'\u2029': true, '\ufffd': true, '\U000e0001': true,
	} {
		if got := text.Invisible(r); got != want {
			t.Errorf("%U: %t", r, got)
		}
	}
}
