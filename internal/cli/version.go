package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/buildinfo"
	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

func newVersionCmd(d *deps) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show which build of the program this is",
		Example: "  eksa-gitops version -o json",
		Args:    cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			info := buildinfo.Read(fluxmanifests.Version)
			if output == outputJSON {
				return diagnostics.WriteJSON(d.streams.Out, info)
			}
			_, err := fmt.Fprintf(d.streams.Out, "eksa-gitops %s\n", info.Version)
			if d.global.verbose && err == nil {
				_, err = fmt.Fprintf(d.streams.Out, "commit %s\nbuilt with %s for %s\nFlux %s\n", info.Commit,
					info.GoVersion, info.Platform, info.Flux)
			}
			return err
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}
