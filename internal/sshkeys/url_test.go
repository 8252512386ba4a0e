package sshkeys

import (
	"strings"
	"testing"
	"unicode"
)

// Whatever stands for the address of a repository: what is taken is taken the same when it is read again, can
// be no option of a program that it is given to, and no error shows a password.
func FuzzParseURL(f *testing.F) {
	for _, text := range []string{
		"ssh://git@git.example.com:2222/acme/fleet.git", "git@git.example.com:acme/fleet.git", "[::1]:x",
		"git@[fe80::1%25eth0]:~alice/x", "ssh://[::1]:22/~x", "-oProxyCommand=x:y",
		"ssh://-oProxyCommand=x/y", "ssh://git:sentinel@host/x", "ssh://git:sentinel@[host/x",
		"git:sentinel@host:x", "ssh://host/%0ax", "ssh://host/../x", "SSH://h/x?y#z", "ssh://h%2f/x",
		"ssh://git%40@host/x", "ssh://-l@host/x", "\u202essh://h/x", "ssh://h\u200b/x", "ssh://::/0",
		"git:sentinel@host://x", "[::%#]:0",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			if strings.Contains(err.Error(), "sentinel") && strings.Contains(text, ":sentinel@") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if u.Host == "" || strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User, "-") || u.Port < 1 ||
			u.Port > 65535 {
			t.Errorf("%q: %+v", text, u)
		}
		for _, r := range u.Host + u.User + u.Path {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q: %U in %+v", text, r, u)
			}
		}
		again, err := ParseURL(u.String())
		if err != nil {
			t.Fatalf("%q: is %q, which is none: %v", text, u, err)
		}
		if again.Notice = u.Notice; *again != *u {
			t.Errorf("%q: %+v, read again: %+v", text, u, again)
		}
	})
}
