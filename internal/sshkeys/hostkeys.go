package sshkeys

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// KnownHostsForKeys makes known_hosts lines for the host of an ssh:// URL out of host keys in authorized_keys
// form, such as GitHub publishes them. Keys of kinds that are not known here are left out; one has to remain.
// A port other than 22 is part of the name, as OpenSSH writes it.
func KnownHostsForKeys(remoteURL string, keys []string) ([]byte, error) {
	u, err := ParseURL(remoteURL)
	if err != nil {
		return nil, err
	}
	address := knownhosts.Normalize(u.Address())
	if len(keys) == 0 {
		return nil, fmt.Errorf("there are no host keys for %s", address)
	}
	var lines strings.Builder
	for _, text := range keys {
		// One of a kind that is not known here is of no use, and no reason to do without the others.
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text)); err == nil {
			lines.WriteString(knownhosts.Line([]string{address}, key) + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil, fmt.Errorf("none of the host keys for %s is of a known kind", address)
	}
	return []byte(lines.String()), nil
}
