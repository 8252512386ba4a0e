package gitrepo

import (
	"strings"
	"unicode/utf8"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// checkPath confines a path to the repository. Beside what git itself refuses (".", "..", ".git"), it refuses
// what would be something else on a file system that somebody may clone the repository to: other spellings of
// .git on Windows and macOS, backslashes, and control characters.
func checkPath(path string) error {
	refuse := func(reason string) error { return &git.PathError{Path: path, Reason: reason} }
	switch {
	case path == "":
		return refuse("it is empty")
	case strings.HasPrefix(path, "/"):
		return refuse("it is absolute; paths are relative to the repository's root")
	case !utf8.ValidString(path):
		return refuse("it is not UTF-8")
	case strings.ContainsRune(path, '\\'):
		return refuse("it has a backslash in it")
	case len(path) > 4096:
		return refuse("it is too long")
	}
	for _, r := range path {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return refuse("it has a control character in it")
		}
	}
	for name := range strings.SplitSeq(path, "/") {
		if reason := badElement(name); reason != "" {
			return refuse(reason)
		}
	}
	return nil
}

// badElement says what is wrong with one element of a path; empty is nothing.
func badElement(name string) string {
	switch {
	case name == "":
		return "it has an empty element"
	case name == "." || name == "..":
		return "it has the element " + name
	case isDotGit(name):
		return "it has the reserved element " + name
	case len(name) > 255:
		return "it has an element of more than 255 bytes"
	}
	return ""
}

// isUnsafe says whether an entry of a directory is one that nobody should follow: its path is refused, or its
// name is more than one element of it.
func isUnsafe(name, path string) bool { return strings.Contains(name, "/") || checkPath(path) != nil }

// isDotGit says whether a file system may take a name for .git: without regard to case, with characters that
// macOS ignores, with the trailing dots and spaces and the streams that Windows ignores, or by its short form
// there.
func isDotGit(name string) bool {
	name = strings.Map(func(r rune) rune {
		if (r >= 0x200c && r <= 0x200f) || (r >= 0x202a && r <= 0x202e) || (r >= 0x206a && r <= 0x206f) ||
			r == 0xfeff {
			return -1
		}
		return r
	}, strings.ToLower(name))
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimRight(name, ". ")
	return name == ".git" || name == "git~1"
}
