package ui_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// Columns are aligned, stay so after a flush, and nothing in a cell can leave its line or reach the terminal.
func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := ui.NewTable(&out, "NAME", "STATE")
	table.Row("a-long-name", "-")
	table.Row("dev", "two\nlines \x1b[31m")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	table.Row("b", "later")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "NAME          STATE\n" +
		"a-long-name   -\n" +
		"dev           two lines \\x1b[31m\n" +
		"b             later\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
