package architecture_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMap: the map of docs/design.md is the one that the imports draw. Each of its lines has all arrows from
// a room to others below pkg/, and to those that reach the outside; what serves all of them is left out.
func TestMap(t *testing.T) {
	t.Parallel()
	drawn := mapOfDesign(t)
	imports := map[string][]string{}
	for _, pkg := range listPackages(t) {
		name := strings.TrimPrefix(pkg.ImportPath, module)
		for _, imported := range pkg.Imports {
			if room, ours := strings.CutPrefix(imported, module); ours && onMap(room) {
				imports[name] = append(imports[name], room)
			}
		}
	}
	if len(drawn) < 6 {
		t.Errorf("the map has lines for %d rooms", len(drawn))
	}
	for room, arrows := range drawn {
		slices.Sort(arrows)
		if want := slices.Sorted(slices.Values(imports[room])); !slices.Equal(arrows, want) {
			t.Errorf("docs/design.md draws arrows from %s to\n%q, the imports\n%q", room, arrows, want)
		}
	}
}

// onMap says whether the map tells of arrows to a room. Secrets and hints are words that all rooms use.
func onMap(room string) bool {
	return strings.HasPrefix(room, "pkg/") && room != "pkg/secret" && room != "pkg/hint" ||
		slices.Contains([]string{"internal/eksctl", "internal/gitrepo"}, room)
}

// mapOfDesign reads the map: by room, the rooms to which it draws an arrow.
func mapOfDesign(t *testing.T) map[string][]string {
	t.Helper()
	content, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	short := map[string]string{"files": "pkg/gitops/internal/files", "facts": "pkg/gitops/facts",
		"step": "pkg/gitops/step", "status": "pkg/gitops/status"}
	long := func(name string) string {
		switch full := short[name]; {
		case full != "":
			return full
		case strings.Contains(name, "/"):
			return name
		}
		return "pkg/" + name
	}
	const first = "internal/cli ─▶ "
	_, after, _ := strings.Cut(string(content), "\n"+first)
	block, _, _ := strings.Cut(first+after, "\n```")
	drawn := map[string][]string{}
	var room string
	for line := range strings.SplitSeq(block, "\n") {
		from, to, begins := strings.Cut(line, "─▶")
		if begins {
			room = long(strings.Trim(from, " ─"))
		} else {
			to = line
		}
		for _, name := range strings.Fields(strings.NewReplacer(",", " ", ";", " ").Replace(to)) {
			drawn[room] = append(drawn[room], long(name))
		}
	}
	return drawn
}
