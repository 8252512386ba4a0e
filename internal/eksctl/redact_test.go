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

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// Whatever form a program prints a secret in, and wherever the pieces end in which it comes, it is hidden.
func TestOutput_hides(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hunter22", `p"a'ss\w&<ö`,
		"with spaces and more than one word, which is long"} {
		encoded, _ := json.Marshal(secret)
		forms := map[string]string{
			"plain": secret, "quoted": fmt.Sprintf("%q", secret), "JSON": string(encoded),
			"hex": fmt.Sprintf("%x", secret), "URL": "https://u:" + url.QueryEscape(secret) + "@host",
			"shell": "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'",
		}
		for before := range 4 {
			text := strings.Repeat("x", before) + secret
			forms[fmt.Sprintf("base64 at %d", before)] =
				base64.StdEncoding.EncodeToString([]byte(text + "yy"))
			forms[fmt.Sprintf("base64 for URLs at %d", before)] =
				base64.RawURLEncoding.EncodeToString([]byte(text))
		}
		for name, form := range forms {
			for size := 1; size <= len(form); size++ {
				var lines []string
				o := &output{redact: redact.New(secret), log: io.Discard, line: func(line string) {
					lines = append(lines, line)
				}}
				for chunk := range slices.Chunk([]byte("a "+form+" b\n"), size) {
					_, _ = o.Write(chunk)
				}
				o.flush()
				got := strings.Join(lines, "\n")
				if strings.Contains(got, form) || !strings.Contains(got, redact.Mask) ||
					!strings.HasPrefix(got, "a ") || !strings.HasSuffix(got, " b") {
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
		o := &output{redact: redact.New(secret), log: io.Discard, line: func(line string) {
			got.WriteString(line)
		}}
		_, _ = io.WriteString(o,
			strings.Repeat(".", maxLine-2*len(secret)+shift)+secret+strings.Repeat(".", maxLine))
		o.flush()
		if strings.Contains(got.String(), "hunter") || strings.Count(got.String(), redact.Mask) != 1 {
			t.Fatalf("at %d the secret shows", shift)
		}
	}
}

func TestOutput_withoutSecrets(t *testing.T) {
	t.Parallel()
	var lines []string
	o := &output{redact: redact.New(), log: io.Discard, line: func(line string) {
		lines = append(lines, line)
	}}
	_, _ = io.WriteString(o, "one\r\n\n  two\nthree")
	o.flush()
	if !slices.Equal(lines, []string{"one", "  two", "three"}) {
		t.Errorf("%q", lines)
	}
}
