package diagnostics

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// maxExcerpt is the most columns of a source line that are shown; longer ones are cut around the mark.
const maxExcerpt = 100

// lead is how much of a cut line is kept before the mark.
const lead = 30

// scanned is how many characters around a mark are looked at, so that a file of one huge line with many
// problems takes no time.
const scanned = 2000

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

// excerptOf prepares a source line for a terminal and marks the token at a column, which counts characters
// from 1; 0 is no mark. secret says that the token is one; other secrets that the redactor can tell are never
// shown.
func excerptOf(line string, column int, secret bool, redactor *redact.Redactor) excerpt {
	runes := []rune(line)
	var cutLeft, cutRight bool
	if skip := column - 1 - scanned; skip > 0 && skip < len(runes) {
		runes, column, cutLeft = runes[skip:], scanned+1, true
	}
	if most := max(column, 0) + scanned; len(runes) > most {
		runes, cutRight = runes[:most], true
	}
	cells := make([]cell, len(runes))
	for i, r := range runes {
		cells[i] = cellOf(r)
	}
	hidden := secretRanges(string(runes), redactor)
	for _, secret := range hidden {
		hide(cells, secret[0], secret[1])
	}
	from, to := 0, 0
	var e excerpt
	if column > 0 {
		from = min(column-1, len(runes))
		to = max(tokenEnd(runes, from, cutLeft || flowDepth(runes[:from]) > 0), from)
		e.token = string(runes[from:to])
		if secret && !slices.ContainsFunc(hidden, func(h [2]int) bool { return h[0] >= from && h[1] <= to }) {
			hide(cells, from, to)
		}
	}
	first, last := window(cells, from, to)
	var b strings.Builder
	if first > 0 || cutLeft {
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
	if last < len(cells) || cutRight {
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
	if widthOf(cells) <= maxExcerpt {
		return 0, len(cells)
	}
	if widthOf(cells[:from])+min(widthOf(cells[from:to]), lead) > maxExcerpt-lead {
		for first = from; first > 0 && widthOf(cells[first-1:from]) <= lead; first-- {
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

// hide replaces some cells by the mark of a secret. The number of cells stays.
func hide(cells []cell, from, to int) {
	for i := from; i < to; i++ {
		cells[i] = cell{}
		if i == from {
			cells[i] = cell{redact.Mask, len(redact.Mask)}
		}
	}
}

// secretRanges finds the secrets of a line, as pairs of character positions.
func secretRanges(line string, redactor *redact.Redactor) [][2]int {
	found := redactor.Ranges(line)
	for i, at := range found {
		from := utf8.RuneCountInString(line[:at[0]])
		found[i] = [2]int{from, from + utf8.RuneCountInString(line[at[0]:at[1]])}
	}
	return found
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

// tokenEnd finds the end of the YAML token that begins at an index, by looking at the line only: a quoted or
// plain scalar, a key, or the indicator of something longer. inFlow says that it is within brackets.
func tokenEnd(runes []rune, at int, inFlow bool) int {
	if at >= len(runes) {
		return at
	}
	switch first := runes[at]; first {
	case ' ', '\t':
		end := at
		for end < len(runes) && runes[end] == first {
			end++
		}
		return end
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

// flowDepth counts the brackets that are open at the end of the beginning of a line. A quote opens a string
// only where a value may begin, so that an apostrophe inside a word does not.
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

// sourceLines splits a file the way the positions of problems count its lines: any of CRLF, LF and CR ends
// one, a byte order mark is no character, UTF-16 is read when a mark announces it.
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
