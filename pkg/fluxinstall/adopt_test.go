package fluxinstall

import (
	"encoding/json"
	"slices"
	"testing"
)

// The patch leaves nothing of an old spec but what the server fills in.
func TestReplacement(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ have, wanted, want string }{
		{`{"url":"a","ref":{"branch":"main"}}`, `{"url":"a","ref":{"branch":"main"}}`, `{}`},
		{`{"url":"a","ref":{"branch":"old","tag":"v1"},"timeout":"60s","verify":{"mode":"HEAD"}}`,
			`{"url":"b","ref":{"branch":"main"},"secretRef":{"name":"s"}}`,
			`{"ref":{"branch":"main","tag":null},"secretRef":{"name":"s"},"url":"b","verify":null}`},
		{`{"decryption":{"provider":"sops"},"prune":true}`, `{"prune":false}`,
			`{"decryption":null,"prune":false}`},
	} {
		var have, wanted map[string]any
		if err := json.Unmarshal([]byte(test.have), &have); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(test.wanted), &wanted); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(replacement(have, wanted, "timeout", "provider"))
		if err != nil || string(got) != test.want {
			t.Errorf("%s → %s: %s (%v), want %s", test.have, test.wanted, got, err, test.want)
		}
	}
}

// A record is found again for the same source, and only for that.
func TestRecordName(t *testing.T) {
	t.Parallel()
	name := recordName(&record{URL: "ssh://git@example.com/a", Branch: "main", Path: "./a"})
	if name != recordName(&record{URL: "ssh://git@example.com/a", Branch: "main", Path: "./a",
		PublicKey: "other", Time: "later"}) {
		t.Error("the same source has two names")
	}
	if name == recordName(&record{URL: "ssh://git@example.com/a", Branch: "main", Path: "./b"}) {
		t.Error("another path has the same name")
	}
}

func TestInventoryOf(t *testing.T) {
	t.Parallel()
	got := InventoryOf([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n" +
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:a\"}\n---\n" +
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b, namespace: c}\n"))
	if want := []string{"_a__Namespace", "_system__a_rbac.authorization.k8s.io_ClusterRole",
		"c_b_apps_Deployment"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
