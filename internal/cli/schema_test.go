package cli_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
)

// checkForms holds what a run has printed against the published schemas, when its command line, or else the
// environment, asks for JSON: its result, and its steps and messages. Every test that runs the program calls
// it, so that nothing is printed that no schema describes.
func checkForms(args []string, getenv func(string) string, stdout, stderr string) error {
	schemas, err := schematest.Published()
	if err != nil {
		return err
	}
	switch lastValue(args, "--output", "-o", getenv("EKSA_GITOPS_OUTPUT")) {
	case "json":
		err = schemas.Check([]byte(stdout))
	case "yaml":
		var text []byte
		if text, err = yaml.YAMLToJSON([]byte(stdout)); err == nil {
			err = schemas.Check(text)
		}
	}
	if err != nil {
		return fmt.Errorf("eksa-gitops %s: %w\n%s", strings.Join(args, " "), err, stdout)
	}
	// convert shows its difference on standard error.
	progress := lastValue(args, "--progress", "", getenv("EKSA_GITOPS_PROGRESS"))
	if progress == "json" && stderr != "" && args[0] != "convert" {
		if err := schemas.Check([]byte(stderr)); err != nil {
			return fmt.Errorf("eksa-gitops %s: %w\n%s", strings.Join(args, " "), err, stderr)
		}
	}
	return nil
}

// lastValue is the value that a flag has on a command line, in whatever form it stands there; without one,
// the given value.
func lastValue(args []string, long, short, value string) string {
	for i, word := range args {
		rest, isShort := strings.CutPrefix(word, short)
		switch {
		case word == long || short != "" && word == short:
			if i+1 < len(args) {
				value = args[i+1]
			}
		case strings.HasPrefix(word, long+"="):
			value = strings.TrimPrefix(word, long+"=")
		case short != "" && isShort:
			value = strings.TrimPrefix(rest, "=")
		}
	}
	return value
}

// unset is an environment without variables.
func unset(string) string { return "" }

// Every command that has -o json is one of a form's, every such form has a schema, and no other schema lies
// about.
func TestForms_everyCommand(t *testing.T) {
	t.Parallel()
	schemas, err := schematest.Published()
	if err != nil {
		t.Fatal(err)
	}
	var listed, names []string
	for _, form := range cli.Forms() {
		names = append(names, form.Name)
		listed = append(listed, form.Commands...)
	}
	slices.Sort(names)
	if have := schemas.Names(); !slices.Equal(have, names) {
		t.Errorf("there are schemas of %v, and forms %v: run make generate", have, names)
	}
	var printing []string
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if output := c.Flags().Lookup("output"); output != nil && strings.Contains(output.Usage, "json") {
			_, path, _ := strings.Cut(c.CommandPath(), " ")
			printing = append(printing, path)
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(cli.Command())
	slices.Sort(listed)
	slices.Sort(printing)
	if !slices.Equal(listed, printing) {
		t.Errorf("-o json is a choice of %q, and the forms are of %q", printing, listed)
	}
}
