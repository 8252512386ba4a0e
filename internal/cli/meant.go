package cli

import (
	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// meantOptions are the flags by which a person says what Flux may do that the run is not about.
type meantOptions struct {
	build          []string
	prune          []string
	restoreMissing bool
}

func (o *meantOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.build, "build", nil, "clusters that may be built although they are only in "+
		"Git, or seem to have been built already, with commas between them, or all")
	flags.StringSliceVar(&o.prune, "prune", nil, "objects that Flux may delete because they are not in Git "+
		"any more, as Kind/NAMESPACE/NAME with commas between them, or all; never clusters")
	flags.BoolVar(&o.restoreMissing, "restore-missing", false, "write the files of running clusters back "+
		"into Git that Flux has applied and that are not there any more")
}

func (o *meantOptions) meant() gitops.Meant {
	return gitops.Meant{Build: o.build, Prune: o.prune, RestoreMissing: o.restoreMissing}
}

// printConsequences says what Flux does with clusters, and deletes, when it applies what is in Git then.
func printConsequences(out *lines, result *gitops.Result) {
	if len(result.Consequences) == 0 {
		return
	}
	out.printf("Flux then:")
	for _, c := range result.Consequences {
		verb := map[facts.ConsequenceKind]string{
			facts.ConsequenceCreate: "creates", facts.ConsequenceChange: "changes",
			facts.ConsequenceDelete: "deletes",
		}[c.Change]
		out.printf("  %-7s  %s", verb, c.Object)
	}
}
