package fluxinstall

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

// SurveyOptions say what to look at.
type SurveyOptions struct {
	// SystemNamespace says where Flux is expected, once the clusters and their GitOps configurations are
	// read. Nil, or an empty answer, is where its controllers are, or flux-system.
	SystemNamespace func(*State) string
}

// Survey is what is in the management cluster, and what is not well there. It is read with one request a
// kind, however many clusters there are.
type Survey struct {
	State
	// Namespace is where Flux was looked for.
	Namespace string
	// Clusters are those of State, in the same order, with all that is known of them.
	Clusters []LiveCluster
	// Sync are the GitRepository and the Kustomization, as far as they are there.
	Sync []LiveObject
	// Objects are the Cluster, FluxConfig and GitOpsConfig objects.
	Objects []LiveObject
	// Interval is how often Flux looks at the repository, as its object says; empty without one.
	Interval string
	// Pauses are the suspensions of the two.
	Pauses []Pause
	// Problems are what keeps Flux from fetching and applying, the cause of the others first.
	Problems []*NotReadyError
	// Nested are the other Kustomizations that come from the repository, be it through others, and that are
	// not well: one that fails, is suspended or is being deleted, such as those of clusters' apps.
	Nested []NestedProblem
	// Kustomizations are all of them, in all namespaces.
	Kustomizations []LiveObject
	// Unseen are what could not be looked at for want of a right, each with the server's words.
	Unseen []string
}

// NestedProblem is what keeps a Kustomization from applying.
type NestedProblem struct {
	Namespace, Name string
	Problem         *NotReadyError
}

// LiveCluster is one Cluster object with what belongs to it.
type LiveCluster struct {
	ClusterInfo
	Created   time.Time
	Deleting  bool
	AppliedBy string // the Kustomization that applied it, as namespace/name; empty when Flux did not
	Pauses    []Pause
	// ControlPlane and Workers count the machines.
	ControlPlane, Workers Machines
	// Problem is what keeps it from being Ready; nil when nothing does.
	Problem *NotReadyError
}

// Machines are the machines of a kind that a cluster should have, and those that are ready.
type Machines struct {
	Desired int
	Ready   int // -1 when nothing tells
}

// LiveObject is an object as the API server gives it. It is shared and must not be changed.
type LiveObject struct {
	Kind, Namespace, Name string
	Fields                map[string]any
	Pauses                []Pause
}

func liveObject(u *unstructured.Unstructured) LiveObject {
	return LiveObject{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(), Fields: u.Object,
		Pauses: annotated(u)}
}

// surveyed are the objects that a survey is made of.
type surveyed struct {
	fluxObjects
	clusters                   []unstructured.Unstructured
	eksa                       []unstructured.Unstructured // the clusters and their GitOps configurations
	gitRepository              *unstructured.Unstructured
	eksaDeployments, eksaPods  []unstructured.Unstructured
	pods                       []unstructured.Unstructured
	controlPlanes, deployments []unstructured.Unstructured // of Cluster API; nil without it
}

// Survey reads everything that status is made of. It writes nothing. The errors are *UnreachableError,
// *ForbiddenError and the context's; what only a detail depends on may be forbidden, and is then named in the
// result.
func (c *Cluster) Survey(ctx context.Context, options SurveyOptions) (*Survey, error) {
	s := &Survey{State: State{Server: c.server, Origin: c.origin}}
	var seen surveyed
	var fluxConfigs, gitOpsConfigs []unstructured.Unstructured
	// One request first: when the server cannot be reached, one error says so.
	var err error
	if seen.clusters, err = c.list(ctx, clusterKind(), ""); err != nil {
		return nil, err
	}
	s.EKSAInstalled = seen.clusters != nil
	if !s.EKSAInstalled {
		return s, nil
	}
	unseen := make([]string, 7)
	// optional notes what is forbidden and goes on without.
	optional := func(at int, err error) error {
		if isForbidden(err) {
			unseen[at] = err.Error()
			return nil
		}
		return err
	}
	err = together(
		func() (err error) { fluxConfigs, err = c.list(ctx, fluxConfigKind(), ""); return err },
		func() (err error) { gitOpsConfigs, err = c.list(ctx, gitOpsConfigKind(), ""); return err },
		func() (err error) {
			seen.fluxObjects.deployments, err = c.list(ctx, deploymentKind(), "",
				client.MatchingLabels{fluxmanifests.PartOfLabel: "flux"})
			return err
		},
		func() (err error) {
			seen.instances, err = c.list(ctx, fluxInstanceKind(), "")
			return ignoreForbidden(err)
		},
		func() (err error) {
			seen.eksaDeployments, err = c.list(ctx, deploymentKind(), eksaNamespace)
			return optional(0, err)
		},
		func() (err error) {
			seen.controlPlanes, err = c.listNewest(ctx, controlPlaneKind)
			return optional(1, err)
		},
		func() (err error) {
			seen.deployments, err = c.listNewest(ctx, machinesKind)
			return optional(2, err)
		},
	)
	if err != nil {
		return nil, err
	}
	for _, item := range slices.Concat(fluxConfigs, gitOpsConfigs) {
		spec, _, _ := unstructured.NestedMap(item.Object, "spec")
		s.GitOps = append(s.GitOps, LiveGitOps{Kind: item.GetKind(), Namespace: item.GetNamespace(),
			Name: item.GetName(), Spec: spec})
	}
	for _, item := range seen.clusters {
		s.State.Clusters = append(s.State.Clusters, clusterInfo(&item))
	}
	seen.eksa = slices.Concat(seen.clusters, fluxConfigs, gitOpsConfigs)
	for _, item := range seen.eksa {
		s.Objects = append(s.Objects, liveObject(&item))
	}
	for _, deployment := range seen.fluxObjects.deployments {
		if s.Namespace == "" && !byHelm(&deployment) {
			s.Namespace = deployment.GetNamespace()
		}
	}
	if options.SystemNamespace != nil {
		s.Namespace = cmp.Or(options.SystemNamespace(&s.State), s.Namespace)
	}
	s.Namespace = cmp.Or(s.Namespace, fluxmanifests.DefaultNamespace)
	err = together(
		func() (err error) {
			seen.namespace, err = c.get(ctx, namespaceKind(), "", s.Namespace)
			return optional(3, err)
		},
		func() (err error) {
			seen.gitRepository, err = c.get(ctx, gitRepositoryKind(), s.Namespace, s.Namespace)
			return err
		},
		func() (err error) {
			seen.kustomization, err = c.get(ctx, kustomizationKind(), s.Namespace, s.Namespace)
			return err
		},
		func() (err error) {
			seen.kustomizations, err = c.list(ctx, kustomizationKind(), "")
			return optional(6, err)
		},
		func() (err error) {
			seen.secret, err = c.get(ctx, secretKind(), s.Namespace, fluxmanifests.SourceSecretName)
			return optional(4, err)
		},
		func() (err error) {
			if slices.ContainsFunc(seen.fluxObjects.deployments,
				func(d unstructured.Unstructured) bool { return !rolledOut(&d) }) {
				seen.pods, err = c.list(ctx, podKind(), s.Namespace)
			}
			return optional(5, err)
		},
		func() (err error) {
			if slices.ContainsFunc(seen.eksaDeployments,
				func(d unstructured.Unstructured) bool { return !rolledOut(&d) }) {
				seen.eksaPods, err = c.list(ctx, podKind(), eksaNamespace)
			}
			return ignoreForbidden(err)
		},
	)
	if err != nil {
		return nil, err
	}
	s.Unseen = slices.DeleteFunc(unseen, func(text string) bool { return text == "" })
	s.judge(&seen)
	return s, nil
}

func ignoreForbidden(err error) error {
	if isForbidden(err) {
		return nil
	}
	return err
}

// listNewest lists a kind of Cluster API in the version that the server has.
func (c *Cluster) listNewest(ctx context.Context,
	of func(version string) kind) ([]unstructured.Unstructured, error) {
	for _, version := range []string{"v1beta1", "v1beta2"} {
		if items, err := c.list(ctx, of(version), ""); items != nil || err != nil {
			return items, err
		}
	}
	return nil, nil
}

// judge makes of the objects what there is to say. It reads nothing.
func (s *Survey) judge(seen *surveyed) {
	if seen.gitRepository != nil {
		seen.repositories = []unstructured.Unstructured{*seen.gitRepository}
		s.Interval = text(seen.gitRepository, "spec", "interval")
	}
	s.Flux = seen.state(s.Namespace)
	s.Deletions = seen.deletions(s.Namespace, seen.eksa)
	for _, object := range []*unstructured.Unstructured{seen.gitRepository, seen.kustomization} {
		if object == nil {
			continue
		}
		s.Sync = append(s.Sync, liveObject(object))
		if pause := suspension(object); pause != nil {
			s.Pauses = append(s.Pauses, *pause)
		}
	}
	installed := len(s.Flux.Controllers) > 0 || len(s.Sync) > 0
	if installed {
		ours := slices.DeleteFunc(slices.Clone(seen.fluxObjects.deployments),
			func(d unstructured.Unstructured) bool {
				return d.GetNamespace() != s.Namespace || byHelm(&d)
			})
		s.Problems = syncProblems(seen.gitRepository, seen.kustomization,
			SyncWait{Namespace: s.Namespace, Name: s.Namespace}, ours, seen.pods)
	}
	for _, deployment := range seen.eksaDeployments {
		if deployment.GetName() == eksaController && wantedReplicas(&deployment) == 0 {
			s.Problems = append(s.Problems, asleepProblem(&deployment))
		} else if !rolledOut(&deployment) {
			if problem := deploymentProblem(&deployment, seen.eksaPods); problem.Reason != "" {
				s.Problems = append(s.Problems, problem)
			}
		}
	}
	for _, item := range seen.kustomizations {
		s.Kustomizations = append(s.Kustomizations, liveObject(&item))
	}
	for _, item := range below(s.Namespace, seen.kustomizations) {
		if problem := nestedProblem(&item); problem != nil {
			s.Nested = append(s.Nested,
				NestedProblem{Namespace: item.GetNamespace(), Name: item.GetName(), Problem: problem})
		}
	}
	planes, workers := machinesByCluster(seen.controlPlanes), machinesByCluster(seen.deployments)
	for i, item := range seen.clusters {
		live := liveCluster(&item, s.State.Clusters[i])
		live.ControlPlane = countMachines(live.ControlPlane, planes[live.Name],
			conditionOf(&item, "ControlPlaneReady"))
		live.Workers = countMachines(live.Workers, workers[live.Name], conditionOf(&item, "WorkersReady"))
		s.Clusters = append(s.Clusters, live)
	}
}

// below are the Kustomizations that Flux's own has applied, and those that they have applied in turn.
func below(namespace string, all []unstructured.Unstructured) []unstructured.Unstructured {
	root := namespace + "/" + namespace
	known := map[string]bool{root: true}
	var found []unstructured.Unstructured
	for more := true; more; {
		more = false
		for _, item := range all {
			if name := item.GetNamespace() + "/" + item.GetName(); known[appliedBy(&item)] && !known[name] {
				known[name], more = true, true
				found = append(found, item)
			}
		}
	}
	return found
}

// nestedProblem is what a Kustomization says is wrong with it, or nil. That it is being deleted is told of
// with the other deletions.
func nestedProblem(object *unstructured.Unstructured) *NotReadyError {
	if object.GetDeletionTimestamp() != nil {
		return nil
	}
	if problems := stopped(object); len(problems) > 0 {
		return problems[0]
	}
	if ready := conditionOf(object, "Ready"); ready.Status == "False" && ready.current(object) {
		return problemOf(object, ready)
	}
	return nil
}

func liveCluster(u *unstructured.Unstructured, info ClusterInfo) LiveCluster {
	live := LiveCluster{
		ClusterInfo: info, Created: u.GetCreationTimestamp().Time, Deleting: u.GetDeletionTimestamp() != nil,
		Pauses: annotated(u), Problem: clusterProblem(u, info.Namespace, info.Name),
	}
	if labels := u.GetLabels(); labels[appliedByName] != "" {
		live.AppliedBy = labels[appliedByNamespace] + "/" + labels[appliedByName]
	}
	live.ControlPlane.Desired = number(u.Object, "spec", "controlPlaneConfiguration", "count")
	groups, _, _ := unstructured.NestedSlice(u.Object, "spec", "workerNodeGroupConfigurations")
	for _, group := range groups {
		fields, _ := group.(map[string]any)
		live.Workers.Desired += max(number(fields, "count"),
			number(fields, "autoscalingConfiguration", "minCount"))
	}
	return live
}

func number(fields map[string]any, path ...string) int {
	n, _, _ := unstructured.NestedInt64(fields, path...)
	return int(n)
}

// machinesByCluster adds up what Cluster API says of a cluster's machines; nil without Cluster API.
func machinesByCluster(items []unstructured.Unstructured) map[string]*Machines {
	if items == nil {
		return nil
	}
	byCluster := map[string]*Machines{}
	for _, item := range items {
		// Both kinds carry the label of the cluster they belong to (cluster.x-k8s.io/cluster-name).
		name := cmp.Or(item.GetLabels()["cluster.x-k8s.io/cluster-name"], text(&item, "spec", "clusterName"),
			item.GetName())
		if byCluster[name] == nil {
			byCluster[name] = &Machines{}
		}
		byCluster[name].Desired += number(item.Object, "spec", "replicas")
		byCluster[name].Ready += number(item.Object, "status", "readyReplicas")
	}
	return byCluster
}

// countMachines takes the count of Cluster API, which also knows where an autoscaler has gone; else the
// condition of EKS Anywhere, which is True when all are ready.
func countMachines(wanted Machines, counted *Machines, condition Condition) Machines {
	switch {
	case counted != nil:
		return Machines{Desired: max(wanted.Desired, counted.Desired), Ready: counted.Ready}
	case condition.Status == "True":
		return Machines{Desired: wanted.Desired, Ready: wanted.Desired}
	default:
		return Machines{Desired: wanted.Desired, Ready: -1}
	}
}

// Holds says whether Objects has all objects of a kind.
func (s *Survey) Holds(kind string) bool {
	return slices.Contains([]string{clusterKind().name, fluxConfigKind().name, gitOpsConfigKind().name}, kind)
}

// ObjectName names an object of EKS Anywhere.
type ObjectName struct{ Kind, Namespace, Name string }

// fewObjects is how many objects are read one by one: that of one cluster are fewer, and a list of a fleet's
// takes longer.
const fewObjects = 15

// Objects reads objects by name: a few one by one, many with one request a kind, in which case all objects of
// the kinds are in the result. What does not exist is not in it. The errors are those of [Cluster.Survey].
func (c *Cluster) Objects(ctx context.Context, names []ObjectName) ([]LiveObject, error) {
	var reads []func() error
	var lists [][]unstructured.Unstructured
	if len(names) <= fewObjects {
		lists = make([][]unstructured.Unstructured, len(names))
		for i, name := range names {
			reads = append(reads, func() error {
				object, err := c.get(ctx, eksaKind(name.Kind), name.Namespace, name.Name)
				if object != nil {
					lists[i] = []unstructured.Unstructured{*object}
				}
				return err
			})
		}
	} else {
		kinds := map[string]bool{}
		for _, name := range names {
			kinds[name.Kind] = true
		}
		sorted := slices.Sorted(maps.Keys(kinds))
		lists = make([][]unstructured.Unstructured, len(sorted))
		for i, kind := range sorted {
			reads = append(reads,
				func() (err error) { lists[i], err = c.list(ctx, eksaKind(kind), ""); return err })
		}
	}
	if err := together(reads...); err != nil {
		return nil, err
	}
	var objects []LiveObject
	for _, item := range slices.Concat(lists...) {
		objects = append(objects, liveObject(&item))
	}
	return objects, nil
}

// Describe gives a pause in words for a person.
func (p *Pause) Describe() string {
	switch p.Field {
	case "spec.suspend":
		return p.words("suspended", "suspended")
	case reconcileAnnotation:
		return p.words("Flux leaves it alone", "Flux leaves it alone") + " (annotation " + p.Field +
			": disabled)"
	default:
		return p.words("EKS Anywhere leaves it alone", "EKS Anywhere leaves it alone") + " (annotation " +
			p.Field + ")"
	}
}
