package gitrepo

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/config"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// ConfiguredIdentity is the user.name and user.email of Git's own configuration of this system and user;
// empty where it has none. The files and their order are those of git-config(1), with GIT_CONFIG_GLOBAL,
// GIT_CONFIG_SYSTEM and GIT_CONFIG_NOSYSTEM, and with what include.path names. Conditional includes depend on
// a work tree, which there is none of here. What cannot be read counts as empty: git itself will complain
// about it.
func ConfiguredIdentity() git.Identity {
	var found git.Identity
	for _, file := range configFiles() {
		readIdentity(&found, file, 0)
	}
	return found
}

// configFiles are the files that git reads, each going before the one in front of it.
func configFiles() []string {
	var files []string
	if skip, err := strconv.ParseBool(os.Getenv("GIT_CONFIG_NOSYSTEM")); err != nil || !skip {
		system, set := os.LookupEnv("GIT_CONFIG_SYSTEM")
		if !set {
			system = "/etc/gitconfig"
		}
		files = append(files, system)
	}
	if global, set := os.LookupEnv("GIT_CONFIG_GLOBAL"); set {
		return append(files, global)
	}
	home, err := os.UserHomeDir()
	if xdg := os.Getenv("XDG_CONFIG_HOME"); xdg != "" {
		files = append(files, filepath.Join(xdg, "git", "config"))
	} else if err == nil {
		files = append(files, filepath.Join(home, ".config", "git", "config"))
	}
	if err == nil {
		files = append(files, filepath.Join(home, ".gitconfig"))
	}
	return files
}

// maxGitFile bounds what is read of a file of git's own on this machine.
const maxGitFile = 64 << 20

// maxIncludes is how deep git follows files that include others.
const maxIncludes = 10

// readIdentity takes over what a file sets, as far as the file can be read.
func readIdentity(found *git.Identity, file string, depth int) {
	if depth > maxIncludes {
		return
	}
	for _, section := range readConfig(file).Sections {
		switch {
		case section.IsName("user"):
			if name := section.Options.Get("name"); name != "" {
				found.Name = name
			}
			if email := section.Options.Get("email"); email != "" {
				found.Email = email
			}
		case section.IsName("include"):
			for _, path := range section.Options.GetAll("path") {
				readIdentity(found, includedPath(path, file), depth+1)
			}
		}
	}
}

// readConfig reads a configuration file of git's, as far as it can be read.
func readConfig(file string) *config.Config {
	parsed := config.New()
	content, err := localfile.ReadRegular(file, maxGitFile)
	if err != nil {
		return parsed
	}
	config.NewDecoder(bytes.NewReader(content)).Decode(parsed) // what stands before a mistake counts
	return parsed
}

// includedPath resolves ~ and paths that are relative to the including file.
func includedPath(path, from string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(from), path)
}
