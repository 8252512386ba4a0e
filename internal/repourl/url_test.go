package repourl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/repourl"
)

// What a later step could take for an option, a second line or another host is refused at the first look, and
// no error shows a password.
func TestParse_hostile(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ssh://-oProxyCommand=id/x":        "a host that begins with a dash",
		"ssh://git@-oProxyCommand=id/x":    "a host that begins with a dash",
		"-oProxyCommand=id:x":              "a host that begins with a dash",
		"git@-host:x":                      "a host that begins with a dash",
		"https://-oProxyCommand=id/x":      "a host that begins with a dash",
		"ssh://-oProxyCommand=id@host/x":   "a user that begins with a dash",
		"ssh://%2doProxyCommand=id@host/x": "a user that begins with a dash",
		"ssh://git@host/a%0ab":             "a control character",
		"ssh://git@host/a%0Db":             "a control character",
		"ssh://a%0ab@host/x":               "a control character",
		"ssh://git@host/a%E2%80%AEb":       "a control character or an invisible one",
		"https://host/a%0ab":               "a control character",
		"https://host/a%00":                "a control character",
		"ssh://git@host/a\nb":              "a space or a control character",
		"https://host/a b":                 "a space or a control character",
		"ssh://git@ho$(id)st/x":            "",
		"ssh://git@host'x/y":               "",
		"https://ho;st/x":                  "",
		"ssh://git@host:99999/x":           "the port 99999",
		"https://host:0/x":                 "the port 0",
		"ssh://git:sentinel@host/x":        "a password",
		"https://bob:sentinel@host/x":      "a user, a query or a fragment",
		"https://sentinel@host/x":          "a user, a query or a fragment",
		"https://host/x?token=sentinel":    "a user, a query or a fragment",
		"ssh://git:sentinel@host:port/x":   "malformed",
		"https://bob:sentinel@host:port/x": "malformed",
		"https:///x":                       "malformed",
		"ssh:///x":                         "no host",
		"ssh://git@host":                   "no path",
		"http://host/x":                    "not an SSH URL",
	} {
		var err error
		if strings.HasPrefix(address, "https:") {
			_, err = repourl.ParseHTTPS(address)
		} else {
			_, err = repourl.ParseSSH(address)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
	if _, err := repourl.ParseSSH("https://host/x"); !errors.Is(err, repourl.ErrNotSSH) {
		t.Error(err)
	}
	for address, want := range map[string]string{
		"ssh://git@host/owner/repo.git": "ssh://git@host/owner/repo.git",
		"git@host:owner/repo":           "ssh://git@host/owner/repo",
		"ssh://host:2222/x":             "ssh://git@host:2222/x", "ssh://git@[::1]:22/x": "ssh://git@[::1]/x",
		"git+ssh://git@host/a%20b": "ssh://git@host/a%20b",
	} {
		if u, err := repourl.ParseSSH(address); err != nil || u.String() != want {
			t.Errorf("%q: %v, %v", address, u, err)
		}
	}
}
