package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// convertOptions are the flags of convert.
type convertOptions struct{ files []string }

// newConvertCmd needs no output flag: its result is a cluster file.
func newConvertCmd(d *deps, run func(context.Context, *deps, *convertOptions) error) *cobra.Command {
	o := &convertOptions{}
	cmd := &cobra.Command{
		Use:   "convert -f FILE",
		Short: "Print a cluster file with a FluxConfig instead of its GitOpsConfig",
		Long: strings.TrimSpace(`
Prints a cluster file with each GitOpsConfig, which EKS Anywhere has deprecated, replaced by the FluxConfig that says the same, and with
the gitOpsRef of its clusters pointing to it. Comments, order and formatting of everything else stay as they are. The file goes to
standard output, the difference to standard error; nothing is changed on disk. A file without GitOpsConfig is printed as it is.

Several files are printed as one, each after a line "--- # FILE". Name the files of a Cluster and of the GitOpsConfig it refers to in
one run, so that both change.`),
		Example: `  eksa-gitops convert -f mgmt.yaml > mgmt-flux.yaml
  eksa-gitops convert -f cluster.yaml -f gitops.yaml > mgmt-flux.yaml
  eksa-gitops convert -f - < mgmt.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.files) == 0 {
				return usagef("a cluster file is needed: -f FILE")
			}
			return run(cmd.Context(), d, o)
		},
	}
	addFilesFlag(cmd, &o.files)
	return cmd
}

func runConvert(ctx context.Context, d *deps, o *convertOptions) error {
	sources, err := d.readFiles(ctx, o.files)
	if err != nil {
		return convertFailed(d, nil, err)
	}
	before := joinSources(sources)
	after, err := clusterspec.Convert(clusterspec.Source{Name: sources[0].Name, Data: before.data})
	if err != nil {
		err = before.placed(err)
	}
	if empty := clusterspec.Empty(sources); len(empty) > 0 {
		problems, _ := errors.AsType[clusterspec.Problems](err)
		err = append(empty, problems...)
	}
	if err != nil {
		return convertFailed(d, sources, err)
	}
	if _, err := d.streams.Data().Write(after); err != nil {
		return err
	}
	names := make([]string, len(sources))
	for i, source := range sources {
		names[i] = source.Name
	}
	if bytes.Equal(before.data, after) {
		printLines(d.streams.Err, "info",
			"nothing to convert: there is no GitOpsConfig in "+strings.Join(names, ", "))
	} else if !d.global.quiet {
		was, is := before.parts(before.data), before.parts(after)
		for i, name := range names {
			if !bytes.Equal(was[i], is[i]) {
				fmt.Fprint(d.streams.Err, paintErrDiff(d.streams, d.diff(name, was[i], is[i])))
			}
		}
	}
	for _, warning := range splitReferences(after) {
		printLines(d.streams.Err, "warning", warning)
	}
	return nil
}

// convertFailed shows what keeps files from being converted. It goes to standard error: standard output is
// for the file.
func convertFailed(d *deps, sources []clusterspec.Source, err error) error {
	var problems clusterspec.Problems
	if !errors.As(err, &problems) {
		return err
	}
	report := diagnostics.Report{Command: "convert", Problems: problems, Sources: map[string][]byte{}}
	for _, source := range sources {
		report.Files = append(report.Files, source.Name)
		report.Sources[source.Name] = source.Data
	}
	if err := report.Write(d.streams.Err, diagnostics.FormatText, d.streams.Color); err != nil {
		return err
	}
	return &reportedError{code: exitSpec}
}

// joined are several files as one, which reads as YAML the same.
type joined struct {
	data       []byte
	sources    []clusterspec.Source
	separators [][]byte // the line before each source but the first
}

// joinSources puts files behind each other, each after a line that names it. One file stays as it is.
func joinSources(sources []clusterspec.Source) *joined {
	j := &joined{sources: sources, separators: make([][]byte, len(sources))}
	for i, source := range sources {
		if i == 0 {
			j.data = slices.Clone(source.Data)
			continue
		}
		if !bytes.HasSuffix(j.data, []byte("\n")) {
			j.data = append(j.data, '\n')
		}
		j.separators[i] = []byte("--- # " + ui.CleanLine(source.Name) + "\n")
		j.data = append(j.data, j.separators[i]...)
		j.data = append(j.data, bytes.TrimPrefix(source.Data, []byte("\uFEFF"))...)
	}
	return j
}

// parts takes the files apart again. A conversion leaves the lines between them alone.
func (j *joined) parts(data []byte) [][]byte {
	parts := make([][]byte, len(j.sources))
	for i := range j.sources[1:] {
		// In a file with CRLF the separator has got one too.
		separator := bytes.TrimSuffix(j.separators[i+1], []byte("\n"))
		part, rest, found := bytes.Cut(data, separator)
		if !found {
			break
		}
		parts[i], data = part, bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n"))
	}
	parts[len(parts)-1] = data
	return parts
}

// placed gives problems with the joined files the file and line where they are.
func (j *joined) placed(err error) error {
	var problems clusterspec.Problems
	if len(j.sources) == 1 || !errors.As(err, &problems) {
		return err
	}
	parts := j.parts(j.data)
	out := slices.Clone(problems)
	for i := range out {
		p := &out[i]
		p.Document = 0
		for k, part := range parts {
			p.File = j.sources[k].Name
			lines := bytes.Count(part, []byte("\n"))
			if p.Line <= lines || k == len(parts)-1 {
				break
			}
			p.Line -= lines + 1
		}
	}
	return out
}

// splitReferences says which clusters and GitOps objects of the result belong to something that was not
// converted with them.
func splitReferences(data []byte) []string {
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: "the result", Data: data}})
	var problems clusterspec.Problems
	errors.As(err, &problems)
	var warnings []string
	for _, p := range problems {
		if p.Rule == "dangling-reference" && strings.HasPrefix(p.Field, "spec.gitOpsRef") {
			warnings = append(warnings, p.Object+" refers to a GitOps object that is in none of the files: "+
				"convert both in one run, with a further -f")
		}
	}
	for _, object := range set.Unused {
		if object.Kind == "FluxConfig" {
			warnings = append(warnings, object.Label()+" belongs to no Cluster in the files: where the "+
				"Cluster is, change spec.gitOpsRef.kind to FluxConfig")
		}
	}
	return warnings
}

// paintErrDiff colours a diff that goes to standard error.
func paintErrDiff(s ui.Streams, diff string) string {
	s.OutTTY = s.ErrTTY
	return ui.PaintDiff(s, diff)
}
