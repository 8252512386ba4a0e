package layout

import (
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// fluxRow is what follows from a change of one field of Flux's objects. The first row that fits counts.
type fluxRow struct {
	kind  string // empty is any; "source" is each kind that Flux's Kustomization can take files from
	field string // with all below it
	to    string // the new value; empty is any
	// pruning rows are for a Kustomization that deletes what it no longer finds.
	pruning  bool
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

// fluxRows say what Flux's controllers do, by the documentation of their objects (https://fluxcd.io/flux/components/).
var fluxRows = []fluxRow{
	{"Kustomization", fieldReplaced, "", true, fluxError, "Flux deletes the Kustomization that was, and with it everything that it has applied"},
	{"Kustomization", fieldReplaced, "", false, fluxWarning, "Flux deletes the Kustomization that was, and leaves what it has applied"},
	{"Kustomization", fieldGone, "", true, fluxWarning, "Flux deletes the Kustomization, and with it everything that it has applied"},
	{"Kustomization", fieldGone, "", false, fluxNotice, "Flux deletes the Kustomization, and leaves what it has applied"},
	{"HelmRelease", fieldReplaced, "", false, fluxError, "Flux uninstalls the release that was, and installs another"},
	{"HelmRelease", fieldGone, "", false, fluxWarning, "Flux uninstalls the release"},
	{"source", fieldReplaced, "", false, fluxWarning, "what takes its files from the source that was finds none any more"},
	{"source", fieldGone, "", false, fluxWarning, "what takes its files from the source finds none any more"},
	{"", fieldReplaced, "", false, fluxWarning, "Flux deletes the object and creates another"},
	{"", fieldGone, "", false, fluxNotice, "Flux deletes the object"},

	{"Kustomization", "spec.path", "", true, fluxWarning, "Flux applies another directory from then on, and deletes what it has applied and does not find there"},
	{"Kustomization", "spec.path", "", false, fluxWarning, "Flux applies another directory from then on, and leaves what it has applied"},
	{"Kustomization", "spec.sourceRef", "", true, fluxWarning, "Flux takes its files from another source, and deletes what it has applied and does not find there"},
	{"Kustomization", "spec.sourceRef", "", false, fluxWarning, "Flux takes its files from another source, and leaves what it has applied"},
	{"Kustomization", "spec.prune", "true", false, fluxWarning, "from then on Flux deletes what is taken out of the repository"},
	{"Kustomization", "spec.prune", "", false, fluxWarning, "from then on Flux deletes nothing that is taken out of the repository"},
	{"Kustomization", "spec.targetNamespace", "", true, fluxError, "everything gets another namespace: Flux deletes what it has applied and creates it anew"},
	{"Kustomization", "spec.namePrefix", "", true, fluxError, "everything gets another name: Flux deletes what it has applied and creates it anew"},
	{"Kustomization", "spec.nameSuffix", "", true, fluxError, "everything gets another name: Flux deletes what it has applied and creates it anew"},
	{"Kustomization", "spec.targetNamespace", "", false, fluxWarning, "everything gets another namespace: Flux creates it anew and leaves what it has applied"},
	{"Kustomization", "spec.namePrefix", "", false, fluxWarning, "everything gets another name: Flux creates it anew and leaves what it has applied"},
	{"Kustomization", "spec.nameSuffix", "", false, fluxWarning, "everything gets another name: Flux creates it anew and leaves what it has applied"},
	{"Kustomization", "spec.deletionPolicy", "Orphan", false, fluxNotice, "when the Kustomization is deleted, what it has applied stays"},
	{"Kustomization", "spec.deletionPolicy", "", false, fluxWarning, "decides whether what the Kustomization has applied is deleted with it"},
	{"Kustomization", "spec.force", "true", false, fluxError, "Flux deletes and creates anew what it may not change: a cluster with all its machines"},
	{"Kustomization", "spec.kubeConfig", "", false, fluxWarning, "Flux applies to another cluster from then on"},
	{"Kustomization", "spec.serviceAccountName", "", false, fluxWarning, "Flux applies with the rights of another account"},
	{"Kustomization", "spec.dependsOn", "", false, fluxNotice, "decides for what Flux waits before it applies"},
	{"Kustomization", "spec.decryption", "", false, fluxWarning, "decides what Flux can decrypt"},
	{"Kustomization", "spec.patches", "", false, fluxWarning, "changes what Flux applies of every file"},
	{"Kustomization", "spec.components", "", false, fluxWarning, "changes what Flux applies of every file"},
	{"Kustomization", "spec.postBuild", "", false, fluxWarning, "changes what Flux applies of every file"},
	{"Kustomization", "spec.commonMetadata", "", false, fluxWarning, "changes the labels and annotations of everything"},

	{"source", "spec.url", "", false, fluxWarning, "Flux fetches another repository from then on, and deletes what it does not find there"},
	{"source", "spec.ref", "", false, fluxWarning, "Flux follows another revision from then on, and deletes what it does not find there"},
	{"source", "spec.ignore", "", false, fluxWarning, "Flux leaves other files out, and deletes what it has applied and does not find any more"},
	{"source", "spec.include", "", false, fluxWarning, "Flux adds other repositories, and deletes what it has applied and does not find any more"},
	{"source", "spec.secretRef", "", false, fluxWarning, "Flux fetches with other credentials"},
	{"source", "spec.verify", "", false, fluxWarning, "decides which commits Flux accepts"},

	{"source", "spec.suspend", "true", false, fluxWarning, "Flux fetches nothing until that is taken back"},
	{"", "spec.suspend", "true", false, fluxWarning, "Flux does nothing with the object until that is taken back"},
	{"", "spec.suspend", "", false, fluxNotice, "Flux works on the object again"},
	{"", "metadata.annotations.kustomize.toolkit.fluxcd.io/reconcile", "disabled", false, fluxWarning, "Flux does not touch the object any more, whatever is in the repository"},
	{"", "metadata.labels.kustomize.toolkit.fluxcd.io/reconcile", "disabled", false, fluxWarning, "Flux does not touch the object any more, whatever is in the repository"},
	{"", "metadata.annotations.kustomize.toolkit.fluxcd.io/prune", "disabled", false, fluxNotice, "Flux does not delete the object when it is taken out of the repository"},
	{"", "metadata.annotations.kustomize.toolkit.fluxcd.io/prune", "", false, fluxWarning, "Flux deletes the object when it is taken out of the repository"},
	{"", "spec.interval", "", false, fluxNotice, "how often Flux looks"},
}

// fluxSources are the kinds that Flux takes files from.
var fluxSources = []string{"GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart", "ExternalArtifact"}

// fluxEffect finds the row for a change; false is a change of which nothing more is to be said.
func fluxEffect(kind, field, to string, pruning bool) (fluxRow, bool) {
	for _, row := range fluxRows {
		switch {
		case row.kind != "" && row.kind != kind && (row.kind != "source" || !slices.Contains(fluxSources, kind)):
		case field != row.field && !strings.HasPrefix(field, row.field+".") && !strings.HasPrefix(field, row.field+"["):
		case row.to != "" && row.to != to:
		case row.pruning && !pruning:
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
		if row.pruning {
			change += ", with `prune` or a `deletionPolicy` that deletes"
		}
		b.WriteString("| " + kind + " | " + change + " | " + string(row.severity) + " | " + row.message + " |\n")
	}
	return b.String()
}
