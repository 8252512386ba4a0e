package lint_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

var update = flag.Bool("update", false, "write testdata/lint/repository.txt")

// The repository that Flux fetches is compared as its host does: GitHub knows no case, a generic Git server
// does.
func TestCheckRepository_sourceCase(t *testing.T) {
	t.Parallel()
	sources := func(url, provider string) (n int) {
		r := newRepository(t)
		r.replace(flux+"/gotk-sync.yaml", "ssh://git@github.com/octo/fleet", url)
		if provider != "" {
			spec := root + "/dev/eksa-system/eksa-cluster.yaml"
			r.put(spec,
				regexp.MustCompile(`(?m)^  github:\n(    .*\n)+`).ReplaceAllString(r.text(spec), provider))
		}
		for _, p := range check(t, lint.Tree(r), nil).Problems {
			if p.Rule == "flux-source" {
				n++
			}
		}
		return n
	}
	const git = "  git:\n    repositoryUrl: ssh://git@git.example.com/octo/fleet.git\n"
	for _, tc := range []struct {
		url, provider string
		want          int
	}{
		{"ssh://git@github.com/Octo/FLEET.git", "", 0},
		{"ssh://git@git.example.com/octo/fleet", git, 0},
		{"ssh://git@git.example.com/octo/Fleet", git, 1},
	} {
		if got := sources(tc.url, tc.provider); got != tc.want {
			t.Errorf("%s: %d findings, want %d", tc.url, got, tc.want)
		}
	}
}

// TestCheckRepository breaks a repository in every way there is and compares all that is said with
// testdata/lint/repository.txt.
func TestCheckRepository(t *testing.T) {
	t.Parallel()
	const file = "../../testdata/lint/repository.txt"
	golden := map[string]string{}
	content, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq(string(content), "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		golden[strings.TrimPrefix(name, "## ")] = strings.TrimSuffix(text, "\n")
	}
	got := map[string]string{}
	cases := brokenRepositories()
	known := map[string]bool{}
	for _, rule := range lint.Rules() {
		known[rule.Name] = false
	}
	for name, damage := range cases {
		r := newRepository(t)
		damage(r)
		report, err := lint.CheckRepository(lint.Tree(r), lint.Tree(newRepository(t)), lint.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Problems {
			if _, ours := known[p.Rule]; ours {
				known[p.Rule] = true
			}
		}
		got[name] = describeReport(report)
		// Without a base there are the same problems, but for what the change does.
		for _, p := range check(t, lint.Tree(r), nil).Problems {
			if !slices.Contains(report.Problems, p) &&
				!slices.Contains([]string{"flux-missing", "no-management-cluster", "no-clusters"}, p.Rule) {
				t.Errorf("%s: only without a base: %s", name, p)
			}
		}
	}
	for rule, seen := range known {
		if alone := []string{"no-clusters", "no-management-cluster", "flux-missing",
			"change-ignored"}; !seen && !slices.Contains(alone, rule) {
			t.Errorf("no repository breaks rule %s", rule)
		}
	}
	if *update {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(got)) {
			b.WriteString("## " + name + "\n" + got[name] + "\n\n")
		}
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(b.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name := range cases {
		if want := strings.TrimSpace(golden[name]); strings.TrimSpace(got[name]) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got[name], want)
		}
	}
	if len(golden) != len(cases) {
		t.Errorf("%d repositories, %d in the golden file", len(cases), len(golden))
	}
}

// describeReport is what the golden file holds of a report. What clusterspec says of the specs is tested
// there, and is here only as far as it is put into other words.
func describeReport(report *lint.RepositoryReport) string {
	shown := map[string]bool{"duplicate-object": true, "two-management-clusters": true,
		"foreign-object": true}
	for _, rule := range lint.Rules() {
		shown[rule.Name] = true
	}
	var lines []string
	for _, p := range report.Problems {
		switch {
		case shown[p.Rule]:
			lines = append(lines, fmt.Sprintf("%s %s: %s", p.Severity, p.Rule, p))
		case p.Rule == "unquoted-version" || p.Rule == "not-yaml":
			lines = append(lines,
				fmt.Sprintf("%s %s: %s:%d:%d", p.Severity, p.Rule, p.File, p.Line, p.Column))
		}
	}
	for _, c := range report.Changes {
		line := fmt.Sprintf("%s: %s %s of %s in %s", c.Verdict, c.Object, c.Field, c.Cluster, c.Fleet)
		if c.Field != "" {
			line += fmt.Sprintf(": %q to %q", c.Old, c.New)
		}
		if c.Message != "" && c.Field == "" {
			line += ": " + c.Message
		}
		lines = append(lines, line)
	}
	for _, f := range report.Fleets {
		if f.Broken {
			lines = append(lines, "Flux applies nothing of "+f.Path)
		}
	}
	return strings.Join(lines, "\n")
}

// TestCheckRepository_withoutBase shows what a base would say better.
func TestCheckRepository_withoutBase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(repository)
		want   string
	}{
		"nothing": {func(r repository) { r.remove("clusters") }, "error no-clusters: there is no cluster " +
			"in the repository; expected <path>/<cluster>/eksa-system/eksa-cluster.yaml"},
		"no Flux": {
			func(r repository) { r.remove(flux) },
			"error flux-missing: clusters/dev/dev/eksa-system/eksa-cluster.yaml:33:3: Cluster dev: " +
				"spec.gitOpsRef: Flux's own files are missing; a Flux that was installed from them removes " +
				"itself; expected clusters/dev/flux-system/gotk-components.yaml, gotk-sync.yaml, " +
				"kustomization.yaml",
		},
		"no management cluster": {
			func(r repository) { r.remove(root + "/dev") },
			`warning no-management-cluster: clusters/dev/w01/eksa-system/eksa-cluster.yaml:34:11: Cluster w01: spec.managementCluster.name: the management cluster has no directory here; found "dev"; expected clusters/dev/dev/eksa-system/eksa-cluster.yaml`,
		},
		"workload clusters only": {
			func(r repository) { r.remove(root + "/dev"); r.remove(flux) },
			`warning no-management-cluster: clusters/dev/w01/eksa-system/eksa-cluster.yaml:34:11: Cluster w01: spec.managementCluster.name: neither the management cluster nor Flux has a directory here; only Flux on that cluster applies these files; found "dev"; expected clusters/dev/dev/eksa-system/eksa-cluster.yaml`,
		},
	} {
		r := newRepository(t)
		test.damage(r)
		if got := describeReport(check(t, lint.Tree(r), nil)); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, test.want)
		}
	}
}

// TestCheckRepository_firstCommit compares with a state before there was any cluster.
func TestCheckRepository_firstCommit(t *testing.T) {
	t.Parallel()
	report := check(t, lint.Tree(newRepository(t)), lint.Tree{})
	for _, p := range report.Problems {
		if p.Rule != "cluster-created" || p.Severity != clusterspec.SeverityNotice {
			t.Error(p)
		}
	}
	if len(report.Problems) != 3 || len(report.Changes) != 15 {
		t.Errorf("%d problems, %d changes", len(report.Problems), len(report.Changes))
	}
}

// TestCheckRepository_within reports what is in one directory, with the rest of the fleet known.
func TestCheckRepository_within(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	for _, name := range []string{"w01", "w02"} {
		r.replace(root+"/"+name+"/eksa-system/eksa-cluster.yaml", "count: 2", "cuont: 2")
	}
	for within, want := range map[string][]string{
		"": {root + "/w01", root + "/w02"}, ".": {root + "/w01", root + "/w02"},
		root: {root + "/w01", root + "/w02"}, root + "/w02": {root + "/w02"},
		root + "/w02/eksa-system": {root + "/w02"}, flux: nil, "docs": {""}, "clusters/dev2": {""},
	} {
		report, err := lint.CheckRepository(lint.Tree(r), nil, lint.Options{Within: within})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range report.Problems {
			got = append(got, strings.TrimSuffix(p.File, "/eksa-system/eksa-cluster.yaml"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", within, report.Problems, want)
		}
	}
}

// TestCheckRepository_goldenTrees lints every tree that package layout writes.
func TestCheckRepository_goldenTrees(t *testing.T) {
	t.Parallel()
	files, err := fixture.Glob("../../testdata/layout/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden trees: %v", err)
	}
	for _, file := range files {
		content, err := fixture.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		golden := txtar.Parse(content)
		r := repository{}
		for _, f := range golden.Files[1:] {
			dir, base := filepath.Split(f.Name)
			namespace := filepath.Base(dir)
			switch base {
			case "without-gitops":
				continue
			case layout.ComponentsFile:
				f.Data = []byte(strings.ReplaceAll(components, "flux-system", namespace))
			case layout.SyncFile:
				f.Data = []byte(strings.NewReplacer("./clusters/dev", "./"+filepath.Dir(filepath.Clean(dir)),
					"flux-system", namespace).Replace(syncFor(golden)))
			}
			r.put(f.Name, string(f.Data))
		}
		workload := strings.Contains(file, "-workload-")
		problems := check(t, lint.Tree(r), nil).Problems
		for _, p := range problems {
			if p.Severity == clusterspec.SeverityError || p.Rule != "no-management-cluster" &&
				p.Rule != "deprecated" && p.Rule != "vsphere" && p.Rule != "release" {
				t.Errorf("%s: %s %s", file, p.Rule, p)
			}
		}
		if alone := slices.ContainsFunc(problems, func(p clusterspec.Problem) bool {
			return p.Rule == "no-management-cluster"
		}); alone != workload {
			t.Errorf("%s: %v", file, problems)
		}
	}
}

// syncFor is Flux's sync manifest for the branch and the repository of a golden tree.
func syncFor(golden *txtar.Archive) string {
	text := string(golden.Files[0].Data)
	branch, url := "main", "ssh://git@github.com/octo/fleet"
	if found := regexp.MustCompile(`branch: (\S+)`).FindStringSubmatch(text); found != nil {
		branch = found[1]
	}
	if found := regexp.MustCompile(`repositoryUrl: (\S+)`).FindStringSubmatch(text); found != nil {
		url = found[1]
	}
	return strings.NewReplacer("branch: main", "branch: "+branch, "ssh://git@github.com/octo/fleet",
		url).Replace(sync)
}

// FuzzCheckRepository reads files of Flux's and kustomize's that anybody may have written in a pull request:
// it ends, whatever is in them.
func FuzzCheckRepository(f *testing.F) {
	f.Add(listing, sync)
	f.Add("a: &a [*a]\nresources: *a\n",
		"a: &a {b: *a}\nkind: Kustomization\nmetadata: {name: flux-system}\n")
	f.Add("resources: {}\npatches: [[]]\nbases: [..]\n", "kind: GitRepository\n---\n- 1\n")
	f.Add("<<<<<<< a\n>>>>>>> b\n", "%YAML 9\n")
	f.Fuzz(func(t *testing.T, listing, sync string) {
		r := repository{}
		r.put(w01+"/kustomization.yaml", listing)
		r.put(w01+"/eksa-cluster.yaml", "")
		r.put(flux+"/kustomization.yaml", listing)
		r.put(flux+"/gotk-sync.yaml", sync)
		r.put(flux+"/gotk-components.yaml", sync)
		base := maps.Clone(r)
		base.put(flux+"/gotk-sync.yaml", sync+"\n# changed\n")
		check(t, lint.Tree(r), lint.Tree(base))
	})
}

// BenchmarkCheckRepository checks 1,000 clusters, alone and against a base in which one is different.
func BenchmarkCheckRepository(b *testing.B) {
	tree, base := fleetOf(b, 1000), fleetOf(b, 1000)
	base.replace(w01+"/eksa-cluster.yaml", "count: 2", "count: 3")
	for name, base := range map[string]lint.Tree{"alone": nil, "base": lint.Tree(base)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				report := check(b, lint.Tree(tree), base)
				if len(report.Fleets[0].Clusters) != 1000 || base != nil && len(report.Changes) != 1 {
					b.Fatalf("%v", report.Problems)
				}
			}
		})
	}
}
