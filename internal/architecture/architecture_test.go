package architecture_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/eksa-gitops/eksa-gitops/"

// mayImport lists, for every package of the program, which of our own packages it may import. A package that
// is missing here fails the test: whoever adds a room decides where its doors are.
var mayImport = map[string][]string{
	"cmd/eksa-gitops": {"internal/cli"},
	"internal/cli": {"internal/buildinfo", "internal/diagnostics", "internal/eksctl", "internal/gitrepo",
		"internal/jsonform", "internal/localfile", "internal/redact", "internal/spelling", "internal/text",
		"internal/ui", "internal/yamlnode", "pkg/clusterspec", "pkg/connect", "pkg/fluxinstall",
		"pkg/fluxmanifests", "pkg/git", "pkg/github", "pkg/gitops", "pkg/gitops/facts", "pkg/gitops/status",
		"pkg/gitops/step", "pkg/layout", "pkg/lint", "pkg/secret"},
	"internal/ui":     {"internal/redact", "internal/text", "pkg/gitops/step", "pkg/secret"},
	"internal/eksctl": {"internal/localfile", "internal/redact", "internal/ui", "pkg/gitops"},
	"pkg/gitops": {"internal/fluxbuild", "internal/jsonform", "internal/redact", "internal/sleep",
		"internal/sshkeys", "internal/text", "pkg/clusterspec", "pkg/fluxinstall", "pkg/fluxmanifests",
		"pkg/git", "pkg/github", "pkg/gitops/facts", "pkg/gitops/internal/files", "pkg/gitops/step",
		"pkg/layout", "pkg/secret"},
	"pkg/layout": {"internal/kustomize", "internal/yamlnode", "pkg/clusterspec"},
	"pkg/lint": {"internal/fluxbuild", "internal/kustomize", "internal/redact", "internal/spelling",
		"internal/text", "internal/yamlnode", "pkg/clusterspec", "pkg/layout"},
	"pkg/clusterspec": {"internal/localfile", "internal/redact", "internal/repourl", "internal/spelling",
		"internal/text"},
	"pkg/connect": {"internal/gitrepo", "internal/localfile", "internal/sshkeys", "internal/text",
		"pkg/clusterspec", "pkg/fluxinstall", "pkg/git", "pkg/github", "pkg/gitops", "pkg/gitops/facts",
		"pkg/gitops/step", "pkg/secret"},
	"pkg/git":    {"internal/serverwords", "internal/text"},
	"pkg/github": {"internal/proxy", "internal/redact", "internal/sleep", "pkg/secret"},
	"pkg/fluxinstall": {"internal/fluxbuild", "internal/localfile", "internal/redact", "internal/sleep",
		"internal/sshkeys", "internal/text", "pkg/fluxmanifests", "pkg/secret"},
	"pkg/secret": {},
	"pkg/hint":   {"internal/text"},
	"internal/gitrepo": {"internal/gitrepo/internal/pack", "internal/localfile", "internal/proxy",
		"internal/redact", "internal/repourl", "internal/serverwords", "internal/sshkeys", "internal/text",
		"pkg/git", "pkg/secret"},
	"internal/sshkeys": {"internal/localfile", "internal/repourl", "internal/text", "pkg/git", "pkg/secret"},

	"internal/gitrepo/internal/pack": {},

	// Below the commands are what was seen, what is made of it, and how steps are done; none of the three
	// knows a command. Beside them is status, which looks and judges, and no command needs it.
	"pkg/gitops/step": {"internal/text"},
	"pkg/gitops/facts": {"internal/redact", "internal/sshkeys", "internal/text", "internal/yamlnode",
		"pkg/clusterspec", "pkg/fluxinstall", "pkg/git", "pkg/github", "pkg/layout"},
	"pkg/gitops/internal/files": {"internal/fluxbuild", "internal/kustomize", "internal/text",
		"internal/yamlnode", "pkg/clusterspec", "pkg/fluxinstall", "pkg/fluxmanifests", "pkg/git",
		"pkg/gitops/facts", "pkg/layout", "pkg/lint"},
	"pkg/gitops/status": {"internal/fluxbuild", "internal/jsonform", "internal/kustomize", "internal/text",
		"pkg/clusterspec", "pkg/fluxinstall", "pkg/fluxmanifests", "pkg/git", "pkg/github", "pkg/gitops",
		"pkg/gitops/facts", "pkg/gitops/internal/files", "pkg/layout"},

	"internal/buildinfo":    {},
	"internal/crash":        {},
	"internal/kustomize":    {},
	"internal/fluxbuild":    {"internal/kustomize"},
	"internal/spelling":     {},
	"internal/proxy":        {"internal/text"},
	"internal/repourl":      {"internal/text"},
	"internal/text":         {},
	"internal/yamlnode":     {},
	"internal/localfile":    {"internal/sleep", "internal/text"},
	"internal/sleep":        {},
	"internal/redact":       {"internal/repourl", "pkg/secret"},
	"internal/serverwords":  {},
	"internal/diagnostics":  {"internal/jsonform", "internal/redact", "internal/ui", "pkg/clusterspec"},
	"internal/architecture": {},
	"internal/fixture":      {},
	"internal/jsonform":     {},
	"internal/gittest":      {},
	"internal/githubtest":   {"internal/githubtest/description", "internal/gittest"},
	"internal/changelog":    {},
	"internal/docgen": {"internal/cli", "internal/jsonform", "internal/ui", "pkg/clusterspec",
		"pkg/gitops/step"},
	"internal/schematest": {},

	"internal/githubtest/description":         {},
	"internal/githubtest/description/extract": {"internal/githubtest", "internal/githubtest/description"},

	"pkg/fluxmanifests": {"internal/kustomize", "internal/localfile", "internal/yamlnode",
		"pkg/fluxmanifests/internal/release"},
	"pkg/fluxmanifests/internal/genmanifests": {"pkg/fluxmanifests/internal/release"},
	"pkg/fluxmanifests/internal/release":      {},
}

// forAll may be imported by every package: whoever starts a goroutine needs internal/crash, and whoever says
// what helps pkg/hint.
var forAll = []string{"internal/crash", "pkg/hint"}

// onlyImporter names, for libraries that are one room's business, the packages that may import them.
var onlyImporter = map[string][]string{
	"github.com/go-git/":             {"internal/gitrepo", "internal/gitrepo/internal/pack"},
	"github.com/google/go-github":    {"pkg/github"},
	"k8s.io/client-go":               {"pkg/fluxinstall"},
	"sigs.k8s.io/controller-runtime": {"pkg/fluxinstall"},
	"github.com/fluxcd/": {"internal/fluxbuild", "pkg/fluxinstall", "pkg/fluxmanifests",
		"pkg/fluxmanifests/internal/genmanifests"},
	"sigs.k8s.io/kustomize/api/krusty": {"internal/kustomize", "pkg/fluxmanifests/internal/genmanifests"},
	"github.com/spf13/cobra":           {"internal/cli", "internal/docgen"},
	"github.com/spf13/viper":           {"internal/cli"},
	"golang.org/x/term":                {"internal/ui", "internal/cli"},
	"github.com/getkin/kin-openapi":    {"internal/githubtest/description"},

	"github.com/invopop/jsonschema":         {"internal/docgen"},
	"github.com/santhosh-tekuri/jsonschema": {"internal/schematest"},
}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func TestDependencyDirection(t *testing.T) {
	t.Parallel()
	for _, pkg := range listPackages(t) {
		name := strings.TrimPrefix(pkg.ImportPath, module)
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s is not in the table of this test: decide which packages it may import", name)
			continue
		}
		for _, imported := range pkg.Imports {
			if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(allowed, ours) &&
				!slices.Contains(forAll, ours) {
				t.Errorf("%s imports %s; it may import %v", name, ours, allowed)
			}
			for library, importers := range onlyImporter {
				if strings.HasPrefix(imported, library) && !slices.Contains(importers, name) {
					t.Errorf("%s imports %s; only %v may", name, imported, importers)
				}
			}
		}
	}
}

// listPackages asks the go command for the packages of the module; test files are not looked at, they may
// import the test servers.
func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg listedPackage
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
	if len(packages) == 0 {
		t.Fatal("go list found no packages")
	}
	return packages
}
