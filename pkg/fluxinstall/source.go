package fluxinstall

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// The keys of a Git Secret, as Flux's source-controller reads them (its documentation, GitRepository "Secret reference").
const (
	keyIdentity       = "identity"
	keyIdentityPublic = "identity.pub"
	keyKnownHosts     = "known_hosts"
	keyPassword       = "password"
)

// fieldManager is who owns what the package applies. It is the one of the Flux CLI, so that kustomize-controller takes the objects
// over the way it does after `flux bootstrap`.
const (
	fieldManager      = "flux"
	fieldManagerGroup = "fluxcd.io"
)

// SourceSecret is what Flux reads a repository over SSH with.
type SourceSecret struct {
	Namespace, Name string
	// PrivateKey is a given key in PEM form. Without one, the key that the Secret holds already is kept, and one is made with
	// GenerateAlgorithm (ecdsa, ed25519 or rsa) only when there is none.
	PrivateKey        secret.Value
	Passphrase        secret.Value // of PrivateKey
	GenerateAlgorithm string
	// KnownHosts are known_hosts lines; Flux accepts no other host keys.
	KnownHosts []byte
}

// EnsureNamespace creates a namespace if it is not there and says whether it did.
func (c *Cluster) EnsureNamespace(ctx context.Context, name string) (bool, error) {
	if ns, err := c.get(ctx, "", "v1", "Namespace", "", name); err != nil || ns != nil {
		return false, err
	}
	ns := &unstructured.Unstructured{}
	ns.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	ns.SetName(name)
	err := c.client.Create(ctx, ns, client.FieldOwner(fieldManager))
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, c.classify(ctx, err)
}

// EnsureSourceSecret makes the Secret hold what source says and returns its public key in authorized_keys form. A key that is there
// is never replaced by a generated one.
func (c *Cluster) EnsureSourceSecret(ctx context.Context, source SourceSecret) (publicKey string, changed bool, err error) {
	existing, err := c.get(ctx, "", "v1", "Secret", source.Namespace, source.Name)
	if err != nil {
		return "", false, err
	}
	data := map[string][]byte{}
	if existing != nil {
		data = secretData(existing)
	}
	wanted, public, err := wantedSource(data, source)
	if err != nil {
		return "", false, err
	}
	if existing != nil && sameData(data, wanted) {
		return public, false, nil
	}
	encoded := map[string]any{}
	for key, value := range wanted {
		encoded[key] = base64.StdEncoding.EncodeToString(value)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"data": encoded, "type": "Opaque"}}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Secret"})
	object.SetNamespace(source.Namespace)
	object.SetName(source.Name)
	if existing == nil {
		err = c.client.Create(ctx, object, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			// Another run was faster; its key counts.
			return c.EnsureSourceSecret(ctx, source)
		}
		return public, err == nil, c.classify(ctx, err)
	}
	patch, err := json.Marshal(map[string]any{"data": encoded})
	if err != nil {
		return "", false, err
	}
	err = c.client.Patch(ctx, object, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(fieldManager))
	return public, err == nil, c.classify(ctx, err)
}

// wantedSource is what the Secret should hold, given what it holds.
func wantedSource(have map[string][]byte, source SourceSecret) (wanted map[string][]byte, publicKey string, err error) {
	wanted = maps.Clone(have)
	wanted[keyKnownHosts] = source.KnownHosts
	if !source.PrivateKey.IsZero() {
		wanted[keyIdentity] = []byte(source.PrivateKey.Reveal())
		delete(wanted, keyPassword)
		if !source.Passphrase.IsZero() {
			wanted[keyPassword] = []byte(source.Passphrase.Reveal())
		}
	} else if _, err := publicKeyFrom(have); err != nil {
		// No key, or one that cannot be used: only then is one made.
		pair, err := sshkeys.Generate(source.GenerateAlgorithm)
		if err != nil {
			return nil, "", fmt.Errorf("generating a key: %w", err)
		}
		wanted[keyIdentity] = []byte(pair.PrivatePEM.Reveal())
		delete(wanted, keyPassword)
	}
	publicKey, err = publicKeyFrom(wanted)
	if err != nil {
		return nil, "", fmt.Errorf("reading the private key: %w", err)
	}
	wanted[keyIdentityPublic] = []byte(publicKey)
	return wanted, publicKey, nil
}

// publicKeyFrom derives the public key from the private one. What identity.pub says is not asked: it may be of another key.
func publicKeyFrom(data map[string][]byte) (string, error) {
	identity := data[keyIdentity]
	if len(identity) == 0 {
		return "", errors.New("there is none")
	}
	var signer ssh.Signer
	var err error
	if password := data[keyPassword]; len(password) > 0 {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(identity, password)
	} else {
		signer, err = ssh.ParsePrivateKey(identity)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + "\n", nil
}

// publicKeyOf is the public key of a source Secret, or "" when it has none that can be read.
func publicKeyOf(object *unstructured.Unstructured) string {
	public, err := publicKeyFrom(secretData(object))
	if err != nil {
		return ""
	}
	return public
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

func sameData(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// Kubeconfig returns the kubeconfig of a cluster from the Secret where EKS Anywhere keeps it: key value of NAME-kubeconfig in
// namespace eksa-system. It is a *KubeconfigNotFoundError when there is none (yet).
func (c *Cluster) Kubeconfig(ctx context.Context, name string) (secret.Value, error) {
	object, err := c.get(ctx, "", "v1", "Secret", "eksa-system", name+"-kubeconfig")
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the kubeconfig of %s: %w", name, err)
	}
	if object != nil {
		if value := secretData(object)["value"]; len(value) > 0 {
			return secret.New(string(value)), nil
		}
	}
	missing := &KubeconfigNotFoundError{Name: name, Server: c.server}
	clusters, err := c.list(ctx, eksaGroup, "v1alpha1", "Cluster", "")
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the clusters: %w", err)
	}
	for _, item := range clusters {
		missing.Known = append(missing.Known, item.GetName())
	}
	return secret.Value{}, missing
}

// KubeconfigNotFoundError says that the management cluster holds no kubeconfig of that cluster.
type KubeconfigNotFoundError struct {
	Name, Server string
	Known        []string // the names of the Cluster objects that are there
}

// Error says what is missing where.
func (e *KubeconfigNotFoundError) Error() string {
	return fmt.Sprintf("the cluster at %s holds no kubeconfig of %s: there is no Secret eksa-system/%s-kubeconfig", e.Server, e.Name, e.Name)
}

// Expected says whether there is a cluster of that name, so that its kubeconfig is still to come.
func (e *KubeconfigNotFoundError) Expected() bool { return slices.Contains(e.Known, e.Name) }

// Hint tells a cluster that is not up yet from a wrong name.
func (e *KubeconfigNotFoundError) Hint() string {
	if e.Expected() {
		return "EKS Anywhere writes it while it creates the cluster; look at: kubectl get clusters " + e.Name
	}
	if len(e.Known) == 0 {
		return "there are no EKS Anywhere clusters at all; is it the management cluster's kubeconfig?"
	}
	return "the clusters there are: " + strings.Join(e.Known, ", ")
}
