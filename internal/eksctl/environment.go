package eksctl

import (
	"net/url"
	"slices"
	"strings"
)

// withheld are variables that the child has no need of: its file has no GitOps part, and the cluster it works with is named by flags.
var withheld = []string{
	"EKSA_GITHUB_TOKEN", "EKSA_GIT_PRIVATE_KEY", "EKSA_GIT_SSH_KEY_PASSPHRASE", "EKSA_GIT_KNOWN_HOSTS",
	"GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_ENTERPRISE_TOKEN",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "KUBECONFIG",
}

// ownPrefix begins the variables of this program.
const ownPrefix = "EKSA_GITOPS_"

// childEnvironment is the environment without what the child has no need of.
func childEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(withheld, name) || strings.HasPrefix(name, ownPrefix)
	})
}

// Parts of the names of variables that hold credentials.
var (
	credentialWords    = []string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "APIKEY", "API_KEY", "ACCESS_KEY"}
	credentialSuffixes = []string{"_KEY", "_PASS", "_PWD", "_PAT"}
	// A variable that says where a credential is holds none.
	placeSuffixes = []string{"_FILE", "_PATH", "_DIR", "_URL", "_ENDPOINT", "_NAME"}
)

// isCredential says whether the name of a variable, or of a setting in an INI file, is that of a credential.
func isCredential(name string) bool {
	name = strings.ReplaceAll(strings.ToUpper(name), "-", "_")
	has := func(suffixes []string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
	}
	if has(placeSuffixes) {
		return false
	}
	return has(credentialSuffixes) || slices.ContainsFunc(credentialWords, func(w string) bool { return strings.Contains(name, w) })
}

// secretsOf are the secrets of an environment: values of variables with the name of a credential, what they hold in base64, and the
// passwords in URLs (proxies). Values of fewer than four characters, and truth values, are not taken for secrets: hiding them would hide
// half of the output.
func secretsOf(environ []string) []string {
	var found []string
	add := func(value string) {
		if len(value) >= minSecret && !slices.Contains([]string{"true", "false", "none", "null"}, strings.ToLower(value)) {
			found = append(found, value)
		}
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if u, err := url.Parse(value); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				add(password)
				if raw := u.User.String(); strings.Contains(raw, ":") {
					_, encoded, _ := strings.Cut(raw, ":")
					add(encoded)
				}
			}
		}
		if !isCredential(name) {
			continue
		}
		for _, text := range append([]string{value}, decoded(value)...) {
			add(text)
			for line := range strings.Lines(text) {
				line = strings.TrimSpace(line)
				// Output is redacted line by line, so every line of a longer secret is one.
				if text != line && len(line) >= 2*minSecret && !strings.HasPrefix(line, "-----") {
					add(line)
				}
				// EKSA_CLOUDSTACK_B64ENCODED_SECRET holds an INI file.
				if setting, rest, ok := strings.Cut(line, "="); ok && isCredential(strings.TrimSpace(setting)) {
					add(strings.Trim(strings.TrimSpace(rest), `"'`))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

const minSecret = 4
