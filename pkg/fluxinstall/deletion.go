package fluxinstall

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	shell "github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// managedByCLI says that EKS Anywhere's command line works on a cluster: its controller leaves the machines
// alone, and lets the object go when that is deleted, a management cluster's, too.
const managedByCLI = eksaGroup + "/managed-by-cli"

// Deletion is an object that somebody has deleted and that is still there: a finalizer of it waits for its
// controller.
type Deletion struct {
	Kind, Namespace, Name string
	Since                 time.Time
	Finalizers            []string
	// Takes are the objects that go with it, Clusters first, each as kind namespace/name: what a
	// Kustomization has applied, if it deletes that when it goes itself.
	Takes []string
	// Asleep is the controller that would go on with it and that does not run; empty when it runs.
	Asleep string
	// Management says that it is a management cluster's own Cluster; ByCLI that EKS Anywhere takes it for one
	// that its command line works on.
	Management, ByCLI bool

	resource string // what kubectl calls its kind
}

// Object is kind namespace/name, or kind name.
func (d *Deletion) Object() string {
	if d.Namespace == "" {
		return d.Kind + " " + d.Name
	}
	return fmt.Sprintf("%s %s/%s", d.Kind, d.Namespace, d.Name)
}

// Describe says what is seen.
func (d *Deletion) Describe() string {
	text := "it has been marked for deletion since " + d.Since.UTC().Format(minuteForm)
	if len(d.Finalizers) > 0 {
		text += "; finalizer " + strings.Join(d.Finalizers, ", ") + " blocks it"
	}
	return text
}

// Meaning says what the deletion does when it goes on.
func (d *Deletion) Meaning() string {
	switch d.Kind {
	case kustomizationKind().name:
		return d.pruning()
	case gitRepositoryKind().name:
		return "without it Flux no longer reads the repository; what it has applied stays"
	case secretKind().name:
		return "Flux cannot read the repository any more when it is gone"
	case namespaceKind().name:
		return "everything in it is deleted, Flux included, and nothing can be created in it until it is " +
			"gone; a namespace's deletion cannot be taken back"
	case deploymentKind().name:
		return "its pods are deleted with it"
	case clusterKind().name:
		switch {
		case d.ByCLI:
			return "annotation " + managedByCLI +
				" is on it, so EKS Anywhere deletes the object, with what it owns, and leaves the machines " +
				"behind, which nobody manages then; a deletion cannot be taken back"
		case d.Management:
			return "a deletion cannot be taken back; EKS Anywhere does not continue that of a management " +
				"cluster until somebody adds annotation " + managedByCLI + " on it"
		}
		return "EKS Anywhere deletes its machines; a deletion cannot be taken back, and Flux creates the " +
			"cluster again, with new machines, when its files are still in Git"
	}
	return "nothing says any more which repository the clusters are in, until Flux creates it again from Git"
}

// pruning says what a Kustomization does that is deleted.
func (d *Deletion) pruning() string {
	takes := mostOf(d.Takes)
	switch {
	case len(d.Takes) == 0:
		return "what it has applied stays, and nothing new is applied"
	case d.Asleep != "":
		return fmt.Sprintf("as soon as %s runs again, it deletes what the Kustomization has applied: %s",
			d.Asleep, takes)
	}
	return fmt.Sprintf("%s deletes what the Kustomization has applied: %s",
		fluxmanifests.KustomizeController, takes)
}

// mostOf names objects, the Clusters among them all.
func mostOf(objects []string) string {
	const most = 3
	shown := 0
	for shown < len(objects) && (shown < most || strings.HasPrefix(objects[shown], clusterKind().name+" ")) {
		shown++
	}
	text := strings.Join(objects[:shown], ", ")
	if n := len(objects) - shown; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// Next says how the deletion is stopped, or ended without harm.
func (d *Deletion) Next() hint.Hint {
	show := d.kubectl() + shell.Command(" get %s %s -o yaml", d.resource, d.Name)
	switch d.Kind {
	case kustomizationKind().name:
		stop := "stop it: " + d.release()
		if d.Asleep != "" {
			stop = fmt.Sprintf("stop it while %s does not run: ", d.Asleep) + d.release()
		}
		if len(d.Finalizers) == 0 {
			stop = "look at it: " + show
		}
		return hint.Plain(stop +
			"; it is then deleted, all that it has applied stays, and this program or Flux creates it again")
	case clusterKind().name:
		pause := d.kubectl() + shell.Command(" annotate %s %s %s=true", d.resource, d.Name, pausedAnnotation)
		if d.Management {
			return hint.Plain("keep EKS Anywhere from working on it: "+pause) + hint.Text(
				" (if it comes from Git, so that Flux does not undo this: %s)", d.run(hint.Pause))
		}
		return hint.Text("to delete it for good: %s; to keep EKS Anywhere from going on: %s, or, when it is "+
			"not in Git any more: ", d.run(hint.Delete), d.run(hint.Pause)) + hint.Plain(pause)
	case namespaceKind().name:
		return hint.Plain("see what it waits for: "+show) + hint.Text("; %s when it is gone", hint.AgainThen)
	}
	if len(d.Finalizers) == 0 {
		return hint.Plain("look at it: " + show)
	}
	return hint.Plain("wait for what blocks it, or unblock it: "+d.release()) +
		hint.Text("; then %s, which creates it again", hint.AgainThen)
}

// run is an operation on the cluster that is being deleted.
func (d *Deletion) run(operation hint.Operation) hint.Run {
	return hint.Run{Do: operation, Clusters: []string{d.Name}}
}

// release is the command that takes the finalizers off. A Kustomization is suspended in the same write: its
// controller deletes nothing for a suspended one, should it run in this moment.
func (d *Deletion) release() string {
	patch := map[string]any{"metadata": map[string]any{"finalizers": nil}}
	if d.Kind == kustomizationKind().name {
		patch["spec"] = map[string]any{"suspend": true}
	}
	text, _ := json.Marshal(patch) // maps of texts always encode
	return d.kubectl() + shell.Command(" patch %s %s --type merge -p %s", d.resource, d.Name, string(text))
}

// kubectl is the beginning of a command about the object, which names its namespace, if there is one.
func (d *Deletion) kubectl() string {
	if d.Namespace == "" {
		return "kubectl"
	}
	return shell.Command("kubectl -n %s", d.Namespace)
}

// deletions are those of the objects that Flux and the clusters hang on: our own installation's first, then
// other Kustomizations, and the objects of EKS Anywhere.
func (o *fluxObjects) deletions(namespace string, eksa []unstructured.Unstructured) []Deletion {
	var list []Deletion
	add := func(objects ...unstructured.Unstructured) {
		for _, object := range objects {
			if object.GetDeletionTimestamp() != nil {
				list = append(list, o.deletion(namespace, &object))
			}
		}
	}
	ours := func(u unstructured.Unstructured) bool {
		return u.GetNamespace() == namespace && u.GetName() == namespace
	}
	if o.kustomization != nil {
		add(*o.kustomization)
	}
	for _, item := range o.repositories {
		if ours(item) {
			add(item)
		}
	}
	for _, object := range []*unstructured.Unstructured{o.secret, o.namespace} {
		if object != nil {
			add(*object)
		}
	}
	for _, item := range o.deployments {
		if item.GetNamespace() == namespace && !byHelm(&item) {
			add(item)
		}
	}
	add(slices.DeleteFunc(slices.Clone(o.kustomizations), ours)...)
	add(eksa...)
	return list
}

func (o *fluxObjects) deletion(namespace string, object *unstructured.Unstructured) Deletion {
	d := Deletion{
		Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName(),
		Since: object.GetDeletionTimestamp().Time, Finalizers: object.GetFinalizers(),
		resource: resourceOf(object),
	}
	switch d.Kind {
	case kustomizationKind().name:
		d.Takes = takenAlong(object)
		d.Asleep = o.asleep(namespace, fluxmanifests.KustomizeController)
	case gitRepositoryKind().name:
		d.Asleep = o.asleep(namespace, fluxmanifests.SourceController)
	case clusterKind().name:
		d.resource = resourcesOf(object)
		d.Management = cmp.Or(text(object, "spec", "managementCluster", "name"), d.Name) == d.Name
		d.ByCLI = object.GetAnnotations()[managedByCLI] == "true"
	}
	return d
}

// asleep is the name of a controller when none of that name is wanted to run; empty when one is. Where Flux
// is somebody else's it may run in another namespace.
func (o *fluxObjects) asleep(namespace, controller string) string {
	for _, item := range o.deployments {
		if item.GetName() == controller && wantedReplicas(&item) > 0 &&
			(item.GetNamespace() == namespace || byHelm(&item)) {
			return ""
		}
	}
	return controller
}

// takenAlong are the objects that kustomize-controller deletes when a Kustomization is deleted, as its
// finalizer decides: none of a suspended one; else spec.deletionPolicy says, and by default spec.prune. Those
// of the inventory that are marked to stay are counted as well: the mark is on the objects.
func takenAlong(ks *unstructured.Unstructured) []string {
	if suspended, _, _ := unstructured.NestedBool(ks.Object, "spec", "suspend"); suspended ||
		!slices.Contains(ks.GetFinalizers(), fluxFinalizer) {
		return nil
	}
	prune, _, _ := unstructured.NestedBool(ks.Object, "spec", "prune")
	switch cmp.Or(text(ks, "spec", "deletionPolicy"), "MirrorPrune") {
	case "MirrorPrune":
		if !prune {
			return nil
		}
	case "Delete", "WaitForTermination":
	default:
		return nil
	}
	var objects []string
	for _, id := range inventory(ks) {
		objects = append(objects, fluxbuild.ObjectOf(id))
	}
	slices.SortFunc(objects, func(a, b string) int {
		isCluster := func(s string) int {
			return -strings.Count(s[:min(len(s), len("Cluster "))], "Cluster ")
		}
		return cmp.Or(cmp.Compare(isCluster(a), isCluster(b)), cmp.Compare(a, b))
	})
	return objects
}
