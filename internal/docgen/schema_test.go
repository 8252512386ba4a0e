package main

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// Undescribed has a field that nobody described.
type Undescribed struct {
	Told   string `json:"told"` // what is told
	Untold string `json:"untold"`
}

// Problem has the name of a type that is in the same schema.
type Problem struct {
	Text   string        `json:"text"`   // what is wrong
	Report status.Report `json:"report"` // has a Problem as well
}

// A schema is not made of a field without a description, or of two types that would be one definition.
func TestSchemas_faults(t *testing.T) {
	t.Chdir("../..")
	for want, value := range map[string]any{
		"docgen.Undescribed.Untold has no comment": Undescribed{},
		"main.Problem and status.Problem have one name": struct {
			Own    Problem       `json:"own"`
			Report status.Report `json:"report"`
		}{},
	} {
		_, err := schemas([]cli.Form{{Name: "x", Value: value}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The schemas are the same each time that they are made.
func TestSchemas_same(t *testing.T) {
	t.Chdir("../..")
	first, err := schemas(cli.Forms())
	if err != nil {
		t.Fatal(err)
	}
	again, err := schemas(cli.Forms())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range first {
		if string(again[name]) != string(content) {
			t.Errorf("%s differs", name)
		}
	}
}
