package fluxinstall

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"golang.org/x/crypto/ssh"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// The keys of a Git Secret, as Flux's source-controller reads them (its documentation, GitRepository "Secret
// reference").
const (
	keyIdentity       = "identity"
	keyIdentityPublic = "identity.pub"
	keyKnownHosts     = "known_hosts"
	keyUsername       = "username"
	keyPassword       = "password" // of the user over HTTPS, of the private key over SSH
	keyAuthority      = "ca.crt"
)

// fieldManager is who owns what the package applies. It is the one of the Flux CLI, so that
// kustomize-controller takes the objects over the way it does after `flux bootstrap`.
const (
	fieldManager      = "flux"
	fieldManagerGroup = "fluxcd.io"
)

// SourceSecret is what Flux reads a repository with: over HTTPS when Username or Password is set, over SSH
// otherwise.
type SourceSecret struct {
	// Namespace and Name say where it is; Name is [fluxmanifests.SourceSecretName] when empty.
	Namespace, Name string
	// PrivateKey is a given key in PEM form; one that the Secret holds already is left as it is, in whatever
	// form. Without a given key, the one in the Secret is kept, and one is made with GenerateAlgorithm
	// (ecdsa, ed25519 or rsa) only when there is none.
	PrivateKey secret.Value
	Passphrase secret.Value // of PrivateKey
	// ForWantOfAnother says that nobody has chosen PrivateKey for this Secret: a key that it holds stays.
	ForWantOfAnother  bool
	GenerateAlgorithm string
	// Unwanted is a public key, in authorized_keys form, whose private key is not kept: it is one of another
	// repository.
	Unwanted string
	// KnownHosts are known_hosts lines; Flux accepts no other host keys. Empty keeps the ones that are there.
	KnownHosts []byte

	// Username and Password are for HTTPS; a hosting service's token is a Password.
	Username string
	Password secret.Value
	// Authority is a PEM certificate authority for HTTPS, besides the ones that Flux's image trusts. Empty
	// keeps the one that is there.
	Authority []byte
}

func (s *SourceSecret) overHTTPS() bool { return s.Username != "" || !s.Password.IsZero() }

// holds says whether the given private key is the one of a public key.
func (s *SourceSecret) holds(public ssh.PublicKey) bool {
	given, err := publicKeyFrom(map[string][]byte{keyIdentity: []byte(s.PrivateKey.Reveal()),
		keyPassword: []byte(s.Passphrase.Reveal())})
	return err == nil && bytes.Equal(given.Marshal(), public.Marshal())
}

// EnsureNamespace creates a namespace if it is not there and says whether it did. One that is being deleted
// is waited for, some time.
func (c *Cluster) EnsureNamespace(ctx context.Context, name string) (created bool, err error) {
	err = c.retry(ctx, func() error {
		existing, err := c.fetch(ctx, namespaceKind(), "", name)
		if err != nil {
			return err
		}
		if existing != nil && existing.GetDeletionTimestamp() != nil {
			return terminating(name, errTerminating)
		}
		if existing != nil {
			return nil
		}
		err = c.client.Create(ctx, namespaceKind().object("", name), client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		created = err == nil
		return err
	})
	return created, err
}

// UnreadableKeyError says that a Secret contains a private key that cannot be read, and that nobody has
// chosen another one for it.
type UnreadableKeyError struct {
	Namespace, Name string
	Reason          string // it holds nothing of the key
}

func (e *UnreadableKeyError) Error() string {
	return fmt.Sprintf("Secret %s/%s contains a private key that cannot be read (%s); eksa-gitops does not "+
		"replace it by itself", e.Namespace, e.Name, e.Reason)
}

// Hint says how it is replaced.
func (e *UnreadableKeyError) Hint() hint.Hint {
	return hint.Command("fix it, or, if nobody needs it any more, delete it and %s: kubectl -n %s delete "+
		"secret %s", hint.Again, e.Namespace, e.Name)
}

// EnsureSourceSecret makes the Secret hold what source says and returns its public key in authorized_keys
// form, or "" over HTTPS. A key that is there is never replaced by a generated one, or by one for want of
// another; when it cannot be read, the error is an *UnreadableKeyError. Other entries of the Secret are left
// alone.
func (c *Cluster) EnsureSourceSecret(ctx context.Context,
	source SourceSecret) (publicKey string, changed bool, err error) {
	source.Name = cmp.Or(source.Name, fluxmanifests.SourceSecretName)
	err = c.retry(ctx, func() error {
		existing, err := c.fetch(ctx, secretKind(), source.Namespace, source.Name)
		if err != nil {
			return err
		}
		publicKey, changed, err = c.writeSource(ctx, existing, &source)
		if apierrors.IsAlreadyExists(err) {
			// Another run was faster; its key counts. Looking again finds it.
			return apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, source.Name, err)
		}
		return err
	})
	return publicKey, changed, err
}

// RemoveSource takes back what a run has made for a source that it could not register: the Secret, as long as
// it still holds the key of publicKey, and, when the run has made that too, the namespace, as long as nothing
// else is in it. It says what it removed and may be repeated.
func (c *Cluster) RemoveSource(ctx context.Context, namespace, publicKey string,
	withNamespace bool) (removed []string, err error) {
	existing, err := c.get(ctx, secretKind(), namespace, fluxmanifests.SourceSecretName)
	if err != nil {
		return nil, err
	}
	if existing != nil {
		holds, err := publicKeyFrom(secretData(existing))
		if err != nil || authorizedKey(holds) != publicKey {
			return nil, nil
		}
		changed, err := c.removeObject(ctx, secretKind(), namespace, fluxmanifests.SourceSecretName)
		if err != nil {
			return nil, err
		}
		if changed {
			removed = append(removed, "Secret "+namespace+"/"+fluxmanifests.SourceSecretName)
		}
	}
	if !withNamespace {
		return removed, nil
	}
	others, err := c.otherContents(ctx, namespace)
	if err != nil || len(others) > 0 {
		return removed, err
	}
	changed, err := c.removeObject(ctx, namespaceKind(), "", namespace)
	if changed {
		removed = append(removed, "namespace "+namespace)
	}
	return removed, err
}

// writeSource writes the difference between what the Secret holds (nil: there is none) and what it should.
func (c *Cluster) writeSource(ctx context.Context, existing *unstructured.Unstructured,
	source *SourceSecret) (publicKey string, changed bool, err error) {
	have := map[string][]byte{}
	if existing != nil {
		have = secretData(existing)
	}
	wanted, publicKey, err := wantedSource(have, source)
	if err != nil {
		return "", false, err
	}
	changes := map[string]any{}
	for key, value := range wanted {
		if old, there := have[key]; !there || !bytes.Equal(old, value) {
			changes[key] = base64.StdEncoding.EncodeToString(value)
		}
	}
	for key := range have {
		if _, stays := wanted[key]; !stays {
			changes[key] = nil
		}
	}
	if existing != nil && len(changes) == 0 {
		return publicKey, false, nil
	}
	object := secretKind().object(source.Namespace, source.Name)
	if existing == nil {
		object.Object["type"], object.Object["data"] = "Opaque", changes
		err := c.client.Create(ctx, object, client.FieldOwner(fieldManager))
		return publicKey, err == nil, err
	}
	// With the resource version, a key that somebody else put there in the meantime is a conflict, and found
	// at the next look.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": existing.GetResourceVersion()}, "data": changes})
	if err != nil {
		return "", false, err
	}
	err = c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner(fieldManager))
	return publicKey, err == nil, err
}

// wantedSource is what the Secret should hold, given what it holds.
func wantedSource(have map[string][]byte,
	source *SourceSecret) (wanted map[string][]byte, publicKey string, err error) {
	wanted = maps.Clone(have)
	set := func(key string, value []byte) {
		if delete(wanted, key); len(value) > 0 {
			wanted[key] = value
		}
	}
	if source.overHTTPS() {
		set(keyUsername, []byte(source.Username))
		set(keyPassword, []byte(source.Password.Reveal()))
		if len(source.Authority) > 0 {
			set(keyAuthority, source.Authority)
		}
		return wanted, "", nil
	}
	if len(source.KnownHosts) > 0 {
		set(keyKnownHosts, source.KnownHosts)
	}
	there, err := publicKeyFrom(have)
	unwanted := err == nil && source.Unwanted != "" && authorizedKey(there) == source.Unwanted
	given := !source.PrivateKey.IsZero()
	none := len(have[keyIdentity]) == 0 || unwanted
	switch {
	case given && there != nil && source.holds(there):
	case given && (none || !source.ForWantOfAnother):
		set(keyIdentity, []byte(source.PrivateKey.Reveal()))
		set(keyPassword, []byte(source.Passphrase.Reveal()))
	case err != nil && !none:
		return nil, "", &UnreadableKeyError{Namespace: source.Namespace, Name: source.Name,
			Reason: err.Error()}
	case none:
		pair, err := sshkeys.Generate(source.GenerateAlgorithm)
		if err != nil {
			return nil, "", fmt.Errorf("generating a key: %w", err)
		}
		set(keyIdentity, []byte(pair.PrivatePEM.Reveal()))
		set(keyPassword, nil)
	}
	key, err := publicKeyFrom(wanted)
	if err != nil {
		return nil, "", fmt.Errorf("reading the private key: %w", err)
	}
	publicKey = authorizedKey(key)
	set(keyIdentityPublic, []byte(publicKey))
	return wanted, publicKey, nil
}

// publicKeyFrom derives the public key from the private one. What identity.pub says is not asked: it may be
// of another key. As in Flux, a password for a key that is not encrypted does no harm.
func publicKeyFrom(data map[string][]byte) (ssh.PublicKey, error) {
	identity := data[keyIdentity]
	if len(identity) == 0 {
		return nil, errors.New("there is none")
	}
	signer, err := ssh.ParsePrivateKey(identity)
	if errors.As(err, new(*ssh.PassphraseMissingError)) && len(data[keyPassword]) > 0 {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(identity, data[keyPassword])
	}
	if err != nil {
		return nil, err
	}
	return signer.PublicKey(), nil
}

// authorizedKey is a key as a line of an authorized_keys file.
func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + "\n"
}

func secretData(object *unstructured.Unstructured) map[string][]byte {
	encoded, _, _ := unstructured.NestedStringMap(object.Object, "data")
	data := make(map[string][]byte, len(encoded))
	for key, value := range encoded {
		if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
			data[key] = decoded
		}
	}
	return data
}
