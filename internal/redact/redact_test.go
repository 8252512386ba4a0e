package redact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

func TestText(t *testing.T) {
	t.Parallel()
	//lint:ignore SA1007 the error is what is wanted
	_, badPort := url.Parse("https://bob:s3cret/x@git.example.com/fleet")
	for in, want := range map[string]string{
		// What is no secret stays.
		"":                        "",
		"https://github.com/acme": "https://github.com/acme",
		"ssh://git@git.example.com/acme/fleet.git, " +
			"git@github.com:acme/fleet": "ssh://git@git.example.com/acme/fleet.git, " +
			"git@github.com:acme/fleet",
		"ssh://AKIDEXAMPLE@git-codecommit.eu-west-1.amazonaws.com/v1/x": "ssh://AKIDEXAMPLE@git-codecommit.eu-west-1.amazonaws.com/v1/x",
		"https://git@github.com/acme/fleet":                             "https://git@github.com/acme/fleet",
		"https://proxy.example.com/mod/@v/list, write to " +
			"me@example.com": "https://proxy.example.com/mod/@v/list, write to me@example.com",
		"http://[::1]:8080/a@b and http://HOST:PORT": "http://[::1]:8080/a@b and http://HOST:PORT",
		"oci://registry:5000/x:v1@sha256:12":         "oci://registry:5000/x:v1@sha256:12",
		"the token: it is missing; Basic authentication is refused": "the token: it is missing; Basic " +
			"authentication is refused",
		// URLs, well made or not.
		"https://bob:s3cret@git.example.com/fleet":            "https://***@git.example.com/fleet",
		"https://TOKEN@git.example.com/fleet":                 "https://***@git.example.com/fleet",
		"https://TOKEN:x-oauth-basic@git.example.com/fleet":   "https://***@git.example.com/fleet",
		"https://:s3cret@h, socks5://u:s3cret@h:1":            "https://***@h, socks5://***@h:1",
		"HTTPS://bob:s3@cret@h:1/a@b":                         "HTTPS://***@h:1/a@b",
		"https://bob:s3/cret@h/a":                             "https://***@h/a",
		"https://bob:s3cretwhichislo…":                        "https://***",
		"ssh://git:s3cret@h/a":                                "ssh://git:***@h/a",
		"git+ssh://git:s3cret@h/a":                            "git+ssh://git:***@h/a",
		"://bob:s3cret@h":                                     "://***@h",
		"a https://bob:it's@h b":                              "a https://***@h b",
		fmt.Sprintf("%q", `https://bob:a"b\c@h/x`) + ` "y@z"`: `"https://***@h/x" "y@z"`,
		"https://a:b@c,https://d:e@f":                         "https://***@c,https://***@f",
		badPort.
			Error(): `parse "https://***@git.example.com/fleet": invalid port *** after host`,
		"Proxy-Authorization: Basic b3BlcmF0b3I6c2VudGluZWw=":   "Proxy-Authorization: Basic ***",
		"authorization: bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3M.x-": "authorization: bearer ***",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n": "-----BEGIN RSA PRIVATE " +
			"KEY-----***-----END RSA PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMIIE":                "-----BEGIN PRIVATE KEY-----***",
		"the token ghp_0123456789abcdefghijABCDEFGHIJ0123": "the token ***",
	} {
		got := redact.Text(in)
		if got != want {
			t.Errorf("%q\nis %q\nnot %q", in, got, want)
		}
		if again := redact.Text(got); again != got {
			t.Errorf("%q is %q when it is looked at again", got, again)
		}
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"  licenseToken: abc # x":            "  licenseToken: ***# x",
		`+  "licenseToken": "a b",`:          `+  "licenseToken": ***,`,
		"password: 'it is'\nhost: x":         "password: ***\nhost: x",
		"url: https://bob:s3cret@h":          "url: https://***@h",
		"httpProxy: http://proxy.example:80": "httpProxy: http://proxy.example:80",
	} {
		if got := redact.Source(in); got != want {
			t.Errorf("%q is %q, not %q", in, got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"proxy:3128": "proxy:3128", "bob:s3cret@proxy:3128": "***@proxy:3128",
		"TOKEN@proxy:3128": "***@proxy:3128", "http://bob:s3cret@proxy:3128": "http://***@proxy:3128",
		"http://proxy/a@b": "http://proxy/a@b", "": "",
	} {
		if got := redact.Address(in); got != want {
			t.Errorf("%q is %q, not %q", in, got, want)
		}
	}
}

// A known secret is found in every form, also in those of what it is a part of.
func TestRedactor_forms(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hunter22", `p"a'ss\w&<ö`, "line one of it\nand line two of it"} {
		r := redact.New(secret)
		for name, text := range map[string]string{
			"plain": secret, "quoted": fmt.Sprintf("%q", secret), "query": url.QueryEscape(secret),
			"path": url.PathEscape(secret), "hexadecimal": fmt.Sprintf("%x", secret),
			"base64":          base64.StdEncoding.EncodeToString([]byte("operator:" + secret)),
			"base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte("??" + secret)),
		} {
			if got := r.Text("a " + text + " b"); strings.Contains(got, text) ||
				!strings.Contains(got, redact.Mask) {
				t.Errorf("%s of %q: %q", name, secret, got)
			}
		}
	}
	if got := redact.New("line one of it\nand line two of it").Text("+  line one of it\n" +
		"+  and line two of it\n"); got != "+  ***\n+  ***\n" {
		t.Errorf("line by line: %q", got)
	}
	if got := redact.New("test", "true", "abc", "").Text("a true test abc"); got != "a true test abc" {
		t.Errorf("common words are hidden: %q", got)
	}
	if got := (&redact.Redactor{}).Text("https://a:b@c"); got != "https://***@c" {
		t.Errorf("the zero value gives %q", got)
	}
}

// JSON stays JSON, and the names of its fields are no secrets.
func TestRedactor_JSON(t *testing.T) {
	t.Parallel()
	r := redact.New("hunter22", "exitCode", `q"uote\d-one`)
	in := map[string]any{
		"exitCode": 1, "a": []any{"hunter22", "x https://bob:p\"w@h y", true},
		"b": map[string]any{"hunter22 ": `is q"uote\d-one`}, "c": "é<>& ",
	}
	data, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	shown, ok := r.JSON(append(data, '\n'))
	want := map[string]any{"exitCode": 1.0, "a": []any{"***", "x https://***@h y", true},
		"b": map[string]any{"hunter22 ": "is ***"}, "c": "é<>& "}
	var got map[string]any
	if err := json.Unmarshal(shown, &got); err != nil || !ok || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v %v: %s", err, ok, shown)
	}
	for _, text := range []string{"", "x", "{", `{"a":"hunter22"} x`, `"hunter22"`} {
		if same, ok := r.JSON([]byte(text)); ok || string(same) != text {
			t.Errorf("%q is taken for JSON: %q", text, same)
		}
	}
}

func TestAddressSecrets(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://proxy:3128": "[]", "proxy:3128": "[]", "ssh://alice@h": "[]", "ssh://alice:pw@h": "[pw]",
		"http://TOKEN@h":       "[TOKEN]",
		"http://u:p%40ss@h":    "[p%40ss u:p%40ss p@ss u:p@ss]",
		"u:pass@proxy:3128":    "[pass u:pass]",
		"http://u:pa/ss@h:1/x": "[pa/ss u:pa/ss]",
		"http://u:pass@[::1":   "[pass u:pass]",
	} {
		if got := fmt.Sprint(redact.AddressSecrets(in)); got != want {
			t.Errorf("%q: %s, not %s", in, got, want)
		}
	}
}

// Whatever a text is, what is hidden in it stays hidden, and the ranges are those of the text.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"https://a:b@c", "x://\\", "ssh://:@", "://a:b/c@d…", "Basic A1+/=",
		"-----BEGIN PRIVATE KEY-----"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := redact.Source(text)
		for _, r := range redact.Ranges(text) {
			if r[0] < 0 || r[0] >= r[1] || r[1] > len(text) {
				t.Fatalf("range %v of %q", r, text)
			}
		}
		if len(redact.Ranges(text)) == 0 && shown != text {
			t.Errorf("%q is shown as %q", text, shown)
		}
		const secret = "s3cret-of-the-url"
		if with := redact.Text(text + " https://bob:" + secret + "@host"); strings.Contains(with, secret) {
			t.Errorf("%q shows the password: %q", text, with)
		}
	})
}
