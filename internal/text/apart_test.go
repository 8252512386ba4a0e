package text_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

func TestApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 5)
	for name, test := range map[string]struct{ a, b, wantA, wantB string }{
		"short":            {"one", "two", "one", "two"},
		"at the beginning": {"a" + long, "b" + long, "a01234567890123456…", "b01234567890123456…"},
		"at the end":       {long + "a", long + "b", "…456789a", "…456789b"},
		"in the middle": {long + "a" + long, long + "b" + long,
			"…456789a0123456789…", "…456789b0123456789…"},
		"one is longer":       {long, long + "ends", "…456789", "…456789ends"},
		"nothing on one side": {"", long, "", "012345678901234567…"},
		"letters of more than one byte": {strings.Repeat("é", 30) + "a", strings.Repeat("é", 30) + "b",
			"…ééééééa", "…ééééééb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gotA, gotB := text.Apart(test.a, test.b, 19)
			if gotA != test.wantA || gotB != test.wantB {
				t.Errorf("got  %q\n     %q\nwant %q\n     %q", gotA, gotB, test.wantA, test.wantB)
			}
		})
	}
}
