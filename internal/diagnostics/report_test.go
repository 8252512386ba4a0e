package diagnostics_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/fixture"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

var update = flag.Bool("update", false, "write the expected output again")

// problemsOf gives all that is wrong with a file.
func problemsOf(source clusterspec.Source) []clusterspec.Problem {
	set, err := clusterspec.Parse([]clusterspec.Source{source})
	var problems clusterspec.Problems
	errors.As(err, &problems)
	return append(problems, set.Warnings...)
}

func write(t *testing.T, r diagnostics.Report, format string, colour bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Write(&out, format, colour); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWrite_golden shows every form of one report with errors, warnings and a good file.
func TestWrite_golden(t *testing.T) {
	t.Parallel()
	specs := filepath.Join("..", "..", "testdata", "specs")
	report := diagnostics.Report{Command: "validate", Sources: map[string][]byte{}, ToolVersion: "v1.2.3"}
	for _, name := range []string{"invalid/many-mistakes.yaml", "valid/vsphere-low-memory.yaml",
		"invalid/missing-everything.yaml"} {
		data, err := fixture.Read(filepath.Join(specs, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		one := clusterspec.Source{Name: filepath.Base(name), Data: data}
		report.Files, report.Sources[one.Name] = append(report.Files, one.Name), data
		report.Problems = append(report.Problems, problemsOf(one)...)
	}
	report.Files = append(report.Files, "good.yaml")
	for _, tc := range []struct {
		name, format string
		colour       bool
	}{
		{"report.txt", "text", false}, {"report.colour.txt", "text", true}, {"report.json", "json", true},
		{"report.github.txt", "github", true}, {"report.sarif", "sarif", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata", tc.name)
			got := write(t, report, tc.format, tc.colour)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (go test ./internal/diagnostics -update writes it again):\n%s",
					golden, got)
			}
		})
	}
}

func TestWrite_excerpts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("abcdefghi ", 30)
	for _, tc := range []struct {
		name, source string
		problem      clusterspec.Problem
		want         string
	}{
		{
			"a value", "a: 1 # why\n", clusterspec.Problem{Line: 1, Column: 4, Expected: "2"},
			"  |\n1 | a: 1 # why\n  |    ^\n  = expected 2\n",
		},
		{
			"a key", "spec:\n  cillium: {}\n", clusterspec.Problem{Line: 2, Column: 3, Suggestion: "cilium"},
			"  |\n2 |   cillium: {}\n  |   ^^^^^^^ did you mean \"cilium\"?\n",
		},
		{
			"what was found is not repeated when it is marked", "a: 'x'\n", clusterspec.Problem{Line: 1,
				Column: 4, Found: `"x"`, Suggestion: "y"},
			"  |\n1 | a: 'x'\n  |    ^^^ did you mean \"y\"?\n",
		},
		{
			"what was found and is not to be seen", "a: [1]\n", clusterspec.Problem{Line: 1, Column: 1,
				Found: "a list", Expected: "a string"},
			"  |\n1 | a: [1]\n  | ^ found a list\n  = expected a string\n",
		},
		{
			"found and meant", "a: &x b\n", clusterspec.Problem{Line: 1, Column: 4, Found: `"b"`,
				Suggestion: "c"},
			"  |\n1 | a: &x b\n  |    ^^ did you mean \"c\"?\n  = found \"b\"\n",
		},
		{
			"in flow style", "a: {b: c, 'd': \"e\\\"f\"}\n", clusterspec.Problem{Line: 1, Column: 16},
			"  |\n1 | a: {b: c, 'd': \"e\\\"f\"}\n  |                ^^^^^^\n",
		},
		{
			"a plain value in flow style", "a: {b: c d, e: f}\n", clusterspec.Problem{Line: 1, Column: 8},
			"  |\n1 | a: {b: c d, e: f}\n  |        ^^^\n",
		},
		{
			"a value with a colon and a comma", "a: ssh://x:22/a,b\n",
			clusterspec.Problem{Line: 1, Column: 4}, "  |\n1 | a: ssh://x:22/a,b\n  |    ^^^^^^^^^^^^^^\n",
		},
		{
			"after an apostrophe", "it's: [don't, b]\n", clusterspec.Problem{Line: 1, Column: 15},
			"  |\n1 | it's: [don't, b]\n  |               ^\n",
		},
		{
			"tabs", "a:\tb\t# c\n", clusterspec.Problem{Line: 1, Column: 4},
			"  |\n1 | a:    b    # c\n  |       ^\n",
		},
		{
			"wide characters", "名前: 値\n", clusterspec.Problem{Line: 1, Column: 5},
			"  |\n1 | 名前: 値\n  |       ^^\n",
		},
		{
			"combining marks", "e\u0301: e\u0301e\n", clusterspec.Problem{Line: 1, Column: 5},
			"  |\n1 | e\u0301: e\u0301e\n  |    ^^\n",
		},
		{
			"escape sequences and directions", "a: \x1b[31m\u202eb c\n", clusterspec.Problem{Line: 1,
				Column: 10},
			"  |\n1 | a: \\x1b[31m\\u202eb c\n  |                  ^^^\n",
		},
		{
			"CRLF and a byte order mark", "\uFEFFa: 1\r\nb: 2\r\n", clusterspec.Problem{Line: 2, Column: 4},
			"  |\n2 | b: 2\n  |    ^\n",
		},
		{
			"UTF-16", "\xff\xfea\x00:\x00 \x001\x00\n\x00b\x00", clusterspec.Problem{Line: 1, Column: 4},
			"  |\n1 | a: 1\n  |    ^\n",
		},
		{
			"cut on the right", "k: " + long, clusterspec.Problem{Line: 1, Column: 1},
			"  |\n1 | k: " + long[:97] + "...\n  | ^\n",
		},
		{
			"cut on both sides", "k: [" + strings.Repeat("x, ", 100) + "here, " + long + "]",
			clusterspec.Problem{Line: 1, Column: 305}, "  |\n1 | ..." + strings.Repeat("x, ", 10) + "here, " +
				long[:64] + "...\n  |    " + strings.Repeat(" ", 30) + "^^^^\n",
		},
		{
			"the mark is cut with the line", "k: " + long, clusterspec.Problem{Line: 1, Column: 4},
			"  |\n1 | k: " + long[:97] + "...\n  |    " + strings.Repeat("^", 97) + "\n",
		},
		{
			"a column behind the end", "a: 1\n", clusterspec.Problem{Line: 1, Column: 99},
			"  |\n1 | a: 1\n  |     ^\n",
		},
		{
			"no column", "a: 1\n", clusterspec.Problem{Line: 1, Found: "x"},
			"  |\n1 | a: 1\n  = found x\n",
		},
		{
			"a tab where it must not be", "\t\ta: 1\n", clusterspec.Problem{Line: 1,
				Column: 1, Found: "a tab"},
			"  |\n1 |         a: 1\n  | ^^^^^^^^ found a tab\n",
		},
		{
			"a secret", "a: s3cret # x\n", clusterspec.Problem{Rule: "secret", Line: 1, Column: 4},
			"  |\n1 | a: *** # x\n  |    ^^^\n",
		},
		{
			"a password in a URL", "url: ssh://git:s3cret@example.com/x.git\n", clusterspec.Problem{Line: 1,
				Column: 6},
			"  |\n1 | url: ssh://git:***@example.com/x.git\n  |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
		},
		{
			"a password beside the mistake", "{password: 's3 cret', x: 1}\n", clusterspec.Problem{Line: 1,
				Column: 23},
			"  |\n1 | {password: ***, x: 1}\n  |                 ^\n",
		},
		{
			"a secret on a line of its own",
			"kind: Cluster\nspec:\n  licenseToken: |\n    s3cret-of-the-spec\n",
			clusterspec.Problem{Line: 4, Column: 5}, "  |\n4 |     ***\n  |     ^^^\n",
		},
		{
			"in a huge line",
			"[" + strings.Repeat("x, ", 100_000) + "here, " + strings.Repeat("y, ", 100_000) + "]",
			clusterspec.Problem{Line: 1, Column: 300_002}, "  |\n1 | ..." + strings.Repeat("x, ", 10) +
				"here, " + strings.Repeat("y, ", 21) + "y...\n  |    " + strings.Repeat(" ", 30) + "^^^^\n",
		},
		{
			"an empty line", "\n", clusterspec.Problem{Line: 1, Column: 1},
			"  |\n1 |\n  | ^\n",
		},
		{
			"a line that is not there", "a: 1\n", clusterspec.Problem{Line: 9, Column: 1, Expected: "x"},
			" = expected x\n",
		},
		{
			"a wide gutter", strings.Repeat("\n", 99) + "a: 1\n", clusterspec.Problem{Line: 100, Column: 1,
				Expected: "x"},
			"    |\n100 | a: 1\n    | ^\n    = expected x\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.problem.File, tc.problem.Severity, tc.problem.Message = "f.yaml",
				clusterspec.SeverityError, "wrong"
			got := write(t, diagnostics.Report{
				Problems: []clusterspec.Problem{tc.problem}, Files: []string{"f.yaml"},
				Sources: map[string][]byte{"f.yaml": []byte(tc.source)},
			}, "text", false)
			_, got, _ = strings.Cut(got, "\n")
			want := tc.want + "\n1 error in 1 file\n"
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestWrite_order shows sorting, repetitions, problems at one place and problems of no file.
func TestWrite_order(t *testing.T) {
	t.Parallel()
	p := func(severity clusterspec.Severity, file string, line int, message string) clusterspec.Problem {
		return clusterspec.Problem{Severity: severity, File: file, Line: line, Column: min(line, 1),
			Message: message}
	}
	r := diagnostics.Report{
		Files: []string{"b.yaml", "a.yaml", "good.yaml"},
		Problems: []clusterspec.Problem{
			p("warning", "a.yaml", 1, "third"), p("error", "b.yaml", 1, "second"), p("error", "", 0, "first"),
			p("error", "b.yaml", 1, "second"), p("error", "a.yaml", 1, "fourth"), p("error", "zzz.yaml",
				0, "last"),
		},
		Sources: map[string][]byte{"a.yaml": []byte("x: y\n")},
	}
	want := `error: first

error: b.yaml:1:1: second

error: a.yaml:1:1: fourth
  |
1 | x: y
  | ^
warning: a.yaml:1:1: third

error: zzz.yaml: last

4 errors, 1 warning in 3 of 4 files
`
	if got := write(t, r, "text", false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if errors, warnings := r.Counts(); errors != 4 || warnings != 1 {
		t.Errorf("Counts() = %d, %d", errors, warnings)
	}
	if r.Problems[0].Message != "third" {
		t.Error("writing changed the order of the caller's problems")
	}
}

func TestWrite_nothingWrong(t *testing.T) {
	t.Parallel()
	r := diagnostics.Report{Command: "validate", Files: []string{"a.yaml"}}
	if got := write(t, r, "text", true) + write(t, r, "", true) + write(t, r, "github", false); got != "" {
		t.Errorf("text and github are %q, want nothing", got)
	}
	want := `{
  "version": "eksa-gitops/v1",
  "command": "validate",
  "files": [
    "a.yaml"
  ],
  "errors": 0,
  "warnings": 0,
  "problems": []
}
`
	if got := write(t, r, "json", false); got != want {
		t.Errorf("json is\n%s", got)
	}
	if got := write(t, diagnostics.Report{}, "json", false); strings.Contains(got, "null") {
		t.Errorf("json holds null:\n%s", got)
	}
	if got := r.Summary(); got != "no problems in 1 file" {
		t.Errorf("Summary() = %q", got)
	}
	if err := r.Write(&bytes.Buffer{}, "xml", false); err == nil ||
		err.Error() != `there is no format "xml"; formats are text, json, github, sarif` {
		t.Errorf("an unknown format gives %v", err)
	}
}

// TestWrite_hostileText shows that nothing from a file reaches the terminal, a workflow command or JSON as
// anything but text.
func TestWrite_hostileText(t *testing.T) {
	t.Parallel()
	r := diagnostics.Report{
		Files:   []string{"a,b:%.yaml"},
		Sources: map[string][]byte{"a,b:%.yaml": []byte("x: \x1b]0;t\x07\n")},
		Problems: []clusterspec.Problem{{
			Severity: "error", Rule: "x\n::set-output name=a::b", File: "a,b:%.yaml", Line: 1, Column: 4,
			Object: "Cluster \x1b[2J", Field: "spec\u202e", Message: "100%\r\n::error::no", Found: "\u009b2J",
			Expected: "\U000e0001", Suggestion: "\x07",
		}},
	}
	unsafe := regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f-\x{9f}\p{Cf}]`)
	for _, format := range diagnostics.Formats() {
		got := write(t, r, format, false)
		if found := unsafe.FindString(got); found != "" {
			t.Errorf("%s holds %q:\n%s", format, found, got)
		}
	}
	wantGitHub := `::error file=a%2Cb%3A%25.yaml,line=1,col=4,title=eksa-gitops%3A x%0A%3A%3Aset-output name=a%3A%3Ab::Cluster \x1b[2J: spec\u202e: 100%25\x0d%0A::error::no; found \x9b2J; expected \U000e0001; did you mean "\a"?
1 error in 1 file
`
	if got := write(t, r, "github", false); got != wantGitHub {
		t.Errorf("github is\n%s", got)
	}
	r.Problems[0].File = "stdin"
	if got, want := write(t, r, "github", false),
		`::error title=eksa-gitops%3A x%0A%3A%3Aset-output name=a%3A%3Ab::stdin:1:4: Cluster`; !strings.
		HasPrefix(got, want) {
		t.Errorf("github on stdin is\n%s", got)
	}
}

// TestWrite_sarifIsValid holds the SARIF form of the whole corpus of broken files against the schema of SARIF
// 2.1.0.
func TestWrite_sarifIsValid(t *testing.T) {
	t.Parallel()
	paths, err := fixture.Glob("../../testdata/specs/invalid/*.yaml")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	all := diagnostics.Report{Command: "validate"}
	for _, path := range paths {
		data, err := fixture.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Files = append(all.Files, path)
		all.Problems = append(all.Problems, problemsOf(clusterspec.Source{Name: path, Data: data})...)
	}
	all.Problems = append(all.Problems,
		clusterspec.Problem{Severity: "error", Rule: "x", Message: "of the whole run"},
		clusterspec.Problem{Severity: "error", Rule: "x", File: "/a b:c.yaml", Message: "y"})
	for _, r := range []diagnostics.Report{all, {}} {
		log, err := sarif.FromString(write(t, r, "sarif", false))
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Validate(); err != nil {
			t.Error(err)
		}
		if got := len(log.Runs[0].Results); got != len(r.Problems) {
			t.Errorf("%d results, want %d", got, len(r.Problems))
		}
		for _, rule := range log.Runs[0].Tool.Driver.Rules {
			if *rule.ID != "x" && rule.ShortDescription == nil {
				t.Errorf("rule %s has no description", *rule.ID)
			}
		}
	}
}
