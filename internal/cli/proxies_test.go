package cli

import (
	"strings"
	"testing"
)

// A proxy that cannot be used is an error with the variable's name and nothing of its value; what the
// libraries take is taken.
func TestCheckProxies(t *testing.T) {
	t.Parallel()
	const password = "sentinel"
	for variable, values := range map[string]map[string]bool{
		"HTTPS_PROXY": {
			"": true, "http://proxy.example.com:3128": true, "proxy.example.com:3128": true, "10.0.0.1": true,
			"https://u:sentinel@proxy": true, "socks5://proxy:1080": true, "http://u:sentinel@": false,
			"http://u:sentinel@proxy:port": false, "http://u:sentinel@proxy:99999": false,
			"ftp://u:sentinel@proxy": false, "http://u:sen%tinel@proxy": false, "://sentinel": false,
			"http://[::1": false, "http://pro xy": false, "http:/proxy": false,
		},
		"https_proxy": {"proxy": true, "http//u:sentinel@proxy": false},
		"HTTP_PROXY":  {"http://proxy": true, "http://%zz": false},
		"ALL_PROXY": {"socks5://proxy:1080": true, "socks5h://u:sentinel@proxy": true,
			"http://u:sentinel@proxy": true, "ftp://proxy": false, "proxy:1080": false, "socks5://": false},
		"all_proxy": {"socks5://proxy": true, "sentinel": false},
	} {
		for value, right := range values {
			err := checkProxies(func(name string) string {
				if name == variable {
					return value
				}
				return ""
			})
			switch {
			case right && err != nil:
				t.Errorf("%s=%s: %v", variable, value, err)
			case !right &&
				(err == nil || exitCodeOf(err) != exitUsage || !strings.Contains(err.Error(), variable)):
				t.Errorf("%s=%s: %v", variable, value, err)
			case !right && strings.Contains(strings.Join(append(hintsOf(err), err.Error()), " "), password):
				t.Errorf("%s=%s: the value is shown: %v", variable, value, err)
			}
		}
	}
}
