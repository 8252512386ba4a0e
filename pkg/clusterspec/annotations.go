package clusterspec

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// Place is where an annotation belongs.
type Place string

// The places.
const (
	PlaceGit    Place = "Git"         // in the cluster's file
	PlaceObject Place = "live object" // on the object in the cluster, for as long as it is needed
	PlaceNone   Place = "neither"     // a tool or a controller writes it for itself
)

// Annotation is one that changes what EKS Anywhere or Flux does with an object.
type Annotation struct {
	Name string
	// Value is the one with which it acts, in any case of letters; empty is any.
	Value string
	// Does says what it does then, as the end of a sentence.
	Does string
	// Place is where it belongs. What belongs to PlaceNone is never written to Git or to a user's file.
	Place Place
	// Advice is what to do about one that is in Git; empty when it may be there without a word.
	Advice hint.Hint

	rule   string // of the problem that tells of it
	faulty bool   // the problem is an error
	kinds  []string
	role   Role // of the clusters that it is told of; empty is all
}

const (
	eksaPrefix = apiGroup
	fluxPrefix = "kustomize.toolkit.fluxcd.io/"
)

// PausedAnnotation has EKS Anywhere do nothing with an object.
const PausedAnnotation = eksaPrefix + "paused"

// takeOut is the advice for what belongs to no file.
func takeOut() hint.Hint {
	return hint.Text("take it out of the file: eksa-gitops never writes it to a repository, and %s removes "+
		"it from there", hint.Run{Do: hint.Upgrade, Bare: true})
}

// Annotations are all that act, EKS Anywhere's first (its API's cluster_types.go; its controller), then those
// of Flux's kustomize-controller, which takes them for labels as well.
func Annotations() []Annotation {
	return []Annotation{
		{
			Name: PausedAnnotation, Value: "true", Place: PlaceGit, rule: "paused",
			Does:   "EKS Anywhere does nothing with the object as long as the annotation is there",
			Advice: hint.Resume.Hint() + " takes it out",
		},
		{
			Name: eksaPrefix + "managed-by-cli", Value: "true", Place: PlaceNone, rule: "cli-annotation",
			Does: "EKS Anywhere thinks that its command line is working on the object: it leaves the " +
				"machines alone, and lets a Cluster be deleted, a management cluster's, too",
			Advice: takeOut(),
		},
		{
			Name: eksaPrefix + "management-components-version", Place: PlaceNone, rule: "cli-annotation",
			Does: "EKS Anywhere's command line notes there which version it has installed; from Git, Flux " +
				"puts an old one back",
			Advice: takeOut(),
		},
		{
			Name: eksaPrefix + "tinkerbell-bootstrap-ip", Place: PlaceNone,
			rule: "cli-annotation", Does: "EKS Anywhere looks for Tinkerbell at the address that its " +
				"command line used while it made the cluster",
			Advice: takeOut(),
		},
		{
			Name: "kubectl.kubernetes.io/last-applied-configuration", Place: PlaceNone,
			Does: "kubectl apply compares with it; Flux removes it",
		},
		{
			Name: eksaPrefix + "allow-delete-when-paused", Value: "true", Place: PlaceObject,
			rule:  "guard-lifted",
			kinds: []string{"Cluster"}, Does: "EKS Anywhere deletes the cluster although it is paused",
			Advice: "set it on the object in the cluster when the cluster is to be deleted, not in Git",
		},
		{
			Name: eksaPrefix + "skip-ip-check", Value: "true", Place: PlaceGit, rule: "guard-lifted",
			kinds: []string{"Cluster"}, Does: "EKS Anywhere creates the cluster without looking whether " +
				"its control plane's address is in use",
			Advice: "take it out when the cluster is there",
		},
		{
			Name: eksaPrefix + "skip-eksa-version-skew-check", Value: "true", Place: PlaceGit,
			rule: "guard-lifted", kinds: []string{"Cluster"},
			Does:   "EKS Anywhere allows any change from one eksaVersion to another",
			Advice: "take it out when the step is done",
		},
		{Name: eksaPrefix + "managed-by", Place: PlaceGit,
			Does: "EKS Anywhere treats the object as one of a workload cluster, whose settings may change"},
		{Name: eksaPrefix + "control-plane", Value: "true", Place: PlaceGit,
			Does: "EKS Anywhere treats the machines as those of a control plane, whose settings are frozen"},
		{Name: eksaPrefix + "etcd", Value: "true", Place: PlaceGit,
			Does: "EKS Anywhere treats the machines as those of etcd, whose settings are frozen"},

		{
			Name: fluxPrefix + "reconcile", Value: "disabled", Place: PlaceObject, rule: "paused",
			Does:   "Flux leaves the object alone as long as the annotation is there",
			Advice: "take it out of the file, and off the object in the cluster",
		},
		{
			Name: fluxPrefix + "prune", Value: "disabled", Place: PlaceGit, rule: "not-pruned",
			role: RoleWorkload, Does: "Flux does not delete the object when it is taken out of Git",
			Advice: "take it out before the cluster is to be deleted",
		},
		{
			Name: fluxPrefix + "ssa", Value: "IfNotPresent", Place: PlaceGit, rule: "paused",
			Does:   "Flux makes the object when it is not there and never changes it after that",
			Advice: "take it out to change the object through Git",
		},
		{
			Name: fluxPrefix + "ssa", Value: "Ignore", Place: PlaceGit,
			rule: "paused", Does: "Flux neither makes nor changes the object",
			Advice: "take it out to have the object come from Git",
		},
		{
			Name: fluxPrefix + "ssa", Value: "Merge", Place: PlaceGit,
			Does: "Flux leaves the fields alone that others have set in the cluster",
		},
		{
			Name: fluxPrefix + "force", Value: "enabled", Place: PlaceNone, rule: "force",
			faulty: true, Does: "Flux deletes the object and creates it again when EKS Anywhere refuses a " +
				"change of a frozen field: of a Cluster, with all its machines",
			Advice: "take it out; change what is frozen by making another object",
		},
	}
}

// acts says whether an annotation of that value acts on an object of that kind.
func (a *Annotation) acts(kind, value string) bool {
	return (a.Value == "" && value != "" || a.Value != "" && strings.EqualFold(a.Value, value)) &&
		(len(a.kinds) == 0 || slices.Contains(a.kinds, kind))
}

// LiftsGuard says whether an annotation that is left on a live object takes a guard of EKS Anywhere against
// its deletion away.
func (a *Annotation) LiftsGuard() bool {
	return a.Name == eksaPrefix+"managed-by-cli" || a.Name == eksaPrefix+"allow-delete-when-paused"
}

// ActingOn are the annotations of an object that act on it, in the order of [Annotations].
func ActingOn(kind string, annotations map[string]string) []Annotation {
	return slices.DeleteFunc(Annotations(), func(a Annotation) bool {
		return !a.acts(kind, annotations[a.Name])
	})
}

// checkAnnotations tells of annotations that act, where they should not be without a word.
func (r *report) checkAnnotations() {
	for _, a := range Annotations() {
		if a.rule == "" || a.role == RoleWorkload && (r.object.Kind != "Cluster" || !r.managed()) {
			continue
		}
		for _, place := range []string{"annotations", "labels"} {
			value := text(r.object.root(), "metadata", place, a.Name)
			if place == "labels" && !strings.HasPrefix(a.Name, fluxPrefix) || !a.acts(r.object.Kind, value) {
				continue
			}
			path := "metadata." + place + "[" + a.Name + "]"
			problem := r.warn
			if a.faulty {
				problem = r.wrong
			}
			problem(a.rule, path, a.Does+"; "+a.Advice.String()).Help = a.Advice
		}
	}
}

// cliAnnotations are those that belong neither to Git nor to a user's file. EKS Anywhere's first one, once in
// Git, would lift the guards against creating and deleting management clusters for good.
func cliAnnotations() []string {
	var names []string
	for _, a := range Annotations() {
		if a.Place == PlaceNone && a.rule != "force" {
			names = append(names, a.Name)
		}
	}
	return names
}

// annotationChange says what the change of an annotation changes: none when it does not act. Some act on
// nothing but the tool that wrote them, so that the change is without effect.
func annotationChange(kind, path, before, after string) (meaning string, ignored bool) {
	for _, a := range Annotations() {
		if path != "metadata.annotations["+a.Name+"]" && path != "metadata.labels["+a.Name+"]" {
			continue
		}
		switch {
		case a.acts(kind, after):
			return a.Does, a.Place == PlaceNone && a.rule == ""
		case a.acts(kind, before):
			return "no longer: " + a.Does, a.Place == PlaceNone && a.rule == ""
		}
	}
	return "", false
}

// WithoutToolAnnotations gives a file without the annotations that tools write for themselves, as eksctl
// anywhere commits them, and says which there were, each as kind name: annotation. Everything else stays,
// byte for byte. The error is Problems, for a file that cannot be read.
func WithoutToolAnnotations(file Source) (out Source, removed []string, err error) {
	out, _, err = annotate(file, func(id identity, annotations map[string]any) {
		for _, name := range cliAnnotations() {
			if _, there := annotations[name]; there {
				removed = append(removed, id.kind+" "+id.name+": "+name)
				delete(annotations, name)
			}
		}
	})
	return out, removed, err
}

// SetPaused gives a cluster's file with the annotation that has EKS Anywhere leave the cluster alone, or
// without it, and says which objects that changes, each as kind name. To pause, the Cluster gets it; to
// resume, every object of the file loses it. Everything else stays, byte for byte. The error is Problems, for
// a file that cannot be read.
func SetPaused(file Source, cluster string, paused bool) (out Source, changed []string, err error) {
	return annotate(file, func(id identity, annotations map[string]any) {
		switch {
		case !paused:
			delete(annotations, PausedAnnotation)
		case id.kind == "Cluster" && id.name == cluster:
			annotations[PausedAnnotation] = "true"
		}
	})
}

// annotate changes the annotations of a file's objects, and says of which.
func annotate(file Source,
	change func(id identity, annotations map[string]any)) (out Source, changed []string, err error) {
	have, problems := readVersions([]Source{file})
	if len(problems) > 0 {
		return Source{}, nil, problems.sorted()
	}
	var wanted []wantedObject
	for _, v := range have.list {
		w := wantedObject{id: v.id, table: v.table, value: v.value}
		object, _ := v.value.(map[string]any)
		metadata, _ := object["metadata"].(map[string]any)
		before, _ := metadata["annotations"].(map[string]any)
		after := maps.Clone(before)
		if after == nil {
			after = map[string]any{}
		}
		if change(v.id, after); object != nil && metadata != nil &&
			!maps.EqualFunc(before, after, func(a, b any) bool { return reflect.DeepEqual(a, b) }) {
			changed = append(changed, v.id.kind+" "+v.id.name)
			object, metadata = maps.Clone(object), maps.Clone(metadata)
			metadata["annotations"] = after
			if len(after) == 0 {
				delete(metadata, "annotations")
			}
			object["metadata"] = metadata
			w.value = object
		}
		wanted = append(wanted, w)
	}
	sources, err := rewriteSources([]Source{file}, have, wanted, have)
	if err != nil {
		return Source{}, nil, err
	}
	return sources[0], changed, nil
}
