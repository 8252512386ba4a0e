package hint_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// marked are words in which every reference can be told from the text.
type marked struct{}

func (marked) Setting(s hint.Setting) string {
	return fmt.Sprintf("<%s %s %s>", string(s.Option), s.Value, s.Placeholder)
}
func (m marked) Run(r hint.Run) string {
	said := fmt.Sprintf("<%s %q %q", string(r.Do), r.Clusters, r.File)
	for _, setting := range r.With {
		said += " " + m.Setting(setting)
	}
	return said + ">"
}
func (marked) Repeat(r hint.Repeat) string { return "<" + string(r) + ">" }

// The same text is read in the words of the library and in those of a program.
func TestHint_words(t *testing.T) {
	t.Parallel()
	known := hint.Errorf("%s cannot write %s: %w", hint.UpdateFile, "a.yaml", errors.New("no space"))
	for _, tc := range []struct{ hint, library, program hint.Hint }{
		{"see: kubectl get nodes", "see: kubectl get nodes", "see: kubectl get nodes"},
		{"", "", ""},
		{hint.Text("100%% of %q; replace it with %s", "x", hint.Overwrite),
			`100% of "x"; replace it with gitops.CreateOptions.Overwrite`,
			`100% of "x"; replace it with <gitops.CreateOptions.Overwrite  >`},
		{hint.Text("add %s", hint.Build.To("dev", "prod")), "add gitops.Meant.Build = dev,prod",
			"add <gitops.Meant.Build dev,prod >"},
		{hint.Text("say which: %s", hint.ClusterPrivateKey.Any("FILE")),
			"say which: gitops.CreateOptions.Source", "say which: <gitops.CreateOptions.Source  FILE>"},
		{hint.Text("with %s", hint.SparseCheckout.Off()), "with gitops.CreateOptions.SparseCheckout = false",
			"with <gitops.CreateOptions.SparseCheckout false >"},
		{hint.Text("first run: %s", hint.Run{Do: hint.Delete, Clusters: []string{"a", "b"},
			With: []hint.Setting{hint.From.To("git")}}),
			"first run: gitops.Delete for a, b with gitops.DeleteOptions.From = git",
			`first run: <gitops.Delete ["a" "b"] "" <gitops.DeleteOptions.From git >>`},
		{hint.Text("%s", hint.Run{Do: hint.Create, File: "dev.yaml"}), "gitops.Create with dev.yaml",
			`<gitops.Create [] "dev.yaml">`},
		{hint.Text("%s with its file", hint.Run{Do: hint.Create, File: hint.FileAsSaid}),
			"gitops.Create with its file", `<gitops.Create [] "..."> with its file`},
		{hint.Text("%s, then %s", hint.Lint, hint.Again),
			"lint.CheckRepository, then make the same call again",
			`<lint.CheckRepository [] "">, then <make the same call again>`},
		{"a; " + hint.Again.Hint(), "a; make the same call again", "a; <make the same call again>"},
		{hint.Text("it is so: %s", hint.Text("take %s", hint.Adopt)),
			"it is so: take gitops.UpgradeOptions.Adopt", "it is so: take <gitops.UpgradeOptions.Adopt  >"},
		{hint.Text("%v", fmt.Errorf("writing: %w", known)),
			"writing: gitops.UpgradeOptions.UpdateSources cannot write a.yaml: no space",
			"writing: <gitops.UpgradeOptions.UpdateSources  > cannot write a.yaml: no space"},
	} {
		_ = tc.library
		if got := tc.hint.In(marked{}); got != string(tc.program) {
			t.Errorf("in the program's words: %q, want %q", got, tc.program)
		}
	}
}

// Values in a suggested command are quoted, and references are not.
func TestCommand(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ hint, want hint.Hint }{
		{hint.Command("kubectl get %s", "a b"), "kubectl get 'a b'"},
		{hint.Command("git add %s, then %s with %s: %s", "a b", hint.Again, hint.Overwrite, "-x"),
			"git add 'a b', then <make the same call again> with <gitops.CreateOptions.Overwrite  >: ./-x"},
		{hint.Command("%s; or git log %s", hint.Text("use %s", hint.Adopt), []string{"a", "b c"}),
			"use <gitops.UpgradeOptions.Adopt  >; or git log a 'b c'"},
	} {
		if got := tc.hint.In(marked{}); got != string(tc.want) {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// Text from outside cannot make a reference, or break one.
func TestText_fromOutside(t *testing.T) {
	t.Parallel()
	forged := string(hint.Text("%s", hint.Overwrite))
	for _, h := range []hint.Hint{
		hint.Plain(forged), hint.Text("%s", forged), hint.Text("%v", errors.New(forged)),
	} {
		if got := h.In(marked{}); strings.Contains(got, "<") {
			t.Errorf("%q has a reference", got)
		}
	}
	run := hint.Run{Do: hint.Pause, Clusters: []string{forged}}
	if got := hint.Text("%s!", run).In(marked{}); !strings.HasSuffix(got, ">!") {
		t.Errorf("the reference is broken: %q", got)
	}
	for _, broken := range []hint.Hint{
		hint.Hint(forged[:len(forged)-4]), hint.Hint(forged[:4] + "x" + forged[4:]),
	} {
		if got := broken.In(marked{}); got != "" {
			t.Errorf("a broken reference reads %q", got)
		}
	}
}

type (
	plainError  struct{ error }
	hintedError struct{ error }
)

func (plainError) Hint() string      { return "see: git log" }
func (hintedError) Hint() hint.Hint  { return hint.Text("replace it with %s", hint.Overwrite) }
func (e hintedError) Unwrap() error  { return e.error }
func (e plainError) Unwrap() []error { return []error{e.error} }

var _ hint.Hinted = hintedError{}

// Hints are found in whatever wraps the errors that offer them, whether they name anything of ours or not.
func TestOf(t *testing.T) {
	t.Parallel()
	root := errors.New("root")
	err := fmt.Errorf("reading: %w", errors.Join(root, plainError{hintedError{hintedError{root}}}))
	if got := hint.Of(err); got != "see: git log" {
		t.Errorf("the first is %q", got)
	}
	want := []hint.Hint{"see: git log", hint.Text("replace it with %s", hint.Overwrite)}
	if got := hint.AllOf(err); !slices.Equal(got, want) {
		t.Errorf("all are %q", got)
	}
	if hint.Of(nil) != "" || hint.Of(root) != "" || hint.AllOf(nil) != nil {
		t.Error("there is a hint where none is offered")
	}
}

// What an error says has the references of those that it wraps.
func TestMessage(t *testing.T) {
	t.Parallel()
	root := errors.New("root")
	inner := hint.Errorf("%s changes nothing: %w", hint.SparseCheckout, root)
	err := fmt.Errorf("planning: %w; nothing was written", errors.Join(root, inner))
	const sparse = "<gitops.CreateOptions.SparseCheckout  > changes nothing: root"
	want := "planning: root\n" + sparse + "; nothing was written"
	if got := hint.Message(err).In(marked{}); got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
	if got := hint.Message(err).String(); got != err.Error() {
		t.Errorf("the message is %q, and the error %q", got, err)
	}
	outer := hint.Errorf("%s: %w", hint.DryRun, inner)
	if got, want := hint.Message(outer).In(marked{}), "<gitops.Settings.DryRun  >: "+sparse; got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
	if !errors.Is(outer, root) {
		t.Error("the error does not wrap what it is made of")
	}
	if hint.Message(nil) != "" || hint.Message(root) != "root" {
		t.Error("an error without references does not say what it says")
	}
}

// own says what its hint says in a text of its own.
type own struct {
	help hint.Hint
	text string
}

func (o *own) Reword(words hint.Words) { o.text = o.help.In(words) }

// Every Hint of a result is reworded in place, wherever it is.
func TestReword(t *testing.T) {
	t.Parallel()
	type inner struct {
		Hint  hint.Hint
		Other string
		Below *inner
	}
	type outer struct {
		Own    own
		List   []inner
		Map    map[string]inner
		Pair   [2]hint.Hint
		None   *inner
		Err    error
		hidden hint.Hint
		Large  map[string][]byte
	}
	h := hint.Text("%s", hint.Again)
	value := outer{
		Own:  own{help: h},
		List: []inner{{Hint: h, Other: "x", Below: &inner{Hint: h}}}, Map: map[string]inner{"a": {Hint: h}},
		Pair: [2]hint.Hint{"plain", h}, hidden: h, Large: map[string][]byte{"a": nil},
	}
	hint.Reword(&value, marked{})
	const want = "<make the same call again>"
	for at, got := range map[string]hint.Hint{
		"list": value.List[0].Hint, "below": value.List[0].Below.Hint, "map": value.Map["a"].Hint,
		"pair": value.Pair[1], "own": hint.Hint(value.Own.text),
	} {
		if string(got) != want {
			t.Errorf("%s: %q", at, got)
		}
	}
	if value.Pair[0] != "plain" || value.hidden != h {
		t.Errorf("%+v", value)
	}
	hint.Reword(&struct{ Text string }{"none"}, marked{})
}

// The lists of the enumerations are complete, so that who words each of them words all.
func TestEnumerations_complete(t *testing.T) {
	t.Parallel()
	listed := map[string][]string{}
	for _, o := range hint.Operations() {
		listed["Operation"] = append(listed["Operation"], string(o))
	}
	for _, o := range hint.Options() {
		listed["Option"] = append(listed["Option"], string(o))
	}
	for _, r := range hint.Repeats() {
		listed["Repeat"] = append(listed["Repeat"], string(r))
	}
	file, err := parser.ParseFile(token.NewFileSet(), "reference.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string][]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok {
			if of, ok := spec.Type.(*ast.Ident); ok {
				value, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				declared[of.Name] = append(declared[of.Name], value)
			}
		}
		return true
	})
	for _, kind := range []string{"Operation", "Option", "Repeat"} {
		if len(declared[kind]) < 5 || !slices.Equal(declared[kind], listed[kind]) {
			t.Errorf("%s: declared are %q, listed %q", kind, declared[kind], listed[kind])
		}
	}
}
