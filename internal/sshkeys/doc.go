// Package sshkeys holds what SSH connections to Git servers are made with: private keys from files and
// agents, new key pairs, and the host keys that a known_hosts file vouches for. It opens no connection but
// that to an agent.
//
// It refuses what is not safe any more: DSA keys, RSA keys under 2048 bits, RSA signatures with SHA-1, and a
// host key that no file vouches for. Nothing is trusted on first use, and nothing is read from a place that
// the caller did not name, or written.
//
//	key, err := sshkeys.LoadKey(ctx, path, passphrase)     // *PassphraseError when one is needed or wrong
//	ids, err := sshkeys.Select(ctx, sshkeys.Source{KeyFile: path, AgentSocket: os.Getenv("SSH_AUTH_SOCK")})
//	known, err := sshkeys.ParseKnownHosts(content, path)
//	// *HostKeyError: what was offered, what was expected, and where it says so
//	err = known.Check("git.example.com:22", hostKey)
//	secret := known.LinesFor("git.example.com:22")         // what the cluster has to know
package sshkeys
