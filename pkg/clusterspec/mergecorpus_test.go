package clusterspec_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

const mergeCorpus = "../../testdata/merge"

// section is one file of an archive in the txtar format of Go's own tests.
type section struct{ name, text string }

func readSections(t testing.TB, path string) (comment string, sections []section) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitAfterSeq(string(data), "\n") {
		name, marked := strings.CutPrefix(strings.TrimSuffix(line, " --\n"), "-- ")
		switch {
		case marked && strings.HasSuffix(line, " --\n"):
			sections = append(sections, section{name: name})
		case len(sections) == 0:
			comment += line
		default:
			sections[len(sections)-1].text += line
		}
	}
	return comment, sections
}

// TestMergeCorpus: base.yaml, ours.yaml and theirs.yaml give want.yaml, or overwriting.yaml when there are
// conflicts, and the report.
func TestMergeCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(mergeCorpus, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no corpus", err)
	}
	for _, file := range few(files) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			comment, sections := readSections(t, file)
			if len(sections) < 3 || sections[0].name != "base.yaml" || sections[1].name != "ours.yaml" ||
				sections[2].name != "theirs.yaml" {
				t.Fatal("want base.yaml, ours.yaml and theirs.yaml")
			}
			base, ours, theirs := sections[0].text, sections[1].text, sections[2].text
			merged, err := clusterspec.Merge(source("base.yaml", base), source("ours.yaml", ours),
				source("theirs.yaml", theirs))
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			b.WriteString(comment)
			name := "want.yaml"
			if len(merged.Conflicts) > 0 {
				name = "overwriting.yaml"
			}
			report := strings.Join(append(showEdits(merged.Edits), showConflicts(merged.Conflicts)...), "\n")
			for _, s := range append(sections[:3:3], section{name, string(merged.Overwriting)},
				section{"report", report + "\n"}) {
				fmt.Fprintf(&b, "-- %s --\n%s", s.name, s.text)
			}
			golden(t, file, b.String())
			if _, err := clusterspec.Parse([]clusterspec.Source{source(name,
				string(merged.Overwriting))}); err != nil {
				t.Errorf("the merged file is not valid: %v", err)
			}
			checkMergeLaws(t, base, ours, theirs, merged)
		})
	}
}

var firstCount = regexp.MustCompile(`"?count"?: ?"?([0-9]+)`)

// TestUpdateSources_corpus: whatever the user's file looks like, an edit of its rendering gets into it, and
// nothing else changes in what it says.
func TestUpdateSources_corpus(t *testing.T) {
	t.Parallel()
	for _, file := range specFiles(t, "valid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			set, err := parseFile(t, file)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw := clusterspec.Source{Name: filepath.Base(file), Data: data}
			for _, c := range set.Clusters {
				before := clusterspec.Render(c)
				after := firstCount.ReplaceAll(before, []byte("count: 7"))
				changed, err := clusterspec.UpdateSources([]clusterspec.Source{raw},
					clusterspec.Source{Name: "before", Data: before},
					clusterspec.Source{Name: "after", Data: after})
				if err != nil {
					t.Fatal(err)
				}
				if len(changed) != 1 {
					t.Fatalf("%d files change", len(changed))
				}
				again, err := clusterspec.Parse(changed)
				if err != nil {
					t.Fatalf("%v\n%s", err, changed[0].Data)
				}
				for _, updated := range again.Clusters {
					if updated.Name != c.Name {
						continue
					}
					if left := clusterspec.CompareSets(parseText(string(after)),
						parseText(string(clusterspec.Render(updated)))); len(left) > 0 {
						t.Errorf("%s differs: %v", c.Name, left)
					}
				}
				if none, err := clusterspec.UpdateSources([]clusterspec.Source{raw},
					clusterspec.Source{Name: "before", Data: before},
					clusterspec.Source{Name: "after", Data: before}); err != nil || none != nil {
					t.Errorf("without an edit: %v, %v", none, err)
				}
			}
		})
	}
}
