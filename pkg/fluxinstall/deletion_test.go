package fluxinstall

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const goingSince = `deletionTimestamp: "2026-02-03T04:05:06Z"`

// syncGoing is Flux's Kustomization while it is being deleted, with more of a spec.
func syncGoing(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: "+
		"{namespace: flux-system, name: flux-system, "+goingSince+", finalizers: [finalizers.fluxcd.io]}\n"+
		"spec: {"+spec+"}\nstatus: {inventory: {entries: [{id: "+
		"flux-system_flux-system_source.toolkit.fluxcd.io_GitRepository}, {id: "+
		"_crd-controller-flux-system_rbac.authorization.k8s.io_ClusterRole},"+
		" {id: default_dev_anywhere.eks.amazonaws.com_VSphereDatacenterConfig}, {id: "+
		"default_mgmt_anywhere.eks.amazonaws.com_Cluster}, {id: "+
		"default_dev_anywhere.eks.amazonaws.com_Cluster}]}}")
}

func controllerAt(t *testing.T, name, replicas string) unstructured.Unstructured {
	t.Helper()
	return *parse(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: flux-system, name: "+name+
		", generation: 1}\nspec: {"+replicas+"}\nstatus: {observedGeneration: 1}")
}

// A Kustomization takes what it has applied along as its controller's finalizer decides, and not before that
// runs. What is suggested keeps it from that at once.
func TestDeletions_kustomization(t *testing.T) {
	t.Parallel()
	const all = "Cluster default/dev, Cluster default/mgmt, ClusterRole crd-controller-flux-system and 2 more"
	for name, test := range map[string]struct{ spec, replicas, want string }{
		"asleep": {"prune: true", "replicas: 0",
			"as soon as kustomize-controller runs again, it deletes what the Kustomization has applied: " +
				all},
		"no controller": {"prune: true", "",
			"as soon as kustomize-controller runs again, it deletes what the Kustomization has applied: " +
				all},
		"at work": {"prune: true", "replicas: 1",
			"kustomize-controller deletes what the Kustomization has applied: " + all},
		"at work by default": {"prune: true", "other: 1",
			"kustomize-controller deletes what the Kustomization has applied: " + all},
		"deletes in any case": {"prune: false, deletionPolicy: Delete", "replicas: 1",
			"kustomize-controller deletes what the Kustomization has applied: " + all},
		"deletes and waits": {"deletionPolicy: WaitForTermination", "replicas: 1",
			"kustomize-controller deletes what the Kustomization has applied: " + all},
		"prunes nothing": {"prune: false", "replicas: 0",
			"what it has applied stays, and nothing new is applied"},
		"orphans": {"prune: true, deletionPolicy: Orphan", "replicas: 0",
			"what it has applied stays, and nothing new is applied"},
		"suspended": {"prune: true, deletionPolicy: Delete, suspend: true", "replicas: 0",
			"what it has applied stays, and nothing new is applied"},
		"a policy of the future": {"prune: true, deletionPolicy: Other", "replicas: 0",
			"what it has applied stays, and nothing new is applied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := fluxObjects{kustomization: syncGoing(t, test.spec)}
			if test.replicas != "" {
				objects.deployments = []unstructured.Unstructured{controllerAt(t, "kustomize-controller",
					test.replicas)}
			}
			found := objects.deletions("flux-system", nil)
			if len(found) != 1 || found[0].Object() != "Kustomization flux-system/flux-system" ||
				found[0].Meaning() != test.want {
				t.Fatalf("%+v, %q", found, found[0].Meaning())
			}
			if got := found[0].Describe(); got != "it has been marked for deletion since 2026-02-03 04:05 "+
				"UTC; finalizer finalizers.fluxcd.io blocks it" {
				t.Errorf("%q", got)
			}
			const patch = `kubectl -n flux-system patch kustomization.kustomize.toolkit.fluxcd.io flux-system --type merge -p '{"metadata":{"finalizers":null},"spec":{"suspend":true}}'`
			if got := found[0].Next(); !strings.Contains(got.String(), patch) {
				t.Errorf("%q", got)
			}
		})
	}
}

// All that Flux and the clusters hang on is looked at, the most telling first, and nothing else.
func TestDeletions(t *testing.T) {
	t.Parallel()
	object := func(apiVersion, kind, namespace, name, more string) *unstructured.Unstructured {
		return parse(t, fmt.Sprintf("apiVersion: %s\nkind: %s\n"+
			"metadata: {namespace: %q, name: %s, %s, finalizers: [example.com/hold]%s",
			apiVersion, kind, namespace, name, goingSince, more))
	}
	const eksa = "anywhere.eks.amazonaws.com/v1alpha1"
	objects := fluxObjects{
		kustomization: syncGoing(t, "prune: true"),
		kustomizations: []unstructured.Unstructured{
			*syncGoing(t, "prune: true"), *object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "team",
				"apps", "}"),
			*parse(t, "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"+
				"metadata: {namespace: team, name: well}"),
		},
		repositories: []unstructured.Unstructured{
			*object("source.toolkit.fluxcd.io/v1", "GitRepository", "team", "other", "}"),
			*object("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "flux-system", "}")},
		secret:    object("v1", "Secret", "flux-system", "flux-system", "}"),
		namespace: object("v1", "Namespace", "", "flux-system", "}"),
		deployments: []unstructured.Unstructured{
			*object("apps/v1", "Deployment", "flux-system", "source-controller", "}"),
			*object("apps/v1", "Deployment", "other", "source-controller", "}")},
	}
	found := objects.deletions("flux-system", []unstructured.Unstructured{
		*object(eksa, "Cluster", "default", "dev", "}\nspec: {managementCluster: {name: mgmt}}"),
		*object(eksa, "Cluster", "default", "mgmt", "}"),
		*object(eksa, "Cluster", "default", "cli",
			", annotations: {anywhere.eks.amazonaws.com/managed-by-cli: \"true\"}}"),
		*object(eksa, "FluxConfig", "default", "mgmt", "}"),
	})
	want := []string{
		"Kustomization flux-system/flux-system | as soon as kustomize-controller runs | stop it while " +
			"kustomize-controller does not run: kubectl",
		"GitRepository flux-system/flux-system | without it Flux no longer reads the repository | kubectl " +
			"-n flux-system patch gitrepository.source.toolkit.fluxcd.io flux-system --type merge -p " +
			"'{\"metadata\":{\"finalizers\":null}}'",
		"Secret flux-system/flux-system | Flux cannot read the repository any more | kubectl -n " +
			"flux-system patch secret flux-system",
		"Namespace flux-system | cannot be taken back | kubectl get namespace flux-system -o yaml",
		"Deployment flux-system/source-controller | its pods are deleted with it | kubectl -n flux-system " +
			"patch deployment.apps source-controller",
		"Kustomization team/apps | what it has applied stays | kubectl -n team patch " +
			"kustomization.kustomize.toolkit.fluxcd.io apps",
		"Cluster default/dev | Flux creates the cluster again, with new machines | eksa-gitops delete " +
			"cluster dev; to keep EKS Anywhere from going on: eksa-gitops pause cluster dev",
		"Cluster default/mgmt | EKS Anywhere does not continue that of a management cluster | kubectl -n " +
			"default annotate clusters.anywhere.eks.amazonaws.com mgmt " +
			"anywhere.eks.amazonaws.com/paused=true",
		"Cluster default/cli | leaves the machines behind | eksa-gitops pause cluster cli",
		"FluxConfig default/mgmt | which repository the clusters are in | kubectl -n default patch " +
			"fluxconfig.anywhere.eks.amazonaws.com mgmt",
	}
	if len(found) != len(want) {
		t.Fatalf("%d deletions, want %d: %+v", len(found), len(want), found)
	}
	for i, d := range found {
		parts := strings.Split(want[i], " | ")
		if d.Object() != parts[0] || !strings.Contains(d.Meaning(), parts[1]) ||
			!strings.Contains(d.Next().String(), parts[2]) {
			t.Errorf("%s | %s | %s\nwant %s", d.Object(), d.Meaning(), d.Next(), want[i])
		}
	}
}

// A controller that nobody wants to run is rolled out, and does nothing.
func TestController_scaledToZero(t *testing.T) {
	t.Parallel()
	asleep := controllerAt(t, "kustomize-controller", "replicas: 0")
	awake := *parse(t, "apiVersion: apps/v1\nkind: Deployment\n"+
		"metadata: {namespace: flux-system, name: source-controller, generation: 1}\nspec: {replicas: 1}\n"+
		"status: {observedGeneration: 1, updatedReplicas: 1, replicas: 1, availableReplicas: 1}")
	helm := controllerAt(t, "helm-controller", "replicas: 0")
	if state := controllerState(&asleep); state.Available || !state.Asleep {
		t.Errorf("asleep: %+v", state)
	}
	if state := controllerState(&awake); !state.Available || state.Asleep {
		t.Errorf("awake: %+v", state)
	}
	problems := controllerProblems("flux-system", []unstructured.Unstructured{awake, helm, asleep}, nil)
	if len(problems) != 1 || problems[0].Error() != "Deployment flux-system/kustomize-controller is "+
		"not ready (ScaledToZero): somebody scaled it to zero replicas, so that nothing of it runs" ||
		problems[0].Next !=
			"to start it again: kubectl -n flux-system scale deployment kustomize-controller --replicas=1" {
		t.Errorf("problems %+v", problems)
	}
}
