package redact_test

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	ini := base64.StdEncoding.EncodeToString([]byte("[Global]\napi-key = AAAAkey\nsecret-key = SSSSsecret\n" +
		"api-url = http://cs:8080\n"))
	got := redact.Environment([]string{
		"EKSA_VSPHERE_PASSWORD=hunter22", "EKSA_VSPHERE_USERNAME=admin", "GOVC_PASSWORD=x",
		"AWS_SECRET_ACCESS_KEY=wJalr", "AWS_ACCESS_KEY_ID=AKIA1", "EKSA_AWS_CREDENTIALS_FILE=/home/x/creds",
		"SOME_TOKEN=true", "HTTPS_PROXY=http://u:p%40ssw@proxy:3128", "SSH_AUTH_SOCK=/s", "PWD=/dir/x",
		"KEY_PEM_SECRET=-----BEGIN X-----\nMIIabcdefgh\n-----END X-----",
		"EKSA_CLOUDSTACK_B64ENCODED_SECRET=" + ini,
	})
	for _, want := range []string{"hunter22", "wJalr", "AKIA1", "p@ssw", "p%40ssw",
		"-----BEGIN X-----\nMIIabcdefgh\n-----END X-----", "AAAAkey", "SSSSsecret", ini} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	for _, not := range []string{"admin", "x", "/home/x/creds", "true", "/s", "/dir/x", "-----BEGIN X-----",
		"http://cs:8080"} {
		if slices.Contains(got, not) {
			t.Errorf("%q is taken for a secret", not)
		}
	}
}
