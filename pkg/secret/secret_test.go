package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// Every ordinary way of showing a value, alone and inside a struct, shows the mask only.
func TestValue_isNeverShown(t *testing.T) {
	t.Parallel()
	const content = "sentinel-5f3c"
	v := secret.New(content)
	wrapped := struct {
		Token secret.Value
		Ptr   *secret.Value
		inner secret.Value
	}{v, &v, v}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", wrapped)
	}
	encoded, err := json.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	slog.New(slog.NewTextHandler(&out, nil)).Info("run", "token", v, "options", wrapped)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("run", "token", v, "options", wrapped)
	fmt.Fprintln(&out, fmt.Errorf("using %v: %w", v, fmt.Errorf("inner %s", v)))

	shown := out.String()
	for _, form := range []string{content, fmt.Sprintf("%x", content), fmt.Sprintf("%X", content)} {
		if strings.Contains(shown, form) {
			t.Errorf("secret shown as %q in:\n%s", form, shown)
		}
	}
	if got := strings.Count(string(encoded), "***"); got != 2 {
		t.Errorf("json shows %d masks, want 2: %s", got, encoded)
	}
	if v.Reveal() != content || v.IsZero() || !(secret.Value{}).IsZero() {
		t.Error("Reveal and IsZero must tell the truth")
	}
}
