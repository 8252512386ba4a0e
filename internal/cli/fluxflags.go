package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// fluxOptions are the flags that choose what of Flux is installed. They are named as those of `flux
// bootstrap` and `eksctl anywhere`.
type fluxOptions struct {
	components []string
	extra      []string
	bundles    string
	sparse     *bool
}

// addFlags adds them to a command that has the given components otherwise.
func (o *fluxOptions) addFlags(cmd *cobra.Command, otherwise string) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.components, "components", nil,
		"Flux's controllers, with commas between them (default: "+otherwise+")")
	flags.StringSliceVar(&o.extra, "components-extra", nil,
		"more of Flux's controllers, such as image-reflector-controller; they are downloaded")
	flags.StringVar(&o.bundles, "bundles", "",
		"Bundles `file` of EKS Anywhere, whose images Flux's controllers get")
	addSwitch(flags, &o.sparse, "sparse-checkout", "have Flux fetch only its own path of the repository, "+
		"or with =false all of it again (default: as it is in Git)")
	names := append(fluxmanifests.DefaultComponents(), "image-reflector-controller",
		"image-automation-controller", "source-watcher")
	for _, name := range []string{"components", "components-extra"} {
		// fails for no flag of that name only
		_ = cmd.RegisterFlagCompletionFunc(name,
			cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	}
}

// read checks the flags and reads the Bundles file.
func (o *fluxOptions) read(ctx context.Context,
	d *deps) (fluxmanifests.ComponentsOptions, map[string]string, error) {
	chosen := fluxmanifests.ComponentsOptions{Components: o.components, ComponentsExtra: o.extra}
	if err := fluxmanifests.CheckComponents(o.components, o.extra); err != nil {
		return chosen, nil, usagef("--components: %w", err)
	}
	if o.bundles == "" {
		return chosen, nil, nil
	}
	content, _, err := localfile.Read(ctx, o.bundles, maxBundles)
	if err != nil && ctx.Err() != nil {
		return chosen, nil, err
	}
	if err != nil {
		return chosen, nil, usagef("--bundles: %w", err)
	}
	bundles, err := fluxmanifests.ReadBundles(content)
	if err != nil {
		return chosen, nil, &bundlesError{file: o.bundles, err: err}
	}
	if order, err := fluxmanifests.CompareVersions(bundles.Version, fluxmanifests.Version); err == nil &&
		order != 0 && d.global.progress != "json" {
		printLines(d.streams.Err, "warning",
			fmt.Sprintf("the images of %s are of Flux %s, and the rest of Flux will be of %s",
				o.bundles, bundles.Version, fluxmanifests.Version))
	}
	return chosen, bundles.Images, nil
}

// maxBundles bounds what is read as a Bundles file; that of a release takes 1 MB.
const maxBundles = 64 << 20

// bundlesError says what is wrong with a Bundles file.
type bundlesError struct {
	file string
	err  error
}

func (e *bundlesError) Error() string {
	return fmt.Sprintf("%s cannot be used as a Bundles file: %v", e.file, e.err)
}
func (e *bundlesError) Unwrap() error { return e.err }
func (e *bundlesError) Hint() string {
	return "give the file that a release of EKS Anywhere names as bundleManifestUrl, or " +
		"bundle-release.yaml of an air-gapped copy"
}

// printFluxChanges says what changed, or would change, in Flux.
func printFluxChanges(out *lines, result *gitops.Result) {
	flux := result.Flux
	if flux == nil {
		return
	}
	for _, change := range flux.Changes {
		out.printf("  Flux        %s", change)
	}
	from := flux.Adopted
	if from == nil {
		return
	}
	out.printf("  taken over  from branch %s of %s, path %s", from.Branch, from.URL, from.Path)
	if from.Record != "" {
		out.printf("              what was there before is kept in Secret %s", from.Record)
	}
	for _, setting := range from.Settings {
		out.printf("              without its %s", setting)
	}
	if len(from.Unmanaged) == 0 {
		return
	}
	out.printf("")
	out.printf("No longer managed through Git; they stay in the cluster:")
	for _, object := range from.Unmanaged {
		out.printf("  %s", object)
	}
	out.printf("To manage them through Git again, commit their manifests below %s, in a directory of their "+
		"own; otherwise delete them with kubectl.", flux.Path)
}
