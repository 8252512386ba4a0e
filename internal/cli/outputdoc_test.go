package cli

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// jsonFields are the names of all fields that a value of a type has in its JSON form, at whatever depth, each
// with the struct it is of.
func jsonFields(t reflect.Type, seen map[reflect.Type]bool, add func(owner, name string)) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		jsonFields(t.Elem(), seen, add)
	case reflect.Map:
		jsonFields(t.Elem(), seen, add)
	case reflect.Struct:
		if seen[t] || t.PkgPath() == "time" {
			return
		}
		seen[t] = true
		for field := range fieldsOf(t) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case name == "-", !field.IsExported() && !field.Anonymous:
				continue
			case name != "":
				add(t.String(), name)
			case !field.Anonymous:
				add(t.String(), field.Name)
			}
			jsonFields(field.Type, seen, add)
		}
	}
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// Every field of every JSON form is in docs/output.md, in the section of its command or in one that this
// refers to.
func TestOutput_everyFieldIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string][]string{} // the words of each section that stand as code
	for _, section := range strings.Split(string(doc), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(text, -1) {
			words[strings.ReplaceAll(title, "`", "")] = append(words[strings.ReplaceAll(title, "`", "")],
				regexp.MustCompile(`\w+`).FindAllString(code, -1)...)
		}
	}
	const run, refused = "create cluster -o json", "A run that ends before it begins"
	for _, form := range []struct {
		value    any
		sections []string
	}{
		{gitops.Result{}, []string{run}},
		{status.Report{}, []string{"status -o json", run}},
		{Validation{}, []string{"validate", refused}},
		{LintResult{}, []string{"lint", "validate", refused}},
		{ClustersResult{}, []string{"get clusters -o json|yaml", "status -o json", run, refused}},
		{buildinfo.Info{}, []string{"version -o json"}},
		{ui.Event{}, []string{run}},
	} {
		var known []string
		for _, section := range form.sections {
			if len(words[section]) == 0 {
				t.Errorf("docs/output.md has no section %q", section)
			}
			known = append(known, words[section]...)
		}
		jsonFields(reflect.TypeOf(form.value), map[reflect.Type]bool{}, func(owner, name string) {
			if !slices.Contains(known, name) {
				t.Errorf("field %s of %s is not in docs/output.md under %v", name, owner, form.sections)
			}
		})
	}
}

// A flag, a variable and a setting that cannot be read are told in plain words, whatever kind of value they
// have and of whatever command.
func TestRun_badValuesInPlainWords(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, c := range allCommands(Command()) {
		path := strings.Fields(c.CommandPath())[1:]
		if !c.Runnable() || len(path) == 0 || path[0] == "completion" {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if kind := f.Value.Type(); kind != "bool" && kind != "duration" && kind != "int" {
				return
			}
			for _, value := range []string{"maybe", "99999999999999999999"} {
				var out, told bytes.Buffer
				args := append(slices.Clone(path), "--"+f.Name+"="+value)
				code := Run(t.Context(), args, ui.Streams{In: strings.NewReader(""), Out: &out, Err: &told},
					func(string) (string, bool) { return "", false })
				tried++
				if exitCode(code) != exitUsage || !strings.Contains(told.String(), "--"+f.Name) {
					t.Errorf("eksa-gitops %s: exit code %d\n%s", strings.Join(args, " "), code, told.String())
				}
				for _, word := range []string{"strconv", "parsing ", "time: ", "context "} {
					if strings.Contains(told.String(), word) {
						t.Errorf("eksa-gitops %s speaks as a library does (%q):\n%s",
							strings.Join(args, " "), word, told.String())
					}
				}
			}
		})
	}
	if tried < 40 {
		t.Errorf("only %d values were tried", tried)
	}
}
