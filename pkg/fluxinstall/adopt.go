package fluxinstall

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ssautils "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// Taking over a Flux that follows another repository, branch or path.
//
// A Kustomization that is pointed elsewhere deletes all that it had applied before, clusters among it. To
// have it delete nothing is not enough: it applies itself from Git, where it says that it deletes, and when
// anything fails between that and the end of the same round, the next round deletes by the old inventory. So
// the two objects are also marked as not to be applied for as long as it takes until the new files are the
// inventory. The marks carry the name of a record of what was there before, from which a run that was cut off
// goes on.

// adoptingMark is on the GitRepository and the Kustomization while they are taken over. Its value is the name
// of the record.
const adoptingMark = "eksa-gitops.github.io/adopting"

// The entries of a record beside those of the source Secret.
const recordEntry = "adopted.json"

// AdoptionState is what Flux followed before its take-over was begun. It is nil when none is under way.
type AdoptionState struct {
	Record            string // the Secret, in Flux's namespace, that keeps it
	URL, Branch, Path string
	PublicKey         string   // of the source Secret then; empty without one
	Inventory         []string // what the Kustomization had applied, as namespace_name_group_kind
	// Settings are the fields of the two objects' specs, as Kind.field, that `flux bootstrap` does not write.
	Settings []string
}

// record is the form in which it is kept.
type record struct {
	URL       string   `json:"url"`
	Branch    string   `json:"branch,omitempty"`
	Path      string   `json:"path"`
	PublicKey string   `json:"publicKey,omitempty"`
	Inventory []string `json:"inventory"`
	Settings  []string `json:"settings,omitempty"`
	Time      string   `json:"time"`
}

// RecordFlux keeps what Flux follows now, its source Secret included, in a Secret of its own, and returns
// that Secret's name. When a take-over is under way, it is the record of that one, which stays as it is.
// Otherwise an older record of the same source is brought up to date. It may be repeated.
func (c *Cluster) RecordFlux(ctx context.Context, namespace string) (name string, changed bool, err error) {
	err = c.retry(ctx, func() error {
		git, ks, err := c.syncObjects(ctx, namespace)
		if err != nil {
			return err
		}
		if name = ks.GetAnnotations()[adoptingMark]; name != "" {
			return nil
		}
		secret, err := c.fetch(ctx, secretKind(), namespace, fluxmanifests.SourceSecretName)
		if err != nil {
			return err
		}
		data := map[string][]byte{}
		if secret != nil {
			data = secretData(secret)
		}
		kept := recordOf(git, ks, data)
		name = recordName(kept)
		changed, err = c.writeRecord(ctx, namespace, name, kept, data)
		return err
	})
	return name, changed, err
}

func recordOf(git, ks *unstructured.Unstructured, data map[string][]byte) *record {
	kept := &record{
		URL:    text(git, "spec", "url"),
		Branch: text(git, "spec", "ref", "branch"), Path: text(ks, "spec", "path"), Inventory: inventory(ks),
		Settings: slices.Concat(otherSettings(git, "interval", "url", "ref", "secretRef", "timeout"),
			otherSettings(ks, "interval", "path", "prune", "sourceRef", "force", "suspend")),
	}
	if key, err := publicKeyFrom(data); err == nil {
		kept.PublicKey = authorizedKey(key)
	}
	return kept
}

// otherSettings names the fields of a spec besides those that are known.
func otherSettings(object *unstructured.Unstructured, known ...string) []string {
	spec, _, _ := unstructured.NestedMap(object.Object, "spec")
	var names []string
	for _, field := range slices.Sorted(maps.Keys(spec)) {
		if !slices.Contains(known, field) {
			names = append(names, object.GetKind()+" spec."+field)
		}
	}
	return names
}

// recordName is the same for the same source and path, and no other.
func recordName(r *record) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.URL, r.Branch, r.Path}, "\n")))
	return fluxmanifests.SourceSecretName + "-before-" + hex.EncodeToString(sum[:])[:8]
}

// writeRecord creates or updates the record. Its time alone is no difference.
func (c *Cluster) writeRecord(ctx context.Context, namespace, name string, kept *record,
	data map[string][]byte) (changed bool, err error) {
	existing, err := c.fetch(ctx, secretKind(), namespace, name)
	if err != nil {
		return false, err
	}
	if existing != nil {
		there := secretData(existing)
		var old record
		if json.Unmarshal(there[recordEntry], &old) == nil {
			kept.Time = old.Time
		}
		if encoded, err := json.Marshal(kept); err == nil && bytes.Equal(encoded, there[recordEntry]) &&
			sameEntries(there, data) {
			return false, nil
		}
	}
	kept.Time = time.Now().UTC().Format(time.RFC3339)
	encoded, err := json.Marshal(kept)
	if err != nil {
		return false, err
	}
	entries := map[string]any{recordEntry: base64.StdEncoding.EncodeToString(encoded)}
	for key, value := range data {
		entries[key] = base64.StdEncoding.EncodeToString(value)
	}
	object := secretKind().object(namespace, name)
	object.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "eksa-gitops"})
	object.SetAnnotations(map[string]string{"eksa-gitops.github.io/adopted-from": redact.Address(kept.URL)})
	object.Object["type"], object.Object["data"] = "Opaque", entries
	if existing == nil {
		err = c.client.Create(ctx, object, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			return false, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, name, err)
		}
		return err == nil, err
	}
	for key := range secretData(existing) {
		if _, stays := entries[key]; !stays {
			entries[key] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": existing.GetResourceVersion()}, "data": entries})
	if err != nil {
		return false, err
	}
	err = c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner(fieldManager))
	return err == nil, err
}

func sameEntries(there, data map[string][]byte) bool {
	others := maps.Clone(there)
	delete(others, recordEntry)
	return maps.EqualFunc(others, data, bytes.Equal)
}

// adoption reads the take-over that is under way, if the Kustomization is marked.
func (c *Cluster) adoption(ctx context.Context, ks *unstructured.Unstructured) (*AdoptionState, error) {
	name := ""
	if ks != nil {
		name = ks.GetAnnotations()[adoptingMark]
	}
	if name == "" {
		return nil, nil
	}
	state := &AdoptionState{Record: name}
	kept, err := c.get(ctx, secretKind(), ks.GetNamespace(), name)
	if err != nil || kept == nil {
		return state, ignoreForbidden(err) // whoever takes over has the right; to others it is a detail
	}
	var r record
	if err := json.Unmarshal(secretData(kept)[recordEntry], &r); err != nil {
		return state, nil // somebody has changed it; the take-over does not depend on it
	}
	state.URL, state.Branch, state.Path, state.PublicKey, state.Inventory, state.Settings = r.URL, r.Branch,
		r.Path, r.PublicKey, r.Inventory, r.Settings
	return state, nil
}

// HoldPruning makes the Kustomization delete nothing, marks it and the GitRepository so that Flux does not
// apply them, and waits until a round that was under way is over. record is the name of the record. It may be
// repeated; progress may be nil.
func (c *Cluster) HoldPruning(ctx context.Context, namespace, record string,
	progress func(Progress)) (changed bool, err error) {
	marks := map[string]any{reconcileAnnotation: disabled, adoptingMark: record}
	// The GitRepository first: a round that begins with the Kustomization's change then leaves it alone.
	for _, target := range []struct {
		kind kind
		spec map[string]any
	}{{gitRepositoryKind(), nil}, {kustomizationKind(), map[string]any{"prune": false}}} {
		did, err := c.mergeDifference(ctx, target.kind, namespace,
			func(live *unstructured.Unstructured) map[string]any {
				patch := map[string]any{}
				have, _, _ := unstructured.NestedMap(live.Object, "metadata", "annotations")
				if marks := difference(have, marks); len(marks) > 0 {
					patch["metadata"] = map[string]any{"annotations": marks}
				}
				spec, _, _ := unstructured.NestedMap(live.Object, "spec")
				if fields := difference(spec, target.spec); len(fields) > 0 {
					patch["spec"] = fields
				}
				return patch
			})
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	return changed, c.waitRound(ctx, namespace, progress)
}

// roundPatience is how long a round of Flux's that is under way is waited for. One that takes longer waits
// for its objects' health, and applies nothing more.
const roundPatience = 30 * time.Second

// waitRound waits until the Kustomization's controller has begun and ended a round with its present spec,
// whatever came of it.
func (c *Cluster) waitRound(ctx context.Context, namespace string, progress func(Progress)) error {
	limited, cancel := context.WithTimeout(ctx, roundPatience)
	defer cancel()
	report(progress, "waiting for Flux to end what it is doing")
	err := c.until(limited, []watched{{kustomizationKind(), namespace, namespace}}, func() (bool, error) {
		ks, err := c.fetch(limited, kustomizationKind(), namespace, namespace)
		return err == nil && (ks == nil || observed(ks)), err
	})
	if ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return nil
	}
	return err
}

// Repoint gives the GitRepository and the Kustomization of the sync manifests the specs they have there,
// without what their specs had before, and with nothing deleted; the marks of [Cluster.HoldPruning] stay. It
// may be repeated.
func (c *Cluster) Repoint(ctx context.Context, namespace string, sync []byte) (changed bool, err error) {
	wanted, err := specsOf(sync)
	if err != nil {
		return false, err
	}
	// The GitRepository first: it takes a moment to fetch, while a Kustomization with another path begins at
	// once.
	for _, k := range []kind{gitRepositoryKind(), kustomizationKind()} {
		spec := maps.Clone(wanted[k.name])
		if spec == nil {
			return changed, fmt.Errorf("the sync manifests contain no %s", k.name)
		}
		if k == kustomizationKind() {
			spec["prune"] = false
		}
		did, err := c.mergeDifference(ctx, k, namespace,
			func(live *unstructured.Unstructured) map[string]any {
				have, _, _ := unstructured.NestedMap(live.Object, "spec")
				if fields := replacement(have, spec, defaultedFields(k)...); len(fields) > 0 {
					return map[string]any{"spec": fields}
				}
				return nil
			})
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// defaultedFields are those that the API server fills in.
func defaultedFields(k kind) []string {
	if k == gitRepositoryKind() {
		return []string{"timeout", "provider"}
	}
	return []string{"force"}
}

// EndAdoption takes the marks away and lets the Kustomization delete again when the sync manifests say so. It
// may be repeated.
func (c *Cluster) EndAdoption(ctx context.Context, namespace string, sync []byte) (changed bool, err error) {
	wanted, err := specsOf(sync)
	if err != nil {
		return false, err
	}
	// The Kustomization's mark names the record, and so goes last.
	for _, k := range []kind{gitRepositoryKind(), kustomizationKind()} {
		did, err := c.mergeDifference(ctx, k, namespace,
			func(live *unstructured.Unstructured) map[string]any {
				if live.GetAnnotations()[adoptingMark] == "" {
					return nil
				}
				patch := map[string]any{"metadata": map[string]any{
					"annotations": map[string]any{reconcileAnnotation: nil, adoptingMark: nil}}}
				if k == kustomizationKind() {
					patch["spec"] = map[string]any{"prune": wanted[k.name]["prune"]}
				}
				return patch
			})
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// specsOf are the specs of the sync manifests by kind.
func specsOf(sync []byte) (map[string]map[string]any, error) {
	objects, err := ssautils.ReadObjects(bytes.NewReader(sync))
	if err != nil {
		return nil, fmt.Errorf("reading the sync manifests: %w", err)
	}
	specs := map[string]map[string]any{}
	for _, object := range objects {
		if spec, ok, _ := unstructured.NestedMap(object.Object, "spec"); ok &&
			object.GetName() == object.GetNamespace() {
			specs[object.GetKind()] = spec
		}
	}
	return specs, nil
}

// syncObjects reads the two objects, both of which have to be there.
func (c *Cluster) syncObjects(ctx context.Context,
	namespace string) (git, ks *unstructured.Unstructured, err error) {
	if git, err = c.fetch(ctx, gitRepositoryKind(), namespace, namespace); err != nil {
		return nil, nil, err
	}
	if ks, err = c.fetch(ctx, kustomizationKind(), namespace, namespace); err != nil {
		return nil, nil, err
	}
	if problem := missing(git, ks, SyncWait{Namespace: namespace, Name: namespace}); problem != nil {
		return nil, nil, problem
	}
	return git, ks, nil
}

// mergeDifference patches an object with what change gives of its live form; nothing when that is empty.
func (c *Cluster) mergeDifference(ctx context.Context, k kind, namespace string,
	change func(*unstructured.Unstructured) map[string]any) (changed bool, err error) {
	err = c.retry(ctx, func() error {
		live, err := c.fetch(ctx, k, namespace, namespace)
		if err != nil {
			return err
		}
		if live == nil {
			return &NotReadyError{Object: fmt.Sprintf("%s %s/%s", k.name, namespace, namespace),
				Message: "somebody has deleted it"}
		}
		patch := change(live)
		if len(patch) == 0 {
			return nil
		}
		encoded, err := json.Marshal(patch)
		if err != nil {
			return err
		}
		err = c.client.Patch(ctx, live, client.RawPatch(types.MergePatchType, encoded),
			client.FieldOwner(fieldManager))
		changed = changed || err == nil
		return err
	})
	return changed, err
}

// difference are the fields that are wanted and not there.
func difference(have, wanted map[string]any) map[string]any {
	fields := map[string]any{}
	for name, value := range wanted {
		if there, ok := have[name]; !ok || !sameJSON(there, value) {
			fields[name] = value
		}
	}
	return fields
}

// replacement is the merge patch that makes wanted of what is there: null takes a field away. Fields that the
// server fills in are left to it.
func replacement(have, wanted map[string]any, defaulted ...string) map[string]any {
	patch := map[string]any{}
	for name, value := range have {
		inner, isMap := value.(map[string]any)
		wantedInner, both := wanted[name].(map[string]any)
		switch _, stays := wanted[name]; {
		case !stays && !slices.Contains(defaulted, name):
			patch[name] = nil
		case isMap && both:
			if fields := replacement(inner, wantedInner); len(fields) > 0 {
				patch[name] = fields
			}
		case stays && !sameJSON(value, wanted[name]):
			patch[name] = wanted[name]
		}
	}
	for name, value := range wanted {
		if _, there := have[name]; !there {
			patch[name] = value
		}
	}
	return patch
}

func sameJSON(a, b any) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}
