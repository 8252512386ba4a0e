package sshkeys

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// KnownHostsForKeys makes known_hosts lines for the host of an ssh:// URL out of host keys in authorized_keys form, such as GitHub
// publishes them. A port other than 22 is part of the name, as OpenSSH writes it.
func KnownHostsForKeys(remoteURL string, keys []string) ([]byte, error) {
	u, err := url.Parse(remoteURL)
	if err != nil || u.Scheme != "ssh" || u.Hostname() == "" {
		return nil, errors.New("the repository's URL is no ssh:// URL")
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	address := knownhosts.Normalize(u.Hostname() + ":" + port)
	if strings.Contains(u.Hostname(), ":") {
		address = knownhosts.Normalize("[" + u.Hostname() + "]:" + port)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there are no host keys for %s", address)
	}
	var lines strings.Builder
	for _, text := range keys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("reading a host key of %s: %w", address, err)
		}
		lines.WriteString(knownhosts.Line([]string{address}, key) + "\n")
	}
	return []byte(lines.String()), nil
}
