package lint

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// fluxRow is what follows from a change of one field of Flux's objects. The first row that fits counts.
type fluxRow struct {
	kind     string // empty is any; "source" is each kind that Flux's Kustomization can take files from
	field    string // with all below it
	to       string // the new value; empty is any
	when     fluxWhen
	severity clusterspec.Severity
	message  string
}

const (
	fluxError   = clusterspec.SeverityError
	fluxWarning = clusterspec.SeverityWarning
	fluxNotice  = clusterspec.SeverityNotice
)

// The fields that are no fields: an object that is another one in the other state, or in none.
const (
	fieldReplaced = "(replaced)"
	fieldGone     = "(gone)"
)

// fluxWhen narrows a row by what the object was.
type fluxWhen string

const (
	always  fluxWhen = ""
	pruning fluxWhen = "prunes" // a Kustomization that deletes what it has applied
	kept    fluxWhen = "kept"   // an object that Flux does not delete
)

// fluxRows say what Flux's controllers do, by the documentation of their objects
// (https://fluxcd.io/flux/components/).
var fluxRows = []fluxRow{
	{"", fieldReplaced, "", kept, fluxError,
		"Flux leaves the old object and creates another, so that two do the same"},
	{"", fieldGone, "", kept, fluxWarning, "Flux leaves the object in the cluster"},
	{"Kustomization", fieldReplaced, "", pruning, fluxError,
		"Flux deletes the old Kustomization, and with it everything that it has applied"},
	{"Kustomization", fieldReplaced, "", always, fluxWarning,
		"Flux deletes the old Kustomization, and leaves what it has applied"},
	{"Kustomization", fieldGone, "", pruning, fluxWarning,
		"Flux deletes the Kustomization, and with it everything that it has applied"},
	{"Kustomization", fieldGone, "", always, fluxNotice,
		"Flux deletes the Kustomization, and leaves what it has applied"},
	{"HelmRelease", fieldReplaced, "", always, fluxError,
		"Flux uninstalls the old release, and installs another"},
	{"HelmRelease", fieldGone, "", always, fluxWarning, "Flux uninstalls the release"},
	{"source", fieldReplaced, "", always, fluxWarning,
		"what takes its files from the old source no longer finds any"},
	{"source", fieldGone, "", always, fluxWarning,
		"what takes its files from the source no longer finds any"},
	{"", fieldReplaced, "", always, fluxWarning, "Flux deletes the object and creates another"},
	{"", fieldGone, "", always, fluxNotice, "Flux deletes the object"},

	{"Kustomization", "spec.path", "", pruning, fluxWarning, "Flux applies another directory from then on, " +
		"and deletes what it has applied and does not find there"},
	{"Kustomization", "spec.path", "", always, fluxWarning,
		"Flux applies another directory from then on, and leaves what it has applied"},
	{"Kustomization", "spec.sourceRef", "", pruning, fluxWarning,
		"Flux takes its files from another source, and deletes what it has applied and does not find there"},
	{"Kustomization", "spec.sourceRef", "", always, fluxWarning,
		"Flux takes its files from another source, and leaves what it has applied"},
	{"Kustomization", "spec.prune", "true", always, fluxWarning,
		"from then on Flux deletes what is taken out of the repository"},
	{"Kustomization", "spec.prune", "", always, fluxWarning,
		"from then on Flux deletes nothing that is taken out of the repository"},
	{"Kustomization", "spec.targetNamespace", "", pruning, fluxError,
		"everything gets another namespace: Flux deletes what it has applied and creates it again"},
	{"Kustomization", "spec.namePrefix", "", pruning, fluxError,
		"everything gets another name: Flux deletes what it has applied and creates it again"},
	{"Kustomization", "spec.nameSuffix", "", pruning, fluxError,
		"everything gets another name: Flux deletes what it has applied and creates it again"},
	{"Kustomization", "spec.targetNamespace", "", always, fluxWarning,
		"everything gets another namespace: Flux creates it again and leaves what it has applied"},
	{"Kustomization", "spec.namePrefix", "", always, fluxWarning,
		"everything gets another name: Flux creates it again and leaves what it has applied"},
	{"Kustomization", "spec.nameSuffix", "", always, fluxWarning,
		"everything gets another name: Flux creates it again and leaves what it has applied"},
	{"Kustomization", "spec.deletionPolicy", "Orphan", always, fluxNotice,
		"when the Kustomization is deleted, what it has applied stays"},
	{"Kustomization", "spec.deletionPolicy", "", always, fluxWarning,
		"decides whether what the Kustomization has applied is deleted with it"},
	{"Kustomization", "spec.force", "true", always, fluxError,
		"Flux deletes and creates again what it may not change: a cluster with all its machines"},
	{"Kustomization", "spec.kubeConfig", "", always, fluxWarning,
		"Flux applies to another cluster from then on"},
	{"Kustomization", "spec.serviceAccountName", "", always, fluxWarning,
		"Flux applies with the rights of another account"},
	{"Kustomization", "spec.dependsOn", "", always, fluxNotice,
		"decides for what Flux waits before it applies"},
	{"Kustomization", "spec.decryption", "", always, fluxWarning, "decides what Flux can decrypt"},
	{"Kustomization", "spec.patches", "", always, fluxWarning, "changes what Flux applies of every file"},
	{"Kustomization", "spec.components", "", always, fluxWarning, "changes what Flux applies of every file"},
	{"Kustomization", "spec.postBuild", "", always, fluxWarning, "changes what Flux applies of every file"},
	{"Kustomization", "spec.commonMetadata", "", always, fluxWarning,
		"changes the labels and annotations of everything"},

	{"source", "spec.url", "", always, fluxWarning,
		"Flux fetches another repository from then on, and deletes what it does not find there"},
	{"source", "spec.ref", "", always, fluxWarning,
		"Flux follows another revision from then on, and deletes what it does not find there"},
	{"source", "spec.sparseCheckout", "", always, fluxNotice,
		"decides which part of the repository Flux fetches"},
	{"source", "spec.ignore", "", always, fluxWarning,
		"Flux leaves other files out, and deletes what it has applied and does not find any more"},
	{"source", "spec.include", "", always, fluxWarning,
		"Flux adds other repositories, and deletes what it has applied and does not find any more"},
	{"source", "spec.secretRef", "", always, fluxWarning, "Flux fetches with other credentials"},
	{"source", "spec.verify", "", always, fluxWarning, "decides which commits Flux accepts"},

	{"source", "spec.suspend", "true", always, fluxWarning, "Flux fetches nothing until that is taken back"},
	{"", "spec.suspend", "true", always, fluxWarning,
		"Flux does nothing with the object until that is taken back"},
	{"", "spec.suspend", "", always, fluxNotice, "Flux works on the object again"},
	{"", "metadata.annotations.kustomize.toolkit.fluxcd.io/reconcile", "disabled", always, fluxWarning,
		"Flux does not touch the object any more, whatever is in the repository"},
	{"", "metadata.labels.kustomize.toolkit.fluxcd.io/reconcile", "disabled", always, fluxWarning,
		"Flux does not touch the object any more, whatever is in the repository"},
	{"", "metadata.annotations.kustomize.toolkit.fluxcd.io/prune", "disabled", always, fluxNotice,
		"Flux does not delete the object when it is taken out of the repository"},
	{"", "metadata.annotations.kustomize.toolkit.fluxcd.io/prune", "", always, fluxWarning,
		"Flux deletes the object when it is taken out of the repository"},
	{"", "spec.interval", "", always, fluxNotice, "how often Flux looks"},
}

// fluxSources are the kinds that Flux takes files from.
var fluxSources = []string{"GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart",
	"ExternalArtifact"}

// fluxEffect finds the row for a change; false is a change of which nothing more is to be said.
func fluxEffect(was *fluxObject, field, to string) (fluxRow, bool) {
	for _, row := range fluxRows {
		switch {
		case row.kind != "" && row.kind != was.kind &&
			(row.kind != "source" || !slices.Contains(fluxSources, was.kind)):
		case field != row.field && !strings.HasPrefix(field, row.field+".") &&
			!strings.HasPrefix(field, row.field+"["):
		case row.to != "" && row.to != to:
		case row.when == pruning && !was.prunes(), row.when == kept && !was.kept():
		default:
			return row, true
		}
	}
	return fluxRow{}, false
}

// FluxTable is the table of what follows from changes of Flux's objects, in Markdown, for the documentation.
func FluxTable() string {
	var b strings.Builder
	b.WriteString("| object | change | severity | what follows |\n|---|---|---|---|\n")
	for _, row := range fluxRows {
		kind := row.kind
		switch kind {
		case "":
			kind = "any"
		case "source":
			kind = "any source"
		default:
			kind = "`" + kind + "`"
		}
		change := "`" + row.field + "`"
		switch {
		case row.field == fieldReplaced:
			change = "another name, namespace or kind"
		case row.field == fieldGone:
			change = "taken away"
		case row.to != "":
			change += " becomes `" + row.to + "`"
		}
		change += map[fluxWhen]string{
			pruning: ", with `prune` or a `deletionPolicy` that deletes",
			kept:    ", with the annotation `" + layout.KeepAnnotation + ": " + layout.KeepValue + "`",
		}[row.when]
		b.WriteString("| " + kind + " | " + change + " | " + string(row.severity) + " | " +
			row.message + " |\n")
	}
	return b.String()
}
