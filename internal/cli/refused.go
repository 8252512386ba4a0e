package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/jsonform"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// given is the value of a flag as the words of a command line have it, or else its variable; the last one
// counts. It is for what has to be known of a command line that cannot be understood.
func (d *deps) given(name, short string) string {
	value := d.getenv(envName(name))
	for i, word := range d.args {
		long, isLong := strings.CutPrefix(word, "--"+name)
		rest, isShort := strings.CutPrefix(word, "-"+short)
		switch {
		case word == "--":
			return value
		case word == "--"+name, short != "" && word == "-"+short:
			if i+1 < len(d.args) {
				value = d.args[i+1]
			}
		case isLong && strings.HasPrefix(long, "="):
			value = long[1:]
		case short != "" && isShort && !strings.HasPrefix(word, "--"):
			value = strings.TrimPrefix(rest, "=")
		}
	}
	return value
}

// printRefused gives -o json and -o yaml their one object for a run that ended before it printed any: a
// command line that cannot be understood, a spec that does not pass, a server that does not answer. The error
// itself goes to standard error as well.
func (d *deps) printRefused(cmd *cobra.Command, err error, code exitCode) error {
	format := d.given("output", "o")
	if output := cmd.Flags().Lookup("output"); output != nil && output.Changed {
		format = output.Value.String()
	}
	object := refusedObject(strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()), " "),
		err, code)
	if result, ok := object.(*gitops.Result); ok {
		dry := cmd.Flags().Lookup("dry-run")
		result.DryRun = dry != nil && dry.Value.String() == "true"
	}
	switch format {
	case outputJSON:
		return diagnostics.WriteJSON(d.streams.Out, object)
	case outputYAML:
		encoded, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		_, err = d.streams.Out.Write(encoded)
		return err
	}
	return nil
}

// refusedObject is the object of a command, with what it always has and why there is no more.
func refusedObject(command string, err error, code exitCode) any {
	failure := summaryOf(err)
	switch command {
	case "validate":
		return &Validation{Document: diagnostics.Report{Command: command}.Document(), ExitCode: int(code),
			Clusters: []ClusterSummary{}, Failure: failure}
	case "lint":
		return &LintResult{Document: diagnostics.Report{Command: command}.Document(), ExitCode: int(code),
			Fleets: []lint.Fleet{}, Changes: []lint.Change{}, Failure: failure}
	case "get clusters":
		return &ClustersResult{Version: jsonform.Version, Command: command,
			Clusters: []status.ClusterStatus{}, ExitCode: int(code), Failure: failure}
	}
	status := gitops.StatusRefused
	if code == exitInterrupted {
		status = gitops.StatusInterrupted
	}
	return &gitops.Result{
		Version: jsonform.Version, Command: command, Status: status, Clusters: []gitops.ClusterResult{},
		Steps: []step.Result{}, Failure: &gitops.Failure{Message: failure.Message, Hint: failure.Hint},
		ExitCode: int(code),
	}
}

// summaryOf is what the JSON forms say of an error.
func summaryOf(err error) *FailureSummary {
	failure := &FailureSummary{Message: text.Plain(err.Error())}
	if hints := hintsOf(err); len(hints) > 0 {
		failure.Hint = hints[0]
	}
	return failure
}
