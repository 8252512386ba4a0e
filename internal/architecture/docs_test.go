package architecture_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the documentation calls a test exists: `TestName`, or `TestName_*` for all that begin so.
func TestDocs_namedTestsExist(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	var tests []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, match := range declared.FindAllStringSubmatch(string(content), -1) {
			tests = append(tests, match[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(documents) == 0 {
		t.Fatal(documents, err)
	}
	documents = append(documents, filepath.Join(root, "SECURITY.md"))
	all := "\n" + strings.Join(tests, "\n") + "\n"
	for _, path := range documents {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)(\\*?)`").FindAllStringSubmatch(
			string(content), -1) {
			end := "\n"
			if name[2] == "*" {
				end = ""
			}
			if !strings.Contains(all, "\n"+name[1]+end) {
				t.Errorf("%s names %s, which does not exist", filepath.Base(path), name[0])
			}
		}
	}
}
