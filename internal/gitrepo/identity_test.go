package gitrepo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Who git says the user is, the program says too. It cannot be parallel: the environment is the input.
func TestConfiguredIdentity(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string // below the home directory
		env   map[string]string // HOME in a value is the home directory
		want  git.Identity
	}{
		{name: "nothing"},
		{
			name: "home",
			files: map[string]string{".gitconfig": "[user]\n\tname = Ann Example\n" +
				"\temail = \"ann@example.com\" # work\n"},
			want: git.Identity{Name: "Ann Example", Email: "ann@example.com"},
		},
		{
			name: "both files, home wins",
			files: map[string]string{
				".config/git/config": "[user]\nname = X\nemail = x@example.com\n",
				".gitconfig":         "[User]\nName = Ann\n",
			},
			want: git.Identity{Name: "Ann", Email: "x@example.com"},
		},
		{
			name: "XDG_CONFIG_HOME",
			files: map[string]string{"xdg/git/config": "[user]\nname = Ann\n",
				".config/git/config": "[user]\nname = Not me\n"},
			env:  map[string]string{"XDG_CONFIG_HOME": "HOME/xdg"},
			want: git.Identity{Name: "Ann"},
		},
		{
			name: "includes, the later wins",
			files: map[string]string{
				".gitconfig": "[user]\nname = A\n[include]\npath = ~/work.conf\n[core]\npager = less\n" +
					"[includeIf \"gitdir:~/x/\"]\npath = never.conf\n",
				"work.conf": "[user]\nname = Ann\nname = Ann W\n[include]\npath = sub/mail.conf\n" +
					"path = missing.conf\n",
				"never.conf":    "[user]\nname = Never\n",
				"sub/mail.conf": "[user]\nemail = ann@example.com\n",
			},
			want: git.Identity{Name: "Ann W", Email: "ann@example.com"},
		},
		{
			name: "GIT_CONFIG_GLOBAL",
			files: map[string]string{".gitconfig": "[user]\nname = Not me\n",
				"other": "[user]\nemail = ann@example.com\n"},
			env:  map[string]string{"GIT_CONFIG_GLOBAL": "HOME/other"},
			want: git.Identity{Email: "ann@example.com"},
		},
		{
			name: "GIT_CONFIG_SYSTEM",
			files: map[string]string{".gitconfig": "[user]\nname = Ann\n",
				"system": "[user]\nname = S\nemail = s@example.com\n"},
			env:  map[string]string{"GIT_CONFIG_SYSTEM": "HOME/system", "GIT_CONFIG_NOSYSTEM": "false"},
			want: git.Identity{Name: "Ann", Email: "s@example.com"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			for _, name := range []string{"XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM",
				"GIT_CONFIG_COUNT", "GIT_DIR"} {
				unsetenv(t, name)
			}
			t.Setenv("HOME", home)
			t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			for name, value := range test.env {
				t.Setenv(name, strings.ReplaceAll(value, "HOME", home))
			}
			for name, content := range test.files {
				path := filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := gitrepo.ConfiguredIdentity(); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if got := (git.Identity{Name: gitConfig(t, home, "user.name"),
				Email: gitConfig(t, home, "user.email")}); got != test.want {
				t.Errorf("git itself says %+v, want %+v", got, test.want)
			}
		})
	}
}

// A file that includes itself, and one with a mistake in it, end nowhere else than here.
func TestConfiguredIdentity_broken(t *testing.T) {
	home := t.TempDir()
	unsetenv(t, "XDG_CONFIG_HOME")
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	file := filepath.Join(home, "config")
	t.Setenv("GIT_CONFIG_GLOBAL", file)
	if err := os.WriteFile(file, []byte("[user]\nname = Ann\n[include]\npath = config\n[\nemail = x\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := gitrepo.ConfiguredIdentity(), (git.Identity{Name: "Ann"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func unsetenv(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // puts it back in the end
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

// gitConfig asks git itself, in a directory that is no repository.
func gitConfig(t *testing.T, dir, key string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "config", "--get", key)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) { // it is not wrapped
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(out), "\n")
}
