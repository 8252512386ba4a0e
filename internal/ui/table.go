package ui

import (
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes rows in columns as kubectl does: three blanks apart, each column as wide as its longest cell.
type Table struct {
	w *tabwriter.Writer
}

// NewTable begins a table with a header in capitals; no header, no first line.
func NewTable(out io.Writer, header ...string) *Table {
	t := &Table{w: tabwriter.NewWriter(out, 6, 4, 3, ' ', 0)}
	if len(header) > 0 {
		t.Row(header...)
	}
	return t
}

// Row adds a row. Cells are made fit for one line.
func (t *Table) Row(cells ...string) {
	cleaned := slices.Clone(cells)
	for i, cell := range cleaned {
		cleaned[i] = CleanLine(cell)
	}
	// An error of the stream shows at Flush.
	_, _ = io.WriteString(t.w, strings.Join(cleaned, "\t")+"\n")
}

// Flush writes what was added.
func (t *Table) Flush() error { return t.w.Flush() }
