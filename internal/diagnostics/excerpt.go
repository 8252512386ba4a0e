package diagnostics

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/width"

	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// maxExcerpt is the most columns of a source line that are shown; longer ones are cut around the mark.
const maxExcerpt = 100

// lead is how much of a cut line is kept before the mark.
const lead = 30

const (
	tabShown = "    "
	ellipsis = "..."
)

// excerpt is a source line as it is shown, and where its mark goes.
type excerpt struct {
	text string
	// token is the marked piece of the source, as it stands there.
	token string
	// start and width are in columns of a terminal; a width of 0 is no mark.
	start, width int
}

// cell is one character of a source line as it is shown.
type cell struct {
	text  string
	width int
}

// excerptOf prepares a source line for a terminal and marks the token at a column, which counts characters from 1; 0 is no mark.
func excerptOf(line string, column int) excerpt {
	runes := []rune(line)
	cells := make([]cell, len(runes))
	for i, r := range runes {
		cells[i] = cellOf(r)
	}
	from, to := 0, 0
	var e excerpt
	if column > 0 {
		from = min(column-1, len(runes))
		to = max(tokenEnd(runes, from), from)
		e.token = string(runes[from:to])
	}
	first, last := window(cells, from, to)
	var b strings.Builder
	if first > 0 {
		b.WriteString(ellipsis)
		e.start = len(ellipsis)
	}
	for i := first; i < last; i++ {
		b.WriteString(cells[i].text)
		switch {
		case i < from:
			e.start += cells[i].width
		case i < to:
			e.width += cells[i].width
		}
	}
	if last < len(cells) {
		b.WriteString(ellipsis)
	}
	e.text = strings.TrimRight(b.String(), " ")
	if column > 0 {
		e.width = max(e.width, 1)
	}
	return e
}

// window chooses which cells of a line are shown: all, or those around the mark.
func window(cells []cell, from, to int) (first, last int) {
	total := 0
	for _, c := range cells {
		total += c.width
	}
	if total <= maxExcerpt {
		return 0, len(cells)
	}
	before := 0
	for _, c := range cells[:from] {
		before += c.width
	}
	marked := 0
	for _, c := range cells[from:to] {
		marked += c.width
	}
	if before+min(marked, lead) > maxExcerpt-lead {
		for first = from; first > 0 && before > 0; first-- {
			if w := widthOf(cells[first-1 : from]); w > lead {
				break
			}
		}
	}
	room := maxExcerpt
	for last = first; last < len(cells) && room >= cells[last].width; last++ {
		room -= cells[last].width
	}
	// A combining mark is not torn from its base.
	for last < len(cells) && cells[last].width == 0 {
		last++
	}
	return first, last
}

func widthOf(cells []cell) int {
	total := 0
	for _, c := range cells {
		total += c.width
	}
	return total
}

func cellOf(r rune) cell {
	switch {
	case r == '\t':
		return cell{tabShown, len(tabShown)}
	case r < unicode.MaxASCII && r >= ' ':
		return cell{string(r), 1}
	}
	// The replacement character of broken UTF-8 is safe to show as it is.
	if r == unicode.ReplacementChar {
		return cell{string(r), 1}
	}
	if clean := ui.Clean(string(r)); clean != string(r) {
		return cell{clean, len(clean)}
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return cell{string(r), 0}
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return cell{string(r), 2}
	}
	return cell{string(r), 1}
}

// tokenEnd finds the end of the YAML token that begins at an index, by looking at the line only: a quoted or plain scalar, a key, or
// the indicator of something longer.
func tokenEnd(runes []rune, at int) int {
	if at >= len(runes) {
		return at
	}
	switch first := runes[at]; first {
	case '"', '\'':
		return quotedEnd(runes, at)
	case '[', '{', ']', '}', ',':
		return at + 1
	case '-', '?', ':':
		if at+1 == len(runes) || unicode.IsSpace(runes[at+1]) {
			return at + 1
		}
	case '|', '>', '&', '*', '!':
		end := at
		for end < len(runes) && !unicode.IsSpace(runes[end]) {
			end++
		}
		return end
	}
	inFlow := flowDepth(runes[:at]) > 0
	end := at
	for ; end < len(runes); end++ {
		next := ' '
		if end+1 < len(runes) {
			next = runes[end+1]
		}
		r := runes[end]
		if r == ':' && (unicode.IsSpace(next) || inFlow && strings.ContainsRune(",]}", next)) ||
			unicode.IsSpace(r) && next == '#' || inFlow && strings.ContainsRune(",]}", r) {
			break
		}
	}
	for end > at && unicode.IsSpace(runes[end-1]) {
		end--
	}
	return end
}

func quotedEnd(runes []rune, at int) int {
	for i := at + 1; i < len(runes); i++ {
		switch {
		case runes[at] == '"' && runes[i] == '\\':
			i++
		case runes[i] == runes[at] && runes[at] == '\'' && i+1 < len(runes) && runes[i+1] == '\'':
			i++
		case runes[i] == runes[at]:
			return i + 1
		}
	}
	return len(runes)
}

// flowDepth counts the brackets that are open at the end of the beginning of a line. A quote opens a string only where a value may
// begin, so that an apostrophe inside a word does not.
func flowDepth(runes []rune) int {
	depth := 0
	for i := 0; i < len(runes); i++ {
		begins := i == 0 || unicode.IsSpace(runes[i-1]) || strings.ContainsRune("[{,:", runes[i-1])
		switch r := runes[i]; {
		case (r == '"' || r == '\'') && begins:
			i = quotedEnd(runes, i) - 1
		case (r == '[' || r == '{') && (begins || depth > 0):
			depth++
		case (r == ']' || r == '}') && depth > 0:
			depth--
		}
	}
	return depth
}

// sourceLines splits a file the way the positions of problems count its lines: any of CRLF, LF and CR ends one, a byte order mark is
// no character, UTF-16 is read when a mark announces it.
func sourceLines(data []byte) []string {
	for mark, order := range map[string][2]int{"\xFF\xFE": {0, 1}, "\xFE\xFF": {1, 0}} {
		if !bytes.HasPrefix(data, []byte(mark)) {
			continue
		}
		units := make([]uint16, 0, len(data)/2)
		for pairs := range slices.Chunk(data[2:], 2) {
			if len(pairs) == 2 {
				units = append(units, uint16(pairs[order[0]])|uint16(pairs[order[1]])<<8)
			}
		}
		data = []byte(string(utf16.Decode(units)))
		break
	}
	text := string(bytes.TrimPrefix(data, []byte("\uFEFF")))
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}
