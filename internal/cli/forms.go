package cli

import (
	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// Form is one kind of JSON object that the program prints. Each has its schema in docs/schema, which is made
// from the type.
type Form struct {
	Name     string   // of the schema
	Title    string   // what it is, in a few words
	Commands []string // that print it with -o json; none for what is no command's result
	Value    any      // a zero value of the type
}

// Forms lists all kinds of JSON objects that the program prints, but for SARIF, which has a schema of its
// own. A command that cannot begin and is in no other form prints that of a run.
func Forms() []Form {
	return []Form{
		{"run", "the result of a run, and of any command that could not begin", []string{
			"create cluster", "upgrade cluster", "delete cluster", "pause cluster", "resume cluster",
		}, gitops.Result{}},
		{"status", "what status sees", []string{"status"}, status.Report{}},
		{"get-clusters", "a list of clusters", []string{"get clusters"}, ClustersResult{}},
		{"validate", "what is wrong with cluster files", []string{"validate"}, Validation{}},
		{"lint", "what is wrong with a repository, and what changes do", []string{"lint"}, LintResult{}},
		{"version", "the build of the program", []string{"version"}, buildinfo.Info{}},
		{"event", "a line of --progress json", nil, ui.Event{}},
	}
}
