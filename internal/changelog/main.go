// Command changelog writes CHANGELOG.md from the files in a directory, one for each change that users notice:
// two people who describe two changes then never edit the same lines.
//
//	changelog [-check] changes CHANGELOG.md   writes it, or with -check fails when it is not up to date
//
// The first line of a file is a category, the rest one or two sentences. Files directly in the directory are
// of the next release, those in a directory such as changes/v1.2.0 are of that one.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	check := flag.Bool("check", false, "fail when the changelog is not up to date; write nothing")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "changelog: a directory and a file are needed")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *check); err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
}

func run(directory, file string, check bool) error {
	want, err := render(os.DirFS(directory))
	if err != nil {
		return fmt.Errorf("%s: %w", directory, err)
	}
	if !check {
		return os.WriteFile(file, want, 0o644)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s is not up to date; run: make changelog", file)
	}
	return nil
}

// categories are in the order in which a release lists them.
func categories() []string { return []string{"Security", "Added", "Changed", "Removed", "Fixed"} }

// longest is the most that one change may say: the rest belongs into the documents.
const longest = 400

// releaseForm is the name of the directory of a release.
var releaseForm = regexp.MustCompile(`^v(\d+)\.(\d+)\.(\d+)$`)

// release is what one release changes: texts by their category.
type release struct {
	name    string
	changes map[string][]string
}

// render is the whole changelog, the newest release first.
func render(changes fs.FS) ([]byte, error) {
	entries, err := fs.ReadDir(changes, ".")
	if err != nil {
		return nil, err
	}
	var wrong []error
	next, errs := readRelease(changes, ".")
	wrong = append(wrong, errs...)
	var releases []release
	for _, entry := range entries {
		switch {
		case !entry.IsDir():
		case !releaseForm.MatchString(entry.Name()):
			wrong = append(wrong,
				fmt.Errorf("directory %s is not called after a release, such as v1.2.0", entry.Name()))
		default:
			r, errs := readRelease(changes, entry.Name())
			releases, wrong = append(releases, r), append(wrong, errs...)
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	slices.SortFunc(releases,
		func(a, b release) int { return slices.Compare(numbers(b.name), numbers(a.name)) })
	out := &bytes.Buffer{}
	out.WriteString("# Changes\n\n" +
		"Made by `make changelog` from the files in [changes](changes); edit those.\n")
	next.write(out, "Next release")
	for _, r := range releases {
		r.write(out, r.name)
	}
	return out.Bytes(), nil
}

// numbers are those of a release, to be compared as numbers.
func numbers(name string) []int {
	var all []int
	for _, digits := range releaseForm.FindStringSubmatch(name)[1:] {
		n, _ := strconv.Atoi(digits)
		all = append(all, n)
	}
	return all
}

// readRelease reads the files directly in directory. All that is wrong is told at once.
func readRelease(changes fs.FS, directory string) (release, []error) {
	r := release{name: directory, changes: map[string][]string{}}
	names, err := fs.Glob(changes, path.Join(directory, "*"))
	if err != nil {
		return r, []error{err}
	}
	var wrong []error
	for _, name := range names {
		if info, err := fs.Stat(changes, name); err == nil && info.IsDir() {
			continue
		}
		content, err := fs.ReadFile(changes, name)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		category, text, err := parse(name, string(content))
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
			continue
		}
		r.changes[category] = append(r.changes[category], text)
	}
	return r, wrong
}

// parse splits a file into its category and its text, which becomes one line.
func parse(name, content string) (category, text string, err error) {
	category, rest, _ := strings.Cut(content, "\n")
	category = strings.TrimSpace(category)
	text = strings.Join(strings.Fields(rest), " ")
	switch {
	case path.Ext(name) != ".md":
		return "", "", errors.New("the name must end with .md")
	case !slices.Contains(categories(), category):
		return "", "", fmt.Errorf("the first line is %q; it must be one of %s",
			category, strings.Join(categories(), ", "))
	case text == "":
		return "", "", errors.New("the change is not described")
	case len(text) > longest:
		return "", "", fmt.Errorf("%d characters are too many; at most %d", len(text), longest)
	case !strings.HasSuffix(text, "."):
		return "", "", errors.New("the last sentence has no full stop")
	}
	return category, text, nil
}

// write appends the release, unless it changes nothing.
func (r *release) write(out *bytes.Buffer, title string) {
	if len(r.changes) == 0 {
		return
	}
	fmt.Fprintf(out, "\n## %s\n", title)
	for _, category := range categories() {
		texts := r.changes[category]
		if len(texts) == 0 {
			continue
		}
		slices.SortFunc(texts,
			func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
		fmt.Fprintf(out, "\n### %s\n\n", category)
		for _, text := range texts {
			fmt.Fprintf(out, "- %s\n", text)
		}
	}
}
