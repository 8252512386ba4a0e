package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// envPrefix begins the environment variable of every flag: --flux-timeout is EKSA_GITOPS_FLUX_TIMEOUT.
const envPrefix = "EKSA_GITOPS"

// commandLineOnly are the flags that have no variable and no place in the configuration file, and why.
var commandLineOnly = map[string]string{
	"help": "it shows how a command is used in place of running it",
	"yes":  "it answers the question of one deletion; left behind, it would answer that of every later one",
}

// ownVariables begin like those of flags and are none.
var ownVariables = []string{clusterPassphraseVariable}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applySettings gives every flag of cmd that the command line left alone its value from the environment or,
// failing that, from the configuration file. The flag itself parses a text, so that a value means the same
// wherever it came from. A setting that nothing would heed is an error: somebody relies on it.
func applySettings(cmd *cobra.Command, d *deps) error {
	if cmd.Name() == cobra.ShellCompRequestCmd || cmd.Name() == cobra.ShellCompNoDescRequestCmd {
		return nil // a shell asks, which has no use for complaints
	}
	v := viper.New()
	path, explicit, err := configPath(cmd, d)
	if err != nil {
		return err
	}
	var fileKeys []string
	if explicit || !needsNoConfig(cmd) {
		if fileKeys, err = readConfig(cmd, v, path, explicit); err != nil {
			return err
		}
	}
	names := settingNames(cmd)
	problems := unknownVariables(d.environ, names)
	for _, key := range fileKeys {
		if problem := misplaced(key, names); problem != "" {
			problems = append(problems, fmt.Errorf("configuration file %s: %s", path, problem))
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || commandLineOnly[f.Name] != "" {
			return
		}
		if value, ok := d.lookupEnv(envName(f.Name)); ok {
			source := envName(f.Name)
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				problems = append(problems, fmt.Errorf("environment variable %s: invalid value %q: %w",
					source, value, meaningOfValue(f, err)))
			}
			d.settings = append(d.settings, source)
			return
		}
		if !v.IsSet(f.Name) || f.Name == "config" {
			return
		}
		if err := setFromFile(cmd.Flags(), f, v.Get(f.Name)); err != nil {
			problems = append(problems, fmt.Errorf("configuration file %s: %s: %w", path, f.Name, err))
		}
		d.settings = append(d.settings, fmt.Sprintf("%s in %s", f.Name, path))
	})
	if err := errors.Join(problems...); err != nil {
		d.settings = nil // what is wrong is named
		return &usageError{err: err}
	}
	return nil
}

// settingNames are the names of all flags of all commands, sorted: one environment and one file serve them
// all.
func settingNames(cmd *cobra.Command) []string {
	names := map[string]bool{"help": true}
	for _, c := range append(allCommands(cmd.Root()), cmd) {
		c.Flags().VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
	}
	return slices.Sorted(maps.Keys(names))
}

// misplaced says what is wrong with a key of the configuration file; nothing when it is the name of a
// setting.
func misplaced(key string, names []string) string {
	switch {
	case key == "config":
		return "the setting config is this file's own name: use --config or " + envName("config")
	case commandLineOnly[key] != "":
		return fmt.Sprintf("--%s has to be given on the command line: %s", key, commandLineOnly[key])
	case slices.Contains(names, key):
		return ""
	}
	if name := spelling.Nearest(key, names); name != "" {
		return fmt.Sprintf("unknown setting %q; did you mean %q?", key, name)
	}
	return fmt.Sprintf("unknown setting %q; a setting is the name of a flag without its dashes", key)
}

// unknownVariables finds the variables of the environment, given as NAME=VALUE, that begin like ours and that
// nothing would heed.
func unknownVariables(environ, names []string) []error {
	known := slices.Clone(ownVariables)
	refused := map[string]string{}
	for _, name := range names {
		if commandLineOnly[name] != "" {
			refused[envName(name)] = name
		} else {
			known = append(known, envName(name))
		}
	}
	var problems []error
	for _, entry := range environ {
		variable, _, _ := strings.Cut(entry, "=")
		word, ours := strings.CutPrefix(variable, envPrefix+"_")
		if !ours || slices.Contains(known, variable) {
			continue
		}
		if flag := refused[variable]; flag != "" {
			problems = append(problems,
				fmt.Errorf("environment variable %s: --%s has to be given on the command line: %s",
					variable, flag, commandLineOnly[flag]))
			continue
		}
		// The common beginning would make all of them look alike.
		words := make([]string, len(known))
		for i, name := range known {
			words[i] = strings.TrimPrefix(name, envPrefix+"_")
		}
		explanation := "the variable of a flag is " + envPrefix + "_ and its name in capitals, as in " +
			envName("flux-timeout")
		if near := spelling.Nearest(word, words); near != "" {
			explanation = fmt.Sprintf("did you mean %s_%s?", envPrefix, near)
		}
		problems = append(problems, fmt.Errorf("unknown environment variable %s; %s", variable, explanation))
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// setFromFile sets a flag to a value of the configuration file: a text as on the command line, or a list
// where the flag takes several.
func setFromFile(flags *pflag.FlagSet, f *pflag.Flag, value any) error {
	items, isList := value.([]any)
	if !isList {
		text, err := scalarText(value)
		if err != nil {
			return err
		}
		if err := flags.Set(f.Name, text); err != nil {
			return fmt.Errorf("invalid value %q: %w", text, meaningOfValue(f, err))
		}
		return nil
	}
	list, takesSeveral := f.Value.(pflag.SliceValue)
	if !takesSeveral {
		return errors.New("must be one value, not a list")
	}
	texts := make([]string, len(items))
	for i, item := range items {
		text, err := scalarText(item)
		if err != nil {
			return err
		}
		texts[i] = text
	}
	f.Changed = true
	return list.Replace(texts)
}

// scalarText is the text of a value of a YAML file.
func scalarText(value any) (string, error) {
	switch value.(type) {
	case string, bool, int, int64, uint64, float64:
		return fmt.Sprint(value), nil
	}
	return "", errors.New("must be a text, a number, true or false")
}

// meaningOfValue says in plain words why a flag did not take a value.
func meaningOfValue(f *pflag.Flag, err error) error {
	switch f.Value.Type() {
	case "bool":
		return errors.New("must be true or false")
	case "duration":
		return errors.New("must be a time such as 90s, 15m or 1h30m")
	case "stringSlice":
		return errors.New(
			"must be values with commas between them, and double quotes only around whole values")
	}
	// pflag repeats flag and value.
	if invalid := new(pflag.InvalidValueError); errors.As(err, &invalid) {
		return invalid.Unwrap()
	}
	return err
}

// allCommands is the tree below and including root.
func allCommands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		all = append(all, allCommands(c)...)
	}
	return all
}

// ofWholeRun is the context of a command, with the time limit that the command line gives it.
func ofWholeRun(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	limit, err := cmd.Flags().GetDuration("timeout")
	if err != nil || limit <= 0 {
		return context.WithCancel(cmd.Context()) // it has none
	}
	return context.WithTimeoutCause(cmd.Context(), limit, &timeoutError{limit: limit})
}

// configPath is the configuration file to read: --config, EKSA_GITOPS_CONFIG, else eksa-gitops/config.yaml in
// the user's configuration directory. explicit says that the user named it, so that it has to exist.
func configPath(cmd *cobra.Command, d *deps) (path string, explicit bool, err error) {
	if f := cmd.Flags().Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), true, nil
	}
	if path, ok := d.lookupEnv(envName("config")); ok {
		return path, true, nil
	}
	dir, ok := d.lookupEnv("XDG_CONFIG_HOME")
	if !ok || dir == "" {
		home, err := os.UserConfigDir()
		if err != nil {
			// No home directory, as in some containers: there is no configuration file then.
			return "", false, nil
		}
		dir = home
	}
	return filepath.Join(dir, "eksa-gitops", "config.yaml"), false, nil
}

// needsNoConfig says whether a command does without settings that nobody has named: it has to work whatever
// the home directory is like.
func needsNoConfig(cmd *cobra.Command) bool {
	for c := cmd; c.HasParent(); c = c.Parent() {
		if !c.Parent().HasParent() {
			return slices.Contains([]string{"version", "completion", "help",
				cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd},
				c.Name())
		}
	}
	return true // the program's name alone prints the help
}

// maxConfig bounds what is read as a configuration file.
const maxConfig = 1 << 20

// readConfig reads the file into v and returns the names of its settings, sorted. A file that nobody has
// named, in a place that cannot be looked at, is one that is not there: a home directory may be anything.
func readConfig(cmd *cobra.Command, v *viper.Viper, path string, explicit bool) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	if info, err := os.Stat(path); !explicit && (err != nil || !info.Mode().IsRegular()) {
		return nil, nil
	}
	ctx, cancel := ofWholeRun(cmd)
	defer cancel()
	content, _, err := localfile.Read(ctx, path, maxConfig)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return nil, usagef("configuration file: %w", err)
	}
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(content)); err != nil {
		return nil, usagef("configuration file %s: %w", path, err)
	}
	keys := v.AllKeys()
	slices.Sort(keys)
	return keys, nil
}
