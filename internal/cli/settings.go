package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

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
	fileKeys, err := readConfig(v, path, explicit)
	if err != nil {
		return err
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

// readConfig reads the file into v and returns the names of its settings, sorted.
func readConfig(v *viper.Viper, path string, explicit bool) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) && !explicit {
			return nil, nil
		}
		return nil, usagef("configuration file: %w", err)
	}
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil {
		return nil, usagef("configuration file %s: %w", path, err)
	}
	keys := v.AllKeys()
	slices.Sort(keys)
	return keys, nil
}
