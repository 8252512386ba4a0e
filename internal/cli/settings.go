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

// notSettings are the flags that make sense on a command line only.
var notSettings = []string{"help", "version", "filename", "config", "dry-run", "yes"}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applySettings gives every flag of cmd that the command line left alone its value from the environment or, failing that, from the
// configuration file. Viper finds the value; the flag itself parses it, so that a bad value is the same error wherever it came from.
func applySettings(cmd *cobra.Command, d *deps) error {
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
	settings := map[string]bool{}
	for _, c := range append(allCommands(cmd.Root()), cmd) {
		c.Flags().VisitAll(func(f *pflag.Flag) { settings[f.Name] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { settings[f.Name] = true })
	}
	for _, name := range notSettings {
		delete(settings, name)
	}
	var problems []error
	for _, key := range fileKeys {
		if !settings[key] {
			explanation := "a setting is the name of a flag without its dashes"
			if name := spelling.Nearest(key, slices.Sorted(maps.Keys(settings))); name != "" {
				explanation = fmt.Sprintf("did you mean %q?", name)
			}
			problems = append(problems, fmt.Errorf("configuration file %s: unknown setting %q; %s", path, key, explanation))
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || slices.Contains(notSettings, f.Name) {
			return
		}
		source := "environment variable " + envName(f.Name)
		value, ok := d.lookupEnv(envName(f.Name))
		if ok {
			v.Set(f.Name, value)
		} else if v.IsSet(f.Name) {
			source = fmt.Sprintf("configuration file %s: %s", path, f.Name)
		} else {
			return
		}
		if list, isList := f.Value.(pflag.SliceValue); isList {
			if err := list.Replace(v.GetStringSlice(f.Name)); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", source, err))
			}
			return
		}
		if err := f.Value.Set(v.GetString(f.Name)); err != nil {
			problems = append(problems, fmt.Errorf("%s: invalid value %q: %w", source, v.GetString(f.Name), err))
			return
		}
		f.Changed = true
	})
	if err := errors.Join(problems...); err != nil {
		return &usageError{err: err}
	}
	return nil
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

// configPath is the configuration file to read: --config, EKSA_GITOPS_CONFIG, else eksa-gitops/config.yaml in the user's
// configuration directory. explicit says that the user named it, so that it has to exist.
func configPath(cmd *cobra.Command, d *deps) (path string, explicit bool, err error) {
	if f := cmd.Flags().Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), true, nil
	}
	if path, ok := d.lookupEnv(envName("config")); ok && path != "" {
		return path, true, nil
	}
	dir, ok := d.lookupEnv("XDG_CONFIG_HOME")
	if !ok || dir == "" {
		home, err := os.UserConfigDir()
		if err != nil {
			// No home directory, as in some containers: there is no configuration file then.
			return "", false, nil //nolint:nilerr // see above
		}
		dir = home
	}
	return filepath.Join(dir, "eksa-gitops", "config.yaml"), false, nil
}

// needsNoConfig says whether a command does without settings that nobody has named: it has to work whatever the home directory is like.
func needsNoConfig(cmd *cobra.Command) bool {
	for c := cmd; c.HasParent(); c = c.Parent() {
		if !c.Parent().HasParent() {
			return slices.Contains([]string{"version", "completion", "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, c.Name())
		}
	}
	return true // the program's name alone prints the help
}

// maxConfig bounds what is read as a configuration file.
const maxConfig = 1 << 20

// readConfig reads the file into v and returns the names of its settings, sorted. A file that nobody has named, in a place that cannot
// be looked at, is one that is not there: a home directory may be anything.
func readConfig(cmd *cobra.Command, v *viper.Viper, path string, explicit bool) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	if info, err := os.Stat(path); !explicit && (err != nil || !info.Mode().IsRegular()) {
		return nil, nil //nolint:nilerr // see above
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
