package text_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"main": "main", "feature/x": "feature/x",
		"https://github.com/acme/fleet.git": "https://github.com/acme/fleet.git",
		"":                                  "''", "a b": "'a b'", "a;b": "'a;b'", "$(x)": "'$(x)'",
		"it's": `'it'\''s'`, "~": "'~'", "a&b": "'a&b'", "=ls": "'=ls'", "a=b": "a=b", "a\nb": `$'a\012b'`,
		"\x1b[31m": `$'\033[31m'`, "it's\t\\": `$'it\047s\011\134'`, "\u202ex": `$'\342\200\256x'`,
		"\xff": `$'\377'`, "é": "'é'",
	} {
		if got := text.ShellWord(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, format string
		values       []any
	}{
		{"git status", "git status", nil},
		{"kubectl -n flux-system get 'a b'", "kubectl -n %s get %s", []any{"flux-system", "a b"}},
		{"git push '$(x)':refs/heads/main", "git push %s:refs/heads/%s", []any{"$(x)", "main"}},
		{"git rm ./-rf dev 'a;b'", "git rm %s", []any{[]string{"-rf", "dev", "a;b"}}},
		{"create -f -, --x=-y", "create -f %s, --x=%s", []any{"-", "-y"}},
		{"keys/12", "keys/%s", []any{12}},
		{"a %!s(MISSING)", "a %s", nil},
		{"a b%!(EXTRA 1)", "a %s", []any{"b", "c"}},
	} {
		if got := text.Command(tc.format, tc.values...); got != tc.want {
			t.Errorf("%s, not %s", got, tc.want)
		}
	}
}

// hostile are names that somebody else chose.
var hostile = []string{
	"$(touch owned)", "`touch owned`", "'; touch owned; '", `"; touch owned; "`, "\ntouch owned\n",
	"a\r\ntouch owned", "\\'; touch owned #", "a\x1b]0;x\x07' ; touch owned ;'", "a && touch owned",
	"a|touch owned", "a & touch owned", "a > owned", "* ~ {a,b} !x", "$HOME", "\xff'\xfe",
	"\u202e'$(touch owned)'", "-x", "--upload-pack=touch owned", "=ls", "",
}

// Whatever a value is, every shell takes it for one word, runs nothing of it, and those that know the form
// get the value itself. Nothing in it can leave its line or its quotes, also when it has gone through what is
// shown on a terminal.
func TestCommand_inShells(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"sh", "bash", "dash", "zsh", "ksh", "busybox"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			if shell == "sh" {
				t.Fatal(err)
			}
			continue
		}
		for _, value := range hostile {
			args := []string{"-c",
				`list() { printf '%s\0' "$@"; }; ` + text.Command("list begin %s:x %s end", value, value)}
			if shell == "busybox" {
				args = append([]string{"sh"}, args...)
			}
			cmd := exec.CommandContext(t.Context(), path, args...)
			cmd.Dir, cmd.Env = t.TempDir(), []string{"HOME=/nowhere"}
			out, err := cmd.CombinedOutput()
			words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
			if err != nil || len(words) != 4 || words[0] != "begin" || words[3] != "end" {
				t.Errorf("%s: %q is run as %q: %q %v", shell, value, args, out, err)
				continue
			}
			if strings.ContainsAny(args[len(args)-1], "\n\r\x1b") {
				t.Errorf("%q has more than a line: %q", value, args)
			}
			if alone := len(value) > 1 && value[0] == '-'; shell == "bash" && !alone &&
				words[1] != value+":x" {
				t.Errorf("%q comes as %q", value, words[1])
			}
			if made, err := exec.CommandContext(t.Context(), "ls", "-A", cmd.Dir).Output(); err != nil ||
				len(made) > 0 {
				t.Errorf("%s: %q has made %s", shell, value, made)
			}
		}
	}
}
