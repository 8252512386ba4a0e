package eksctl

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestSecretsOf(t *testing.T) {
	t.Parallel()
	ini := base64.StdEncoding.EncodeToString([]byte("[Global]\napi-key = AAAAkey\nsecret-key = SSSSsecret\napi-url = http://cs:8080\n"))
	got := secretsOf([]string{
		"EKSA_VSPHERE_PASSWORD=hunter22", "EKSA_VSPHERE_USERNAME=admin", "GOVC_PASSWORD=x", "AWS_SECRET_ACCESS_KEY=wJalr", "AWS_ACCESS_KEY_ID=AKIA1",
		"EKSA_AWS_CREDENTIALS_FILE=/home/x/creds", "SOME_TOKEN=true", "HTTPS_PROXY=http://u:p%40ssw@proxy:3128", "SSH_AUTH_SOCK=/s", "PWD=/dir/x",
		"KEY_PEM_SECRET=-----BEGIN X-----\nMIIabcdefgh\n-----END X-----", "EKSA_CLOUDSTACK_B64ENCODED_SECRET=" + ini,
	})
	for _, want := range []string{"hunter22", "wJalr", "AKIA1", "p@ssw", "p%40ssw", "MIIabcdefgh", "AAAAkey", "SSSSsecret", ini} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	for _, not := range []string{"admin", "x", "/home/x/creds", "true", "/s", "/dir/x", "-----BEGIN X-----", "http://cs:8080"} {
		if slices.Contains(got, not) {
			t.Errorf("%q is taken for a secret", not)
		}
	}
}

// Whatever form a program prints a secret in, and wherever the pieces end in which it comes, it is hidden.
func TestOutput_hides(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hunter22", `p"a'ss\w&<ö`, "with spaces and more than one word, which is long"} {
		encoded, _ := json.Marshal(secret)
		forms := map[string]string{
			"plain": secret, "quoted": fmt.Sprintf("%q", secret), "JSON": string(encoded), "hex": fmt.Sprintf("%x", secret),
			"URL": "https://u:" + url.QueryEscape(secret) + "@host", "shell": "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'",
		}
		for before := range 4 {
			text := strings.Repeat("x", before) + secret
			forms[fmt.Sprintf("base64 at %d", before)] = base64.StdEncoding.EncodeToString([]byte(text + "yy"))
			forms[fmt.Sprintf("base64 for URLs at %d", before)] = base64.RawURLEncoding.EncodeToString([]byte(text))
		}
		for name, form := range forms {
			for size := 1; size <= len(form); size++ {
				var lines []string
				o := &output{redact: newRedactor([]string{secret}), log: io.Discard, line: func(line string) { lines = append(lines, line) }}
				for chunk := range slices.Chunk([]byte("a "+form+" b\n"), size) {
					_, _ = o.Write(chunk)
				}
				o.flush()
				got := strings.Join(lines, "\n")
				if strings.Contains(got, form) || !strings.Contains(got, mask) || !strings.HasPrefix(got, "a ") || !strings.HasSuffix(got, " b") {
					t.Fatalf("%s of %q in pieces of %d: %q", name, secret, size, got)
				}
			}
		}
	}
}

// A line without an end is broken, and a secret at the place where it breaks is hidden all the same.
func TestOutput_longLines(t *testing.T) {
	t.Parallel()
	const secret = "hunter22-hunter22"
	for shift := range 3 * len(secret) {
		var got strings.Builder
		o := &output{redact: newRedactor([]string{secret}), log: io.Discard, line: func(line string) { got.WriteString(line) }}
		_, _ = io.WriteString(o, strings.Repeat(".", maxLine-2*len(secret)+shift)+secret+strings.Repeat(".", maxLine))
		o.flush()
		if strings.Contains(got.String(), "hunter") || strings.Count(got.String(), mask) != 1 {
			t.Fatalf("at %d the secret shows", shift)
		}
	}
}

func TestOutput_withoutSecrets(t *testing.T) {
	t.Parallel()
	var lines []string
	o := &output{redact: newRedactor(nil), log: io.Discard, line: func(line string) { lines = append(lines, line) }}
	_, _ = io.WriteString(o, "one\r\n\n  two\nthree")
	o.flush()
	if !slices.Equal(lines, []string{"one", "  two", "three"}) {
		t.Errorf("%q", lines)
	}
}
