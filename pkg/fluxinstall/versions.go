package fluxinstall

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
)

// KindVersions are the versions that one of Flux's definitions has after a change.
type KindVersions struct {
	Definition  string // the name of the CRD
	Group, Kind string
	Versions    []string // all that it has
	Served      []string // those of them that are served
}

// VersionSurvey is what a change of Flux's definitions takes away in the management cluster.
type VersionSurvey struct {
	// Dropped are the kinds that lose a version which is stored or served now, in the order that was asked
	// for.
	Dropped []DroppedVersions
	// Applied are the objects of Flux's that other Kustomizations than Flux's own apply in versions that are
	// no longer served.
	Applied []AppliedVersion
	// MissingRights are those that a migration needs and the user does not have.
	MissingRights []*MissingRight
}

// DroppedVersions is what one definition loses.
type DroppedVersions struct {
	Definition, Group, Kind string
	// Stored are versions in which objects may be stored (status.storedVersions), Served those that are
	// served; neither exists after the change. The API server refuses a definition that lacks a stored one.
	Stored, Served []string
	// Storage is the version in which the API server stores objects now; Stuck says that it is one of those
	// that go, so that objects cannot be stored otherwise.
	Storage string
	Stuck   bool
	Objects int // how many there are
	// Writers wrote an object last in a version that goes, past Flux: each as "Kind namespace/name
	// (manager)".
	Writers []string
}

// AppliedVersion is an object that a Kustomization applies.
type AppliedVersion struct {
	Kustomization string // namespace/name
	Object        string // Kind namespace/name
	APIVersion    string
}

// SurveyVersions looks at what the kinds lose compared with what is in the cluster: versions in which their
// objects are stored, versions that are served, and who applies objects in these. namespace is that of Flux's
// own Kustomization, which is left out. It writes nothing. The errors are those of [Cluster.Inspect].
func (c *Cluster) SurveyVersions(ctx context.Context, namespace string,
	kinds []KindVersions) (*VersionSurvey, error) {
	found := make([]*DroppedVersions, len(kinds))
	reads := make([]func() error, len(kinds))
	for i, k := range kinds {
		reads[i] = func() (err error) {
			found[i], err = c.dropped(ctx, k)
			return err
		}
	}
	if err := together(reads...); err != nil {
		return nil, err
	}
	survey := &VersionSurvey{}
	gone := map[string][]string{} // versions that are no longer served, by group and kind
	var migrating []need
	for _, d := range found {
		if d == nil {
			continue
		}
		survey.Dropped = append(survey.Dropped, *d)
		gone[d.Group+"/"+d.Kind] = d.Served
		if len(d.Stored) > 0 {
			resource, _, _ := strings.Cut(d.Definition, ".")
			migrating = append(migrating, need{d.Group, resource, "", false, []string{"list", "patch"}})
		}
	}
	if len(survey.Dropped) == 0 {
		return survey, nil
	}
	if len(migrating) > 0 {
		migrating = append(migrating,
			need{crdGroup, "customresourcedefinitions/status", "", false, []string{"patch"}})
		survey.MissingRights = c.missing(ctx, migrating, namespace)
	}
	var err error
	survey.Applied, err = c.appliedVersions(ctx, namespace, gone)
	return survey, err
}

// dropped compares a definition with the live one; nil when it is not there or loses nothing.
func (c *Cluster) dropped(ctx context.Context, k KindVersions) (*DroppedVersions, error) {
	crd, err := c.get(ctx, crdKind(), "", k.Definition)
	if err != nil || crd == nil {
		return nil, err
	}
	d := &DroppedVersions{Definition: k.Definition, Group: k.Group, Kind: k.Kind}
	stored, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
	d.Stored = slices.DeleteFunc(stored, func(v string) bool { return slices.Contains(k.Versions, v) })
	for _, v := range versionsOf(crd) {
		if v.storage {
			d.Storage = v.name
		}
		if v.served && !slices.Contains(k.Served, v.name) {
			d.Served = append(d.Served, v.name)
		}
	}
	d.Stuck = slices.Contains(d.Stored, d.Storage)
	if len(d.Stored) == 0 && len(d.Served) == 0 {
		return nil, nil
	}
	objects, err := c.list(ctx, kind{k.Group, d.Storage, k.Kind}, "")
	if err != nil {
		return nil, err
	}
	d.Objects = len(objects)
	for _, object := range objects {
		if writer := outsideWriter(&object, d); writer != "" {
			d.Writers = append(d.Writers,
				fmt.Sprintf("%s %s/%s (%s)", k.Kind, object.GetNamespace(), object.GetName(), writer))
		}
	}
	slices.Sort(d.Writers)
	return d, nil
}

// servedVersion is one of a CRD's versions.
type servedVersion struct {
	name            string
	served, storage bool
}

func versionsOf(crd *unstructured.Unstructured) []servedVersion {
	list, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	var versions []servedVersion
	for _, item := range list {
		fields, _ := item.(map[string]any)
		v := servedVersion{}
		v.name, _ = fields["name"].(string)
		v.served, _ = fields["served"].(bool)
		v.storage, _ = fields["storage"].(bool)
		versions = append(versions, v)
	}
	return versions
}

// outsideWriter names who wrote an object in a version that goes, past Flux and its own controllers. Of
// those, the inventories of Flux's Kustomizations tell; of others the object's field managers do.
func outsideWriter(object *unstructured.Unstructured, d *DroppedVersions) string {
	if appliedBy(object) != "" || len(object.GetOwnerReferences()) > 0 {
		return ""
	}
	for _, entry := range object.GetManagedFields() {
		_, version, _ := strings.Cut(entry.APIVersion, "/")
		byFlux := entry.Manager == "flux" || entry.Manager == fieldManager ||
			strings.HasSuffix(entry.Manager, "-controller") && object.GetLabels()[helmReleaseLabel] == ""
		if entry.Subresource == "" && slices.Contains(d.Served, version) && !byFlux {
			return entry.Manager
		}
	}
	return ""
}

// appliedVersions reads from the inventories of all Kustomizations but Flux's own, and those that apply to
// other clusters, which objects of Flux's they apply in versions that go.
func (c *Cluster) appliedVersions(ctx context.Context, namespace string,
	gone map[string][]string) ([]AppliedVersion, error) {
	kustomizations, err := c.list(ctx, kustomizationKind(), "")
	if err != nil {
		return nil, err
	}
	var applied []AppliedVersion
	for _, ks := range kustomizations {
		_, elsewhere, _ := unstructured.NestedMap(ks.Object, "spec", "kubeConfig")
		if elsewhere || ks.GetNamespace() == namespace && ks.GetName() == namespace {
			continue
		}
		entries, _, _ := unstructured.NestedSlice(ks.Object, "status", "inventory", "entries")
		for _, entry := range entries {
			fields, _ := entry.(map[string]any)
			id, _ := fields["id"].(string)
			version, _ := fields["v"].(string)
			name, ok := fluxbuild.ParseID(id)
			if !ok || !slices.Contains(gone[name.Group+"/"+name.Kind], version) {
				continue
			}
			applied = append(applied, AppliedVersion{
				Kustomization: ks.GetNamespace() + "/" + ks.GetName(), Object: name.String(),
				APIVersion: name.Group + "/" + version,
			})
		}
	}
	slices.SortFunc(applied, func(a, b AppliedVersion) int {
		return cmp.Or(strings.Compare(a.Kustomization, b.Kustomization), strings.Compare(a.Object, b.Object))
	})
	return applied, nil
}

// Migration is what was done for one definition.
type Migration struct {
	Definition string   `json:"definition"` // the name of the CustomResourceDefinition
	From       []string `json:"from"`       // versions in which nothing is stored any more
	To         string   `json:"to"`         // the one in which all is
	Objects    int      `json:"objects"`    // how many were written again
}

// String gives it in a few words: "gitrepositories.source.toolkit.fluxcd.io v1beta2 → v1 (3 objects)".
func (m Migration) String() string {
	objects := "1 object"
	if m.Objects != 1 {
		objects = fmt.Sprintf("%d objects", m.Objects)
	}
	return fmt.Sprintf("%s %s → %s (%s)", m.Definition, strings.Join(m.From, ", "), m.To, objects)
}

// Migration is what [Cluster.MigrateVersions] does for the definition; false when it has nothing to do, or
// cannot.
func (d *DroppedVersions) Migration() (Migration, bool) {
	return Migration{Definition: d.Definition, From: d.Stored, To: d.Storage, Objects: d.Objects},
		len(d.Stored) > 0 && !d.Stuck
}

// MigrateVersions has the objects of the definitions stored in the version in which the API server stores
// objects now, and takes all others off the lists of stored versions, so that definitions without these are
// taken. It does what `flux migrate` does (fluxcd/flux2, cmd/flux/migrate.go): every object is written once,
// as it is, and the list comes last, so that a run that was cut off is begun again. It may be repeated, and
// leaves out what is [DroppedVersions.Stuck]. The result says what was done until then even beside an error.
// progress may be nil.
func (c *Cluster) MigrateVersions(ctx context.Context, dropped []DroppedVersions,
	progress func(Progress)) ([]Migration, error) {
	var done []Migration
	for _, d := range dropped {
		if _, possible := d.Migration(); !possible {
			continue
		}
		var made *Migration
		// A conflict says that somebody has changed the definition meanwhile: what is stored has to be looked
		// at again.
		err := c.retry(ctx, func() (err error) {
			made, err = c.migrate(ctx, &d, progress)
			return err
		})
		if err != nil {
			return done, fmt.Errorf("migrating what is stored of %s: %w", d.Definition, err)
		}
		if made != nil {
			done = append(done, *made)
		}
	}
	return done, nil
}

// migrate does it for one definition; nil when there was nothing to do.
func (c *Cluster) migrate(ctx context.Context, d *DroppedVersions,
	progress func(Progress)) (*Migration, error) {
	crd, err := c.fetch(ctx, crdKind(), "", d.Definition)
	if err != nil || crd == nil {
		return nil, err
	}
	storage := ""
	for _, v := range versionsOf(crd) {
		if v.storage {
			storage = v.name
		}
	}
	stored, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
	from := slices.DeleteFunc(slices.Clone(stored), func(v string) bool { return v == storage })
	if len(from) == 0 {
		return nil, nil
	}
	k := kind{d.Group, storage, d.Kind}
	objects, err := c.fetchAll(ctx, k, "")
	if err != nil {
		return nil, err
	}
	for i, object := range objects {
		report(progress, "%s: %d of %d objects", d.Definition, i+1, len(objects))
		if err := c.rewrite(ctx, k, &object); err != nil {
			return nil, err
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": crd.GetResourceVersion()},
		"status":   map[string]any{"storedVersions": []string{storage}},
	})
	if err != nil {
		return nil, err
	}
	err = c.exact.Status().Patch(quiet(ctx), crd, client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner(fieldManager))
	if err != nil {
		return nil, err
	}
	return &Migration{Definition: d.Definition, From: from, To: storage, Objects: len(objects)}, nil
}

// rewrite has an object stored anew. Notes of who has set its fields in other versions are brought to the
// stored one: the server could not read them any more.
func (c *Cluster) rewrite(ctx context.Context, k kind, object *unstructured.Unstructured) error {
	return c.retry(ctx, func() error {
		notes, err := ssa.PatchMigrateToVersion(object, k.group+"/"+k.version)
		if err != nil {
			return err
		}
		// the server stores it when that changes how it is stored
		patch := client.RawPatch(types.MergePatchType, []byte("{}"))
		if len(notes) > 0 {
			unchanged := map[string]any{"op": "replace", "path": "/metadata/resourceVersion",
				"value": object.GetResourceVersion()}
			encoded, err := json.Marshal([]any{unchanged, notes[0]})
			if err != nil {
				return err
			}
			patch = client.RawPatch(types.JSONPatchType, encoded)
		}
		err = client.IgnoreNotFound(c.exact.Patch(ctx, k.object(object.GetNamespace(), object.GetName()),
			patch, client.FieldOwner(fieldManager)))
		if !apierrors.IsConflict(err) {
			return err
		}
		fresh, getErr := c.fetch(ctx, k, object.GetNamespace(), object.GetName())
		if getErr != nil || fresh == nil {
			return getErr
		}
		*object = *fresh
		return err
	})
}
