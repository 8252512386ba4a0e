package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
)

// deps is what the commands share. Nothing in it is opened before a command asks, so that help and version
// need no credentials.
type deps struct {
	args      []string // the command line, without the program's name
	streams   ui.Streams
	out       *output // standard output, as streams has it
	lookupEnv func(string) (string, bool)
	environ   []string        // the whole environment, to find variables in it that nobody looks up
	redactor  redact.Redactor // of all that is printed; knows the secrets that the run has met
	global    globalOptions
	settings  []string // where flags that the command line left alone have their values from
}

// newDeps prepares what commands share. Their streams are not the given ones: no secret passes, and what
// cannot be written is remembered.
func newDeps(args []string, streams ui.Streams, lookupEnv func(string) (string, bool)) *deps {
	d := &deps{args: args, streams: streams, out: &output{to: streams.Out}, lookupEnv: lookupEnv}
	d.streams.Out = d.out
	d.redactor.Know(environmentSecrets(lookupEnv)...)
	d.streams = d.streams.Guarded(&d.redactor)
	if d.given("progress", "") == string(ui.ProgressJSON) {
		d.messagesAsJSON()
	}
	return d
}

// globalOptions are the flags of every command.
type globalOptions struct {
	config   string
	progress string
	quiet    bool
	verbose  bool
}

func (d *deps) getenv(name string) string {
	value, _ := d.lookupEnv(name)
	return value
}

// steps is the reporter of a command. The caller closes it.
func (d *deps) steps() *ui.Steps {
	mode := ui.ProgressMode(d.global.progress)
	if d.global.quiet {
		mode = ui.ProgressNone
	}
	return ui.NewSteps(d.streams, mode, d.global.verbose)
}

func newRootCmd(d *deps) *cobra.Command {
	root := &cobra.Command{
		Use:   "eksa-gitops",
		Short: "Turn an EKS Anywhere cluster file into a cluster managed through Git",
		Long: strings.TrimSpace(`
eksa-gitops reads an EKS Anywhere cluster file, puts it into a Git repository (which it creates on GitHub if need be), installs
Flux on the management cluster and waits until Flux has applied exactly the commit it pushed.

Every command can be run again at any time: it looks at what is there and does what is missing. A run that finds nothing to do
writes nothing.

Settings come from flags, then from environment variables (--flux-timeout is EKSA_GITOPS_FLUX_TIMEOUT), then from the
configuration file, then from defaults. Every flag but --yes and --help has its variable, and a value means the same everywhere; a
variable EKSA_GITOPS_* that belongs to no flag is an error. Credentials come from the environment only:

  EKSA_GITHUB_TOKEN             token for GitHub's API and for pushing
  EKSA_GIT_PRIVATE_KEY          private key file for any other Git server, over SSH
  EKSA_GIT_SSH_KEY_PASSPHRASE   its passphrase; asked for on a terminal when it is needed and not set
  EKSA_GIT_KNOWN_HOSTS          known-hosts file with that server's keys, for this program and for Flux; for a GitHub
                                Enterprise server, too, which does not publish its keys
  SSH_AUTH_SOCK                 an SSH agent, beside the private key file or in its place
  EKSA_GITOPS_CLUSTER_PRIVATE_KEY_PASSPHRASE
                                passphrase of the key that --cluster-private-key names

Exit codes: 0 done, 1 unexpected, 2 usage, 3 spec or preflight not acceptable, 4 authentication or permission,
5 partly done (rerun to continue), 7 changes are planned (--dry-run --detailed-exitcode), 130 interrupted, 141 nobody reads the output.`),
		Example: `  eksa-gitops validate -f mgmt.yaml
  eksa-gitops create cluster -f mgmt.yaml
  eksa-gitops status
  eksa-gitops get kubeconfig dev > dev.kubeconfig`,
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := applySettings(cmd, d)
			if d.global.progress == string(ui.ProgressJSON) {
				d.messagesAsJSON()
			}
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&d.global.config, "config", "",
		"configuration `file` (default: eksa-gitops/config.yaml in the user's configuration directory)")
	progress := newEnum(&d.global.progress, string(ui.ProgressAuto), ui.ProgressModes()...)
	flags.Var(progress, "progress", "how steps are shown on standard error: "+progress.choices())
	flags.BoolVarP(&d.global.quiet, "quiet", "q", false, "show warnings and errors only")
	flags.BoolVarP(&d.global.verbose, "verbose", "v", false, "show more detail of every step")
	completeEnum(root, "progress", progress)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, hint: meantFlag(cmd, err)}
	})

	root.AddCommand(
		newCreateCmd(d), newUpgradeCmd(d), newDeleteCmd(d), newPauseCmd(d), newResumeCmd(d), newGetCmd(d),
		newStatusCmd(d, runStatus), newValidateCmd(d, runValidate), newLintCmd(d),
		newConvertCmd(d, runConvert), newVersionCmd(d),
	)
	root.SetIn(d.streams.In)
	root.SetOut(d.streams.Out)
	root.SetErr(d.streams.Err)
	root.InitDefaultCompletionCmd() // asks for the output now
	usageErrors(root)
	return root
}

// usageErrors makes wrong arguments of every command below root usage errors, whatever validator found them.
func usageErrors(root *cobra.Command) {
	for _, c := range allCommands(root) {
		if validate := c.Args; validate != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				if err := validate(cmd, args); err != nil {
					return &usageError{err: err, hint: meantCommand(cmd, args)}
				}
				return nil
			}
		}
	}
}

// newVerbCmd makes a command that only groups others.
func newVerbCmd(verb, short, example string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:     verb,
		Short:   short,
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("%s needs one of: %s", cmd.CommandPath(), strings.Join(subcommandNames(cmd), ", "))
		},
	}
	cmd.AddCommand(subcommands...)
	return cmd
}

func subcommandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// meantCommand is the hint for a word that is no subcommand; empty when none is near.
func meantCommand(cmd *cobra.Command, args []string) string {
	if len(args) == 0 {
		return ""
	}
	if name := spelling.Nearest(args[0], subcommandNames(cmd)); name != "" {
		return fmt.Sprintf("did you mean %s %s?", cmd.CommandPath(), name)
	}
	return ""
}

// meantFlag is the hint for a flag that a command does not have; empty when none is near.
func meantFlag(cmd *cobra.Command, err error) string {
	unknown := new(pflag.NotExistError)
	if !errors.As(err, &unknown) {
		return ""
	}
	word := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		word = short // a long flag after one dash
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if name := spelling.Nearest(word, names); name != "" {
		return fmt.Sprintf("did you mean --%s?", name)
	}
	return ""
}

// enumFlag is a flag with a fixed set of values; it implements [pflag.Value].
type enumFlag struct {
	target *string
	values []string
}

func newEnum(target *string, value string, values ...string) *enumFlag {
	*target = value
	return &enumFlag{target: target, values: values}
}

func (e *enumFlag) String() string { return *e.target }
func (e *enumFlag) Type() string   { return "string" }

func (e *enumFlag) Set(value string) error {
	for _, v := range e.values {
		if v == value {
			*e.target = value
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", e.choices())
}

func (e *enumFlag) choices() string { return strings.Join(e.values, "|") }

func completeEnum(cmd *cobra.Command, name string, e *enumFlag) {
	// It fails only for a flag that was never registered, which the command-tree test would show.
	_ = cmd.RegisterFlagCompletionFunc(name,
		func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return e.values, cobra.ShellCompDirectiveNoFileComp
		})
}

var _ pflag.Value = (*enumFlag)(nil)

// Command returns the command tree for generators of documentation and completions. It is not meant to be
// run.
func Command() *cobra.Command {
	return newRootCmd(&deps{lookupEnv: func(string) (string, bool) { return "", false }})
}
