// Package text makes texts fit for where they are shown.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain are the characters that mean nothing to a POSIX shell, wherever they stand in a word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:@,%="

// ShellWord is a text as one word of a command that a person is told to type, in quotes only where a shell
// would not take it as it is. The word is of characters that can be seen, on one line: those that cannot are
// escapes in $'...', which bash, zsh and ksh read as what they stand for; to a shell that does not know that
// form it is another text, and no more.
func ShellWord(s string) string {
	switch {
	case strings.ContainsFunc(s, unseen):
		return escaped(s)
	case s != "" && strings.Trim(s, plain) == "" && s[0] != '=': // zsh takes =x for the place of program x
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// unseen says whether a character is not what a person sees, or is taken for another.
func unseen(r rune) bool {
	return r == utf8.RuneError || !unicode.IsPrint(r) && r != ' '
}

// escaped has no quote inside, which would end the word for a shell that does not know the form.
func escaped(s string) string {
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if unseen(r) || r == '\'' || r == '\\' {
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		} else {
			b.WriteRune(r)
		}
		i += size
	}
	return b.String() + "'"
}

// Command is a command line that a person is told to type, or a sentence with one: the format with a value in
// the place of each %s, each as one word ([ShellWord]), and a list of values as so many. All commands that
// are suggested with anything from outside in them are made here; the format is written in the program, and
// has no quotes around a %s.
//
// A value that would be taken for an option, since it stands by itself and begins with a dash, gets a ./
// before it: what begins so and is nevertheless meant is the name of a file.
func Command(format string, values ...any) string {
	var b strings.Builder
	before := "" // the format up to the value
	for {
		part, rest, more := strings.Cut(format, "%s")
		b.WriteString(part)
		if !more {
			break
		}
		before, format = part, rest
		if len(values) == 0 {
			b.WriteString("%!s(MISSING)")
			continue
		}
		alone := before == "" && b.Len() == 0 || strings.HasSuffix(before, " ")
		switch value := values[0].(type) {
		case []string:
			words := make([]string, len(value))
			for i, word := range value {
				words[i] = argument(word, alone)
			}
			b.WriteString(strings.Join(words, " "))
		default:
			b.WriteString(argument(fmt.Sprint(value), alone))
		}
		values = values[1:]
	}
	if len(values) > 0 {
		fmt.Fprintf(&b, "%%!(EXTRA %d)", len(values))
	}
	return b.String()
}

func argument(value string, alone bool) string {
	if alone && len(value) > 1 && value[0] == '-' {
		value = "./" + value
	}
	return ShellWord(value)
}
