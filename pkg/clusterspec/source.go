package clusterspec

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// MaxTotalSize bounds the bytes of all sources of one run. A cluster with everything in it takes 10 KB, so
// this is room for thousands of them.
const MaxTotalSize = 32 << 20

// Source is one file to read.
type Source struct {
	Name string // as shown in messages
	Data []byte
}

// ReadPaths reads files, directories and, for "-", stdin, in the order given. A directory stands for the
// *.yaml, *.yml and *.json files directly in it, sorted by name, but for hidden ones, which editors and
// systems leave there; a file that was named twice is read once. Its error is Problems: a path that is
// missing, cannot be read, or is too large, and a directory without such files or with one that is no regular
// file; or the context's cause. That a file is empty is otherwise for [Parse] to say, beside what is wrong
// with the others. It never reads more than MaxTotalSize bytes. A read that nothing comes of, from a terminal
// or a named pipe, is left behind when the context ends.
func ReadPaths(ctx context.Context, paths []string, stdin io.Reader) ([]Source, error) {
	r := &pathReader{left: MaxTotalSize, seen: map[string]bool{}}
	done := crash.Go(func() struct{} {
		r.readAll(paths, stdin)
		return struct{}{}
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case read := <-done:
		read.Value()
	}
	if len(r.problems) == 0 {
		return r.sources, nil
	}
	r.problems = append(r.problems, Empty(r.sources)...)
	return nil, r.problems.sorted()
}

func (r *pathReader) readAll(paths []string, stdin io.Reader) {
	for _, path := range paths {
		switch info, err := os.Stat(path); {
		case path == "-":
			if !r.seen["-"] {
				r.seen["-"] = true
				r.read("stdin", stdin)
			}
		case err != nil:
			r.fail(path, "missing-file", err)
		case info.IsDir():
			r.directory(path)
		default:
			r.file(path)
		}
	}
}

type pathReader struct {
	sources  []Source
	problems Problems
	seen     map[string]bool
	left     int64
}

func (r *pathReader) fail(name, rule string, err error) {
	message := err.Error()
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		message = pathError.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		message = "there is no such file or directory"
	}
	r.problems = append(r.problems,
		Problem{Severity: SeverityError, Rule: rule, File: name, Message: message})
}

func (r *pathReader) directory(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.fail(dir, "missing-file", err)
		return
	}
	found := false
	for _, entry := range entries {
		if !isSpecName(entry.Name()) || entry.IsDir() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		switch info, err := os.Stat(path); {
		case err != nil:
			r.fail(path, "missing-file", err)
		case info.IsDir():
			continue
		case !info.Mode().IsRegular():
			r.problems = append(r.problems, Problem{
				Severity: SeverityError, Rule: "missing-file", File: path,
				Message:  "not a regular file, such as a pipe, which is read only when it is named itself",
				Expected: "a file",
			})
		default:
			r.file(path)
		}
		found = true
	}
	if !found {
		r.problems = append(r.problems, Problem{
			Severity: SeverityError, Rule: "empty-file", File: dir,
			Message:  "the directory contains no cluster files",
			Expected: "files named *.yaml, *.yml or *.json",
		})
	}
}

func isSpecName(name string) bool {
	return !strings.HasPrefix(name, ".") &&
		slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name)))
}

func (r *pathReader) file(path string) {
	if clean := filepath.Clean(path); r.seen[clean] {
		return
	} else {
		r.seen[clean] = true
	}
	file, err := os.Open(path)
	if err != nil {
		r.fail(path, "missing-file", err)
		return
	}
	defer file.Close()
	r.read(path, file)
}

func (r *pathReader) read(name string, from io.Reader) {
	if from == nil {
		from = strings.NewReader("")
	}
	data, err := io.ReadAll(io.LimitReader(from, r.left+1))
	switch {
	case err != nil:
		r.fail(name, "missing-file", err)
	case int64(len(data)) > r.left:
		r.problems = append(r.problems, tooLarge(name))
	default:
		r.left -= int64(len(data))
		r.sources = append(r.sources, Source{Name: name, Data: data})
	}
}

func tooLarge(name string) Problem {
	return Problem{
		Severity: SeverityError, Rule: "too-large", File: name, Message: "too much input",
		Expected: fmt.Sprintf("at most %d MiB in all files of a run", MaxTotalSize>>20),
	}
}

// Empty says which sources hold nothing.
func Empty(sources []Source) Problems {
	var problems Problems
	for _, source := range sources {
		if len(bytes.TrimSpace(source.Data)) == 0 {
			problems = append(problems, emptyFile(source.Name))
		}
	}
	return problems
}

func emptyFile(name string) Problem {
	return Problem{Severity: SeverityError, Rule: "empty-file", File: name, Message: "the file is empty",
		Expected: "a YAML document of kind Cluster"}
}

// normalize gives the text of a source as UTF-8 with LF line ends and without a byte order mark. UTF-16 is
// understood when a mark announces it, which is what PowerShell writes. The problem is nil when the text can
// be used.
func normalize(source Source) (string, *Problem) {
	data := source.Data
	if order := utf16Order(data); order != nil {
		var ok bool
		if data, ok = fromUTF16(data[2:], order); !ok {
			return "", &Problem{
				Severity: SeverityError, Rule: "not-yaml", File: source.Name, Message: "not text in UTF-16",
				Expected: "text in UTF-8", Line: bytes.Count(data, []byte("\n")) + 1,
			}
		}
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	for offset, line := 0, 1; offset < len(data); {
		if c := data[offset]; c >= ' ' && c < 0x7F || c == '\t' || c == '\n' {
			if c == '\n' {
				line++
			}
			offset++
			continue
		}
		r, size := utf8.DecodeRune(data[offset:])
		message, found := "", ""
		switch {
		case r == utf8.RuneError && size == 1:
			message, found = "not text in UTF-8", fmt.Sprintf("byte 0x%02X", data[offset])
		case r < ' ' || r == 0x7F:
			// The YAML parser takes a NUL for the end of the input, and so would drop what follows.
			message, found = "a control character, which YAML does not allow", fmt.Sprintf("%U", r)
		}
		if message != "" {
			return "", &Problem{
				Severity: SeverityError, Rule: "not-yaml", File: source.Name, Message: message, Found: found,
				Line:   line,
				Column: utf8.RuneCount(data[bytes.LastIndexByte(data[:offset], '\n')+1:offset]) + 1,
			}
		}
		offset += size
	}
	return withoutMarks(string(data)), nil
}

const byteOrderMark = "\uFEFF"

// withoutMarks takes byte order marks away where a document begins, which is where YAML allows them and where
// files that were put together have them. EKS Anywhere's readers take one for a part of the first key.
func withoutMarks(text string) string {
	if !strings.Contains(text, "\n"+byteOrderMark) {
		return text
	}
	var b strings.Builder
	begins := true // nothing but comments stands between the line and the beginning of its document
	for line := range strings.SplitAfterSeq(text, "\n") {
		bare := strings.TrimSuffix(strings.TrimPrefix(line, byteOrderMark), "\n")
		_, separator := marker(bare, "---")
		_, end := marker(bare, "...")
		if begins || separator {
			line = strings.TrimPrefix(line, byteOrderMark)
		}
		begins = separator || end || begins && onlyComments(bare)
		b.WriteString(line)
	}
	return b.String()
}

// utf16Order gives the order of bytes that a mark announces; nil is UTF-8.
func utf16Order(data []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return binary.BigEndian
	}
	return nil
}

// fromUTF16 gives a text in UTF-8, up to what is not UTF-16.
func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, bool) {
	out := make([]byte, 0, len(data))
	for ; len(data) >= 2; data = data[2:] {
		c := rune(order.Uint16(data))
		if utf16.IsSurrogate(c) {
			if len(data) < 4 {
				return out, false
			}
			if c = utf16.DecodeRune(c, rune(order.Uint16(data[2:]))); c == utf8.RuneError {
				return out, false
			}
			data = data[2:]
		}
		out = utf8.AppendRune(out, c)
	}
	return out, len(data) == 0
}
