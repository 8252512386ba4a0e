package e2e_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// A sentinel is a secret of a world that must not turn up anywhere but where it belongs.
type sentinel struct {
	name  string // what it is, for messages; never the value
	value []byte
	// belongs are the places that may hold it: objects of the cluster, as "Secret namespace/name".
	belongs []string
	// granted says that "get kubeconfig" gives it out, on request: to standard output and into kubeconfig
	// files.
	granted bool
}

// secrets are the sentinels of the world at this moment: what the environment holds, and the keys and tokens
// in the cluster.
func (w *world) secrets(ctx context.Context) []sentinel {
	w.t.Helper()
	found := []sentinel{{name: "the mark of a private key", value: []byte("PRIVATE KEY-----"),
		belongs: w.keySecrets(), granted: true}}
	add := func(s sentinel) {
		if i := slices.IndexFunc(found,
			func(other sentinel) bool { return bytes.Equal(other.value, s.value) }); i >= 0 {
			found[i].belongs = append(found[i].belongs, s.belongs...)
		} else if len(s.value) >= 8 {
			found = append(found, s)
		}
	}
	add(sentinel{name: "the GitHub token", value: []byte(w.token)})
	for name, value := range w.env {
		if strings.HasSuffix(name, "PASSPHRASE") {
			add(sentinel{name: name, value: []byte(value)})
		}
		if u, err := url.Parse(value); err == nil && strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			password, _ := u.User.Password()
			add(sentinel{name: "the password in " + name, value: []byte(password)})
		}
	}
	// A key may be in the Secret that Flux reads, for that is where the program puts it.
	for _, file := range []string{w.env["EKSA_GIT_PRIVATE_KEY"], w.clusterKeyFile} {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // not given, or not there as a test wants it
		}
		for _, passphrase := range []string{"", w.env["EKSA_GIT_SSH_KEY_PASSPHRASE"], testPassphrase} {
			if material := keyMaterial(content, passphrase); material != nil {
				add(sentinel{name: "the private key " + filepath.Base(file), value: material,
					belongs: w.keySecrets()})
				break
			}
		}
	}
	for _, path := range filepath.SplitList(w.env["KUBECONFIG"]) {
		config, err := clientcmd.LoadFromFile(path)
		if err != nil {
			continue // as a test wants it
		}
		for name, user := range config.AuthInfos {
			add(sentinel{name: "the token of kubeconfig user " + name, value: []byte(user.Token),
				granted: true})
			add(sentinel{name: "the key of kubeconfig user " + name,
				value: keyMaterial(user.ClientKeyData, ""), granted: true})
		}
	}
	for _, s := range w.liveSecrets(ctx) {
		place := []string{"Secret " + s.GetNamespace() + "/" + s.GetName()}
		data, _, _ := unstructured.NestedStringMap(s.Object, "data")
		for key, encoded := range data {
			value, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				w.t.Error(err)
			}
			switch {
			case key == "identity":
				places := w.keySecrets()
				if strings.HasPrefix(s.GetName(), "flux-system-before-") {
					// What a take-over keeps: the key with which somebody else's Flux read its repository,
					// beside where it was.
					places = append(places, place[0])
					add(sentinel{name: "the mark of a private key", value: []byte("PRIVATE KEY-----"),
						belongs: place})
				}
				add(sentinel{name: "the key in " + place[0], value: keyMaterial(value, ""), belongs: places})
			case strings.HasSuffix(s.GetName(), "-kubeconfig"):
				config, err := clientcmd.Load(value)
				if err != nil {
					continue
				}
				for _, user := range config.AuthInfos {
					add(sentinel{name: "the token in " + place[0], value: []byte(user.Token), belongs: place,
						granted: true})
				}
			}
		}
	}
	return found
}

// testPassphrase locks keys of tests.
const testPassphrase = "sentinel-passphrase"

// keySecrets are the Secrets that hold a private key: Flux's, in whatever namespace a test has it.
func (w *world) keySecrets() []string {
	return []string{"Secret flux-system/flux-system", "Secret gitops-system/flux-system",
		"Secret gitops-system/gitops-system"}
}

// keyMaterial is the private part of a key in PEM, nil when it cannot be read: the number that all of the
// key's forms hold.
func keyMaterial(pem []byte, passphrase string) []byte {
	var key any
	var err error
	if passphrase == "" {
		key, err = ssh.ParseRawPrivateKey(pem)
	} else {
		key, err = ssh.ParseRawPrivateKeyWithPassphrase(pem, []byte(passphrase))
	}
	if err != nil {
		return nil
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		material, err := key.Bytes()
		if err != nil {
			return nil
		}
		return bytes.TrimLeft(material, "\x00")
	case *ed25519.PrivateKey:
		return key.Seed()
	case *rsa.PrivateKey:
		return key.D.Bytes()
	}
	return nil
}

// forms are the texts by which a secret is recognised: itself, in hexadecimal, in a URL, and inside something
// encoded in base64, at whatever offset it begins there.
func (s sentinel) forms() [][]byte {
	return append(inBase64(s.value), s.value, []byte(hex.EncodeToString(s.value)),
		[]byte(url.QueryEscape(string(s.value))))
}

// inBase64 is how content looks inside something longer that is encoded, for each of the three ways in which
// its bytes may fall into groups; the characters that depend on the neighbours are left out.
func inBase64(content []byte) [][]byte {
	var forms [][]byte
	for offset := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), content...))
		from, to := (offset*8+5)/6, (offset+len(content))*8/6
		forms = append(forms, []byte(encoded[from:to]))
	}
	return forms
}

// searchable is content with the variants of it that are searched too: without line breaks and spaces, which
// some forms have and others not, with the alphabet that base64 has in URLs put into the usual one, and what
// is encoded in it decoded.
func searchable(content []byte) [][]byte {
	joined, decoded := unbroken(content), decodedRuns(content)
	standard := bytes.ReplaceAll(bytes.ReplaceAll(joined, []byte("-"), []byte("+")), []byte("_"), []byte("/"))
	return [][]byte{content, joined, standard, decoded, unbroken(decoded)}
}

// unbroken is content without line breaks, also those of JSON's strings, and without spaces.
func unbroken(content []byte) []byte {
	content = bytes.ReplaceAll(content, []byte(`\n`), nil)
	return slices.DeleteFunc(content, func(c byte) bool { return c == '\n' || c == '\r' || c == ' ' })
}

// decodedRuns are all long runs of base64 in content, decoded, one after the other.
func decodedRuns(content []byte) []byte {
	const short = 24
	var decoded []byte
	for len(content) > 0 {
		run := 0
		for run < len(content) &&
			(content[run] >= 'a' && content[run] <= 'z' || content[run] >= 'A' && content[run] <= 'Z' ||
				content[run] >= '0' && content[run] <= '9' || content[run] == '+' || content[run] == '/') {
			run++
		}
		if run >= short {
			// What is no base64 decodes up to its first bad character; a run has none but perhaps a last
			// incomplete group.
			plain, err := base64.RawStdEncoding.AppendDecode(decoded, content[:run&^3])
			if err == nil {
				decoded = append(plain, '\n')
			}
		}
		content = content[min(run+1, len(content)):]
	}
	return decoded
}

// in says whether the secret is in content that was made searchable.
func (s sentinel) in(content [][]byte) bool {
	for _, form := range s.forms() {
		for _, variant := range content {
			if bytes.Contains(variant, form) {
				return true
			}
		}
	}
	return false
}

// inspect looks for every secret of the world in everything that a run of the program printed, and in all
// that it may have written: the working directory, which is its home too, the directory for temporary files,
// the objects of all Git repositories, the requests to GitHub, and the objects and events of the cluster.
func (w *world) inspect(args []string, stdout, stderr []byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), time.Minute)
	defer cancel()
	secrets := w.secrets(ctx)
	look := func(where string, content []byte, except func(sentinel) bool) {
		variants := searchable(content)
		for _, s := range secrets {
			if (except == nil || !except(s)) && s.in(variants) {
				w.t.Errorf("eksa-gitops %s: %s is in %s", strings.Join(args, " "), s.name, where)
				if strings.HasPrefix(where, "standard") {
					w.t.Logf("%s", content)
				}
			}
		}
	}
	granted := func(s sentinel) bool { return s.granted }
	if len(args) > 1 && args[0] == "get" && args[1] == "kubeconfig" {
		look("standard output", stdout, granted)
	} else {
		look("standard output", stdout, nil)
	}
	look("standard error", stderr, nil)
	for _, dir := range []string{w.dir, w.tmp} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if w.isKubeconfig(path) {
				look(path, content, granted)
			} else {
				look(path, content, nil)
			}
			return err
		})
		if err != nil {
			w.t.Error(err)
		}
	}
	for _, repo := range w.repositories() {
		objects, err := repo.TryGit(nil, "cat-file", "--batch-all-objects", "--unordered", "--batch")
		if err != nil {
			w.t.Error(err)
		}
		refs, err := repo.TryGit(nil, "for-each-ref")
		if err != nil {
			w.t.Error(err)
		}
		look("the Git repository "+repo.Name(), []byte(objects+refs), nil)
	}
	for _, r := range w.gh.Requests() {
		look("the request "+r.Method+" "+r.Path, []byte(r.Path+"?"+r.Query+"\n"+r.Body), nil)
	}
	if !w.clusterChanged(ctx) {
		return
	}
	for where, content := range w.clusterObjects(ctx) {
		look(where, content, func(s sentinel) bool { return slices.Contains(s.belongs, where) })
	}
}

// isKubeconfig says whether a file is one that "get kubeconfig" writes keys and tokens into, on request: by
// its name, or since KUBECONFIG names it or what it is the older version of.
func (w *world) isKubeconfig(path string) bool {
	if strings.Contains(filepath.Base(path), "kubeconfig") {
		return true
	}
	for _, named := range filepath.SplitList(w.env["KUBECONFIG"]) {
		if target, err := filepath.EvalSymlinks(named); err == nil && strings.HasPrefix(path, target) {
			return true
		}
	}
	return false
}

// clusterChanged says whether anybody wrote to the cluster since it was asked last: reading all of it takes a
// quarter of a second.
func (w *world) clusterChanged(ctx context.Context) bool {
	s := stackOf(w.t)
	now, err := s.Mark(ctx)
	if err != nil {
		return true
	}
	since := w.inspected
	w.inspected = &now
	if since == nil {
		return true
	}
	requests, err := s.MutatingRequests(ctx, "", *since)
	return err != nil || len(requests) > 0
}

// repositories are all of the world's, on its GitHub and on a Git server of its own.
func (w *world) repositories() []*gittest.Repo {
	repos := w.gh.GitRepos()
	if w.gitServer != nil {
		repos = append(repos, w.gitServer.Repos()...)
	}
	return repos
}

// clusterObjects are all objects of the cluster, events included, as JSON, without definitions of kinds:
// those are Flux's own to the byte. A cluster that cannot be reached, as some tests want it, has none.
func (w *world) clusterObjects(ctx context.Context) map[string][]byte {
	w.t.Helper()
	objects := map[string][]byte{}
	for _, list := range w.lists(ctx,
		func(kind schema.GroupVersionKind) bool { return kind.Kind != "CustomResourceDefinition" }) {
		for _, item := range list.Items {
			content, err := item.MarshalJSON()
			if err != nil {
				w.t.Error(err)
			}
			where := item.GetKind() + " " + strings.TrimPrefix(item.GetNamespace()+"/"+item.GetName(), "/")
			objects[where] = append(objects[where], content...)
		}
	}
	return objects
}

// liveSecrets are the cluster's Secrets.
func (w *world) liveSecrets(ctx context.Context) []unstructured.Unstructured {
	w.t.Helper()
	var all []unstructured.Unstructured
	for _, list := range w.lists(ctx,
		func(kind schema.GroupVersionKind) bool { return kind.Group == "" && kind.Kind == "Secret" }) {
		all = append(all, list.Items...)
	}
	return all
}

// lists reads all objects of the chosen kinds.
func (w *world) lists(ctx context.Context,
	choose func(schema.GroupVersionKind) bool) []unstructured.UnstructuredList {
	w.t.Helper()
	s := stackOf(w.t)
	config := s.RESTConfig()
	config.Timeout = 10 * time.Second
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	resources, err := found.ServerPreferredResources()
	if err != nil && len(resources) == 0 {
		return nil // it is down
	}
	var lists []unstructured.UnstructuredList
	for _, group := range resources {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			w.t.Error(err)
		}
		for _, resource := range group.APIResources {
			kind := version.WithKind(resource.Kind)
			if !slices.Contains(resource.Verbs, "list") || !choose(kind) {
				continue
			}
			list := unstructured.UnstructuredList{}
			list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
			if err := s.Client().List(ctx, &list); client.IgnoreNotFound(err) != nil {
				continue // a CRD that is going, or the server
			}
			lists = append(lists, list)
		}
	}
	return lists
}

// The harness finds what it looks for, in whatever form; a search that finds nothing proves nothing
// otherwise.
func TestSentinel_forms(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.ECDSA256)
	file, err := key.File(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	token := sentinel{value: []byte("ghp_0123456789abcdefghij")}
	private := sentinel{value: keyMaterial(pem, "")}
	for name, c := range map[string]struct {
		s       sentinel
		content string
		want    bool
	}{
		"itself": {token, "x ghp_0123456789abcdefghij x", true},
		"a part": {token, "x ghp_0123456789abcdefghi x", false},
		"basic authentication": {token,
			"Basic " + encode([]byte("alice:ghp_0123456789abcdefghij")), true},
		"another user":             {token, encode([]byte("bo:ghp_0123456789abcdefghij!")), true},
		"a user of another length": {token, encode([]byte("bob:ghp_0123456789abcdefghij")), true},
		"twice": {token,
			encode([]byte(`{"auth":"` + encode([]byte("x:ghp_0123456789abcdefghij")) + `"}`)), true},
		"in base64 for URLs": {token,
			base64.URLEncoding.EncodeToString([]byte("??>ghp_0123456789abcdefghij")), true},
		"in hexadecimal":               {token, hex.EncodeToString([]byte("ghp_0123456789abcdefghij")), true},
		"the file":                     {private, string(pem), true},
		"the file in JSON":             {private, fmt.Sprintf("%q", pem), true},
		"the file in a Secret":         {private, encode(pem), true},
		"the public key":               {private, key.AuthorizedKey(), false},
		"the public key's fingerprint": {private, key.Fingerprint(), false},
	} {
		if got := c.s.in(searchable([]byte(c.content))); got != c.want {
			t.Errorf("%s: found %t, want %t", name, got, c.want)
		}
	}
}
