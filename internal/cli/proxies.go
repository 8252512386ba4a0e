package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// proxyVariables name proxies to the libraries that make connections, with the schemes that these know. They
// take no notice of a value that they cannot read, and go round the proxy. ALL_PROXY counts for SSH, which
// goes through SOCKS only; other programs take other schemes there.
var proxyVariables = []struct {
	names   []string
	schemes []string
}{
	{[]string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"},
		[]string{"http", "https", "socks5", "socks5h"}},
	{[]string{"ALL_PROXY", "all_proxy"}, []string{"socks5", "socks5h", "http", "https"}},
}

// checkProxies refuses a variable that names no proxy that could be used, before anything is sent past it.
// The error names the variable and nothing of its value, in which a password may stand.
func checkProxies(getenv func(string) string) error {
	for _, kind := range proxyVariables {
		for _, name := range kind.names {
			if value := getenv(name); value != "" && !isProxy(value, kind.schemes) {
				return &usageError{
					err: fmt.Errorf("%s is not the address of a proxy", name),
					hint: "write " + kind.schemes[0] + "://HOST:PORT, with USER:PASSWORD@ before the host " +
						"where the proxy asks for it and their special characters as %XX, or " +
						text.Command("unset %s", name),
				}
			}
		}
	}
	return nil
}

func isProxy(value string, schemes []string) bool {
	if !strings.Contains(value, "://") && schemes[0] == "http" {
		value = "http://" + value // as the libraries do
	}
	proxy, err := url.Parse(value)
	if err != nil || proxy.Hostname() == "" || strings.HasSuffix(proxy.Host, ":") ||
		strings.Trim(proxy.Path, "/") != "" || !slices.Contains(schemes, proxy.Scheme) {
		return false
	}
	port, err := strconv.Atoi(proxy.Port())
	return proxy.Port() == "" || err == nil && port > 0 && port < 1<<16
}
