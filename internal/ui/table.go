package ui

import (
	"bytes"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Table writes rows in columns as kubectl does: three blanks apart, each column as wide as its longest cell.
// Rows may be added after a Flush: columns then stay as wide as they were.
type Table struct {
	out    io.Writer
	buffer *bytes.Buffer // a table is written at once
	w      *tabwriter.Writer
	widths []int
}

// NewTable begins a table with a header; no header, no first line.
func NewTable(out io.Writer, header ...string) *Table {
	buffer := &bytes.Buffer{}
	t := &Table{out: out, buffer: buffer, w: tabwriter.NewWriter(buffer, 6, 4, 3, ' ', 0)}
	if len(header) > 0 {
		t.Row(header...)
	}
	return t
}

// Row adds a row. Cells are made fit for one line.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = CleanLine(cell)
		width := utf8.RuneCountInString(row[i])
		switch {
		case i == len(t.widths):
			t.widths = append(t.widths, width)
		case width > t.widths[i]:
			t.widths[i] = width
		case i < len(cells)-1:
			row[i] += strings.Repeat(" ", t.widths[i]-width)
		}
	}
	// It goes into memory.
	_, _ = io.WriteString(t.w, strings.Join(row, "\t")+"\n")
}

// Flush writes what was added.
func (t *Table) Flush() error {
	// It goes into memory.
	_ = t.w.Flush()
	_, err := t.buffer.WriteTo(t.out)
	return err
}
