package fluxinstall

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// newKey is a key in PEM form and its public half as a line; with a passphrase it is encrypted.
func newKey(t *testing.T, passphrase string) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), authorizedKey(line)
}

func data(pairs ...string) map[string][]byte {
	m := map[string][]byte{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = []byte(pairs[i+1])
	}
	return m
}

func TestWantedSource(t *testing.T) {
	t.Parallel()
	const hosts = "github.com ssh-ed25519 AAAA\n"
	private, public := newKey(t, "")
	given, givenPublic := newKey(t, "")
	locked, lockedPublic := newKey(t, "pass")
	for name, test := range map[string]struct {
		have   map[string][]byte
		source SourceSecret
		want   map[string][]byte
		public string
	}{
		"kept, host keys replaced": {
			data("identity", private, "identity.pub", public, "known_hosts", "old"),
			SourceSecret{KnownHosts: []byte(hosts)},
			data("identity", private, "identity.pub", public, "known_hosts", hosts), public,
		},
		"kept, wrong public half repaired": {
			data("identity", private, "identity.pub", givenPublic, "known_hosts", hosts),
			SourceSecret{KnownHosts: []byte(hosts)},
			data("identity", private, "identity.pub", public, "known_hosts", hosts), public,
		},
		"other entries left alone": {
			data("identity", private, "identity.pub", public, "known_hosts", hosts, "note", "mine"),
			SourceSecret{},
			data("identity", private, "identity.pub", public, "known_hosts", hosts, "note", "mine"), public,
		},
		"encrypted, kept": {
			data("identity", locked, "identity.pub", lockedPublic, "password", "pass", "known_hosts", hosts),
			SourceSecret{KnownHosts: []byte(hosts)},
			data("identity", locked, "identity.pub", lockedPublic, "password", "pass", "known_hosts", hosts),
			lockedPublic,
		},
		"given over kept, its passphrase gone": {
			data("identity", locked, "identity.pub", lockedPublic, "password", "pass", "known_hosts", hosts),
			SourceSecret{PrivateKey: secret.New(given), KnownHosts: []byte(hosts)},
			data("identity", given, "identity.pub", givenPublic, "known_hosts", hosts), givenPublic,
		},
		"given, encrypted": {
			data(),
			SourceSecret{PrivateKey: secret.New(locked), Passphrase: secret.New("pass"),
				KnownHosts: []byte(hosts)},
			data("identity", locked, "identity.pub", lockedPublic, "password", "pass", "known_hosts", hosts),
			lockedPublic,
		},
		"HTTPS": {
			data(),
			SourceSecret{Username: "git", Password: secret.New("token"), Authority: []byte("PEM"),
				KnownHosts: []byte(hosts)},
			data("username", "git", "password", "token", "ca.crt", "PEM"), "",
		},
		"HTTPS, new token, the rest kept": {
			data("username", "git", "password", "old", "ca.crt", "PEM", "identity", private),
			SourceSecret{Username: "git", Password: secret.New("token")},
			data("username", "git", "password", "token", "ca.crt", "PEM", "identity", private), "",
		},
		"back to SSH with the token still there": {
			data("username", "git", "password", "token", "identity", private),
			SourceSecret{KnownHosts: []byte(hosts)}, data("username", "git", "password", "token", "identity",
				private, "identity.pub", public, "known_hosts", hosts),
			public,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, line, err := wantedSource(test.have, &test.source)
			if err != nil {
				t.Fatal(err)
			}
			if line != test.public {
				t.Errorf("public key %q, want %q", line, test.public)
			}
			if !maps.EqualFunc(got, test.want, bytes.Equal) {
				t.Errorf("entries %q, want %q",
					slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(test.want)))
			}
		})
	}
}

func TestWantedSource_generates(t *testing.T) {
	t.Parallel()
	for name, have := range map[string]map[string][]byte{
		"none there":   data(),
		"an empty one": data("identity", "", "identity.pub", "garbage", "known_hosts", "hosts"),
	} {
		for algorithm, prefix := range map[string]string{"": "ecdsa-sha2-nistp384 ",
			"ecdsa": "ecdsa-sha2-nistp384 ", "ed25519": "ssh-ed25519 "} {
			got, public, err := wantedSource(have,
				&SourceSecret{GenerateAlgorithm: algorithm, KnownHosts: []byte("hosts")})
			if err != nil {
				t.Fatal(err)
			}
			key, err := publicKeyFrom(got)
			if err != nil || authorizedKey(key) != public || string(got["identity.pub"]) != public ||
				!strings.HasPrefix(public, prefix) {
				t.Errorf("%s, %s: public key %q, %v", name, algorithm, public, err)
			}
		}
	}
}

// A key that is there stays, unless somebody has chosen another one for the cluster: also when it cannot be
// read just now.
func TestWantedSource_keeps(t *testing.T) {
	t.Parallel()
	private, public := newKey(t, "")
	locked, lockedPublic := newKey(t, "pass")
	given, givenPublic := newKey(t, "")
	unreadable := map[string]map[string][]byte{
		"no key":               data("identity", "garbage"),
		"without a passphrase": data("identity", locked),
		"a wrong passphrase":   data("identity", locked, "password", "wrong"),
	}
	readable := map[string]struct {
		have   map[string][]byte
		public string
	}{
		"plain":  {data("identity", private), public},
		"locked": {data("identity", locked, "password", "pass"), lockedPublic},
	}
	unchosen := map[string]SourceSecret{
		"none given": {Name: "flux-system", Namespace: "gitops"},
		"the operator's": {Name: "flux-system", Namespace: "gitops", PrivateKey: secret.New(given),
			ForWantOfAnother: true},
		"another unwanted": {Name: "flux-system", Namespace: "gitops", PrivateKey: secret.New(given),
			ForWantOfAnother: true, Unwanted: givenPublic},
	}
	chosen := SourceSecret{PrivateKey: secret.New(given)}
	for source, s := range unchosen {
		for name, have := range unreadable {
			_, _, err := wantedSource(have, &s)
			var kept *UnreadableKeyError
			if !errors.As(err, &kept) || !strings.HasPrefix(err.Error(),
				"Secret gitops/flux-system contains a private key that cannot be read (") ||
				strings.Contains(err.Error(), "garbage") || kept.Hint() == "" {
				t.Errorf("%s, %s: error %v", source, name, err)
			}
		}
		for name, r := range readable {
			if got, line, err := wantedSource(r.have, &s); err != nil || line != r.public ||
				!bytes.Equal(got["identity"], r.have["identity"]) {
				t.Errorf("%s, %s: public key %q, error %v", source, name, line, err)
			}
		}
	}
	for name, have := range unreadable {
		if _, line, err := wantedSource(have, &chosen); err != nil || line != givenPublic {
			t.Errorf("chosen, %s: public key %q, error %v", name, line, err)
		}
	}
	for name, r := range readable {
		if _, line, err := wantedSource(r.have, &chosen); err != nil || line != givenPublic {
			t.Errorf("chosen, %s: public key %q, error %v", name, line, err)
		}
		unwanted := SourceSecret{PrivateKey: secret.New(given), ForWantOfAnother: true, Unwanted: r.public}
		if _, line, err := wantedSource(r.have, &unwanted); err != nil || line != givenPublic {
			t.Errorf("unwanted, %s: public key %q, error %v", name, line, err)
		}
	}
}

func TestWantedSource_refused(t *testing.T) {
	t.Parallel()
	locked, _ := newKey(t, "pass")
	for want, source := range map[string]SourceSecret{
		`"dsa" is not a key algorithm`: {GenerateAlgorithm: "dsa"},
		"reading the private key: ":    {PrivateKey: secret.New("garbage")},
		"passphrase protected":         {PrivateKey: secret.New(locked)},
		"x509: decryption password incorrect": {PrivateKey: secret.New(locked),
			Passphrase: secret.New("wrong")},
	} {
		if _, _, err := wantedSource(data(), &source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// secretAPI is an API server with one Secret. Each change is a version; a patch of an older one is a
// conflict.
type secretAPI struct {
	t       *testing.T
	data    map[string]string // base64; nil: there is none
	version int
	writes  []string // method and keys
	// before is called before each write.
	before func(*secretAPI)
}

func (s *secretAPI) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && s.before != nil {
		s.before(s)
	}
	var object struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Data map[string]*string `json:"data"`
	}
	if r.Method != http.MethodGet {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Error(err)
		}
		if err := json.Unmarshal(content, &object); err != nil {
			s.t.Error(err)
		}
	}
	switch {
	case r.Method != http.MethodPost && s.data == nil:
		status(w, 404, "NotFound", "there is none")
		return
	case r.Method == http.MethodPost && s.data != nil:
		status(w, 409, "AlreadyExists", "there is one")
		return
	case r.Method == http.MethodPatch && object.Metadata.ResourceVersion != fmt.Sprint(s.version):
		status(w, 409, "Conflict", "it has been modified")
		return
	case r.Method == http.MethodPost:
		s.data = map[string]string{}
		fallthrough
	case r.Method == http.MethodPatch:
		s.writes = append(s.writes, r.Method+" "+strings.Join(slices.Sorted(maps.Keys(object.Data)), " "))
		for key, value := range object.Data {
			if delete(s.data, key); value != nil {
				s.data[key] = *value
			}
		}
		s.version++
	}
	encoded, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "data": s.data, "metadata": map[string]any{
			"name": "flux-system", "namespace": "gitops", "resourceVersion": fmt.Sprint(s.version)},
	})
	if err != nil {
		s.t.Error(err)
	}
	body(w, string(encoded))
}

func (s *secretAPI) put(data map[string][]byte) {
	s.data = map[string]string{}
	for key, value := range data {
		s.data[key] = base64.StdEncoding.EncodeToString(value)
	}
	s.version++
}

func TestEnsureSourceSecret_createsThenKeeps(t *testing.T) {
	t.Parallel()
	api := &secretAPI{t: t}
	c := apiServer(t, api.serve)
	source := SourceSecret{Namespace: "gitops", KnownHosts: []byte("hosts")}
	first, changed, err := c.EnsureSourceSecret(t.Context(), source)
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	second, changed, err := c.EnsureSourceSecret(t.Context(), source)
	if err != nil || changed || second != first {
		t.Errorf("second time: changed %v, the same key: %v, %v", changed, second == first, err)
	}
	source.KnownHosts = []byte("others")
	if third, changed, err := c.EnsureSourceSecret(t.Context(), source); err != nil || !changed ||
		third != first {
		t.Errorf("other host keys: changed %v, the same key: %v, %v", changed, third == first, err)
	}
	if want := []string{"POST identity identity.pub known_hosts", "PATCH known_hosts"}; !slices.Equal(
		api.writes, want) {
		t.Errorf("writes %q, want %q", api.writes, want)
	}
}

// A password that is not wanted any more goes: else every run would find a difference.
func TestEnsureSourceSecret_removes(t *testing.T) {
	t.Parallel()
	locked, _ := newKey(t, "pass")
	plain, public := newKey(t, "")
	api := &secretAPI{t: t}
	api.put(data("identity", locked, "password", "pass", "known_hosts", "hosts"))
	c := apiServer(t, api.serve)
	source := SourceSecret{Namespace: "gitops", PrivateKey: secret.New(plain)}
	for _, want := range []bool{true, false} {
		got, changed, err := c.EnsureSourceSecret(t.Context(), source)
		if err != nil || changed != want || got != public {
			t.Errorf("changed %v, want %v; key %q, %v", changed, want, got, err)
		}
	}
	if want := []string{"PATCH identity identity.pub password"}; !slices.Equal(api.writes, want) {
		t.Errorf("writes %q, want %q", api.writes, want)
	}
}

// Of two runs at the same time, the one that wrote first has made the key.
func TestEnsureSourceSecret_race(t *testing.T) {
	t.Parallel()
	other, otherPublic := newKey(t, "")
	for name, have := range map[string]map[string][]byte{"none there": nil,
		"one without a key": data("known_hosts", "hosts")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &secretAPI{t: t}
			if have != nil {
				api.put(have)
			}
			api.before = func(s *secretAPI) {
				s.before = nil
				s.put(data("identity", other, "identity.pub", otherPublic, "known_hosts", "hosts"))
			}
			public, changed, err := apiServer(t, api.serve).EnsureSourceSecret(t.Context(),
				SourceSecret{Namespace: "gitops", KnownHosts: []byte("hosts")})
			if err != nil || changed || public != otherPublic {
				t.Errorf("changed %v, the other's key: %v, %v", changed, public == otherPublic, err)
			}
			if len(api.writes) != 0 {
				t.Errorf("writes %q", api.writes)
			}
		})
	}
}

// No error, whatever the server says, shows what is private.
func TestEnsureSourceSecret_saysNothing(t *testing.T) {
	t.Parallel()
	pair, err := sshkeys.Generate("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			status(w, 404, "NotFound", "there is none")
			return
		}
		status(w, 403, "Forbidden",
			`User "dev" cannot create resource "secrets" in API group "" in the namespace "gitops"`)
	})
	_, _, err = c.EnsureSourceSecret(t.Context(),
		SourceSecret{Namespace: "gitops", PrivateKey: pair.PrivatePEM, KnownHosts: []byte("hosts")})
	if !errors.As(err, new(*ForbiddenError)) {
		t.Fatalf("error %v", err)
	}
	for _, line := range strings.Split(pair.PrivatePEM.Reveal(), "\n")[1:] {
		if line != "" && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), line) {
			t.Error("the error shows the key")
		}
	}
}

func TestEnsureNamespace(t *testing.T) {
	t.Parallel()
	var requests counter
	going := strings.Replace(someNamespace, `"name":"a"`,
		`"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"`, 1)
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.next(); {
		case r.Method == http.MethodPost && n == 4:
			body(w, someNamespace)
		case r.Method == http.MethodGet && n <= 2:
			body(w, going)
		case r.Method == http.MethodGet && n == 3:
			status(w, 404, "NotFound", "gone")
		case r.Method == http.MethodGet && n == 5:
			body(w, someNamespace)
		default:
			t.Errorf("request %d: %s %s", n, r.Method, r.URL)
		}
	})
	for _, want := range []bool{true, false} {
		if created, err := c.EnsureNamespace(t.Context(), "a"); err != nil || created != want {
			t.Errorf("created %v, want %v, %v", created, want, err)
		}
	}
}

func TestEnsureNamespace_staysTerminating(t *testing.T) {
	t.Parallel()
	going := strings.Replace(someNamespace, `"name":"a"`,
		`"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"`, 1)
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) { body(w, going) })
	c.backoff.total = 0
	_, err := c.EnsureNamespace(t.Context(), "a")
	const want = "Namespace a is not ready (Terminating): it is being deleted; what is in it has to go " +
		"first; an object with a finalizer whose controller is gone blocks it"
	if !errors.As(err, new(*NotReadyError)) || err.Error() != want {
		t.Errorf("error %T %v", err, err)
	}
}
