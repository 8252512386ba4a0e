// Command docgen writes the documentation that is made from the program itself: the reference of the commands
// (docs/cli), the schemas of the JSON that they print (docs/schema) and the reference of the fields of
// cluster files (docs/fields.md), and for release archives the manual pages and shell completions. It runs in
// the root of the module, whose sources it reads.
//
//	docgen [-check] docs       writes them, or with -check fails when they are not up to date
//	docgen -release DIR        writes DIR/man and DIR/completions
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

func main() {
	check := flag.Bool("check", false, "fail when the documentation is not up to date; write nothing")
	release := flag.Bool("release", false, "write manual pages and completions instead")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "docgen: one directory is needed")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *check, *release); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

func run(dir string, check, release bool) error {
	if release {
		return writeRelease(dir)
	}
	pages, err := reference()
	if err != nil {
		return err
	}
	forms, err := schemas(cli.Forms())
	if err != nil {
		return err
	}
	folders := map[string]map[string][]byte{
		filepath.Join(dir, "cli"):    pages,
		filepath.Join(dir, "schema"): forms,
	}
	fields := filepath.Join(dir, "fields.md")
	if check {
		return compare(folders, fields, clusterspec.FieldReference())
	}
	for folder, files := range folders {
		if err := writeFolder(folder, files); err != nil {
			return err
		}
	}
	return os.WriteFile(fields, clusterspec.FieldReference(), 0o644)
}

// writeFolder makes a folder that holds the files and nothing else.
func writeFolder(folder string, files map[string][]byte) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// reference renders one Markdown page a command, by file name.
func reference() (map[string][]byte, error) {
	pages := map[string][]byte{}
	var walk func(*cobra.Command) error
	walk = func(c *cobra.Command) error {
		if !c.IsAvailableCommand() && c.HasParent() {
			return nil
		}
		var page bytes.Buffer
		if err := doc.GenMarkdown(c, &page); err != nil {
			return err
		}
		pages[filepath.Base(pageName(c))] = page.Bytes()
		for _, child := range c.Commands() {
			if err := walk(child); err != nil {
				return err
			}
		}
		return nil
	}
	return pages, walk(cli.Command())
}

// pageName is the name that the links in Cobra's pages use.
func pageName(c *cobra.Command) string {
	return string(bytes.ReplaceAll([]byte(c.CommandPath()), []byte(" "), []byte("_"))) + ".md"
}

// compare holds the generated folders and the page of the fields against what they should be.
func compare(folders map[string]map[string][]byte, fieldsFile string, fields []byte) error {
	var stale []error
	if content, err := os.ReadFile(fieldsFile); err != nil || !bytes.Equal(content, fields) {
		stale = append(stale, fmt.Errorf("%s is not up to date", fieldsFile))
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		files := folders[folder]
		for _, name := range slices.Sorted(maps.Keys(files)) {
			content, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil || !bytes.Equal(content, files[name]) {
				stale = append(stale, fmt.Errorf("%s is not up to date", filepath.Join(folder, name)))
			}
		}
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			if _, ok := files[entry.Name()]; !ok {
				stale = append(stale,
					fmt.Errorf("%s is not generated any more", filepath.Join(folder, entry.Name())))
			}
		}
	}
	if len(stale) > 0 {
		return errors.Join(append(stale, errors.New("run make generate"))...)
	}
	return nil
}

func writeRelease(dir string) error {
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	for _, folder := range []string{man, completions} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	root := cli.Command()
	// A fixed date: the same source makes the same pages.
	epoch := time.Unix(0, 0).UTC()
	if err := doc.GenManTree(root,
		&doc.GenManHeader{Title: "EKSA-GITOPS", Section: "1", Date: &epoch, Source: "eksa-gitops"},
		man); err != nil {
		return err
	}
	return errors.Join(
		root.GenBashCompletionFileV2(filepath.Join(completions, "eksa-gitops.bash"), true),
		root.GenZshCompletionFile(filepath.Join(completions, "eksa-gitops.zsh")),
		root.GenFishCompletionFile(filepath.Join(completions, "eksa-gitops.fish"), true),
		root.GenPowerShellCompletionFileWithDesc(filepath.Join(completions, "eksa-gitops.ps1")),
	)
}
