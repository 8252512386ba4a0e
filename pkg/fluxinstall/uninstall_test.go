package fluxinstall

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func fromYAML(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = u.UnmarshalJSON(encoded) // whole numbers stay whole, as from the server
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestStillThere(t *testing.T) {
	t.Parallel()
	const deleting = "\n  deletionTimestamp: \"2026-01-02T03:04:05Z\"\n" +
		"  finalizers: [clusters.anywhere.eks.amazonaws.com/finalizer, example.com/keep]"
	for name, test := range map[string]struct{ metadata, rest, want, next string }{
		"not asked yet": {want: "Cluster default/dev is not gone: nobody has asked for its deletion yet",
			next: "kubectl get kustomizations"},
		"kept by Flux": {
			metadata: "\n  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}",
			want:     "which keeps Flux from deleting it",
			next:     "annotate clusters.anywhere.eks.amazonaws.com dev kustomize.toolkit.fluxcd.io/prune-",
		},
		"finalizers": {
			metadata: deleting,
			want: "Cluster default/dev is not gone: it is being deleted; blocked by finalizer " +
				"clusters.anywhere.eks.amazonaws.com/finalizer, example.com/keep",
			next: "logs deployment/eksa-controller-manager",
		},
		"conditions": {
			metadata: deleting, rest: "\nstatus:\n  conditions: [{type: WorkersReady, " +
				"status: \"False\", reason: ScalingDown, message: 1 of 3}]",
			want: "; WorkersReady (ScalingDown): 1 of 3",
		},
		"its own words": {
			metadata: deleting, rest: "\nstatus: {failureMessage: no such host, failureReason: Provider}",
			want: "Cluster default/dev is not gone (Provider): it is being deleted; blocked by finalizer " +
				"clusters.anywhere.eks.amazonaws.com/finalizer, example.com/keep; EKS Anywhere says: no " +
				"such host",
		},
		"paused": {
			metadata: deleting + "\n  annotations: {anywhere.eks.amazonaws.com/paused: \"true\"}",
			want:     "so that EKS Anywhere does not delete it",
			next:     "anywhere.eks.amazonaws.com/allow-delete-when-paused=true",
		},
		"paused, and allowed": {
			metadata: deleting + "\n  annotations: {anywhere.eks.amazonaws.com/paused: \"true\", " +
				"anywhere.eks.amazonaws.com/allow-delete-when-paused: \"true\"}",
			want: "it is being deleted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := fromYAML(t, "apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\n"+
				"metadata:\n  namespace: default\n  name: dev"+test.metadata+test.rest)
			problem := stillThere(object)
			if !strings.Contains(problem.Error(), test.want) ||
				!strings.Contains(problem.Hint().String(), test.next) {
				t.Errorf("%v\n%s", problem, problem.Hint())
			}
		})
	}
}

func TestStillRunning(t *testing.T) {
	t.Parallel()
	deployment := func(replicas, observed string) unstructured.Unstructured {
		return *fromYAML(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: "+
			"flux-system, name: source-controller, generation: 2}\nspec:\n  "+replicas+"\n"+
			"  selector: {matchLabels: {app: source-controller}}\nstatus: {observedGeneration: "+observed+"}")
	}
	pod := func(app, phase string) unstructured.Unstructured {
		return *fromYAML(t, "apiVersion: v1\nkind: Pod\n"+
			"metadata: {namespace: flux-system, name: p, labels: {app: "+app+"}}\nstatus: {phase: "+phase+"}")
	}
	for name, test := range map[string]struct {
		deployment unstructured.Unstructured
		pods       []unstructured.Unstructured
		want       string
	}{
		"stopped": {deployment("replicas: 0", "2"),
			[]unstructured.Unstructured{pod("other", "Running"), pod("source-controller", "Succeeded")}, ""},
		"a pod": {deployment("replicas: 0", "2"),
			[]unstructured.Unstructured{pod("source-controller", "Running")},
			"Deployment flux-system/source-controller is not stopped: its pod p is ending"},
		"scaled up again":   {deployment("replicas: 1", "2"), nil, "somebody has scaled it up again"},
		"replicas not said": {deployment("paused: false", "2"), nil, "somebody has scaled it up again"},
		"not seen yet":      {deployment("replicas: 0", "1"), nil, "Kubernetes has not seen yet"},
	} {
		problem := stillRunning([]unstructured.Unstructured{test.deployment}, test.pods)
		if got := problem != nil; got != (test.want != "") ||
			got && !strings.Contains(problem.Error(), test.want) {
			t.Errorf("%s: %v", name, problem)
		}
	}
}

// TestUninstall_running makes sure that nothing is begun while a controller could act on it.
func TestUninstall_running(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		switch {
		case strings.Contains(r.URL.Path, "/deployments"):
			body(w, `{"kind":"DeploymentList","apiVersion":"apps/v1","items":[{"metadata":{"namespace":"flux-system","name":"kustomize-controller","labels":{"app.kubernetes.io/part-of":"flux"}},"spec":{"replicas":1}}]}`)
		default:
			body(w, `{"kind":"PodList","apiVersion":"v1","items":[]}`)
		}
	})
	removal, err := c.Uninstall(t.Context(), "flux-system", nil)
	running := new(NotReadyError)
	if !errors.As(err, &running) || !strings.Contains(err.Error(), "kustomize-controller is not stopped") ||
		len(removal.Removed) > 0 {
		t.Errorf("%v, %v", removal, err)
	}
}

// TestDeleteCluster_webhook passes on what a webhook is against, without trying again.
func TestDeleteCluster_webhook(t *testing.T) {
	t.Parallel()
	var deletions counter
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			deletions.next()
			status(w, http.StatusBadRequest, "BadRequest",
				`admission webhook "validation.cluster" denied the request: deleting self managed cluster`)
			return
		}
		body(w, `{"kind":"Cluster","apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","metadata":{"namespace":"default","name":"dev","uid":"1"}}`)
	})
	changed, err := c.DeleteCluster(t.Context(), "default", "dev")
	if changed || !errors.As(err, new(*RefusedError)) || deletions.next() != 2 {
		t.Errorf("%v, %v", changed, err)
	}
}

func TestFluxDefinitions_order(t *testing.T) {
	t.Parallel()
	crd := func(name, group, kind string) string {
		return `{"metadata":{"name":"` + name + `"},"spec":{"group":"` + group + `","names":{"kind":"` +
			kind + `"},"versions":[{"name":"v1beta2"},{"name":"v1","storage":true}]}}`
	}
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("labelSelector"); got != "app.kubernetes.io/part-of=flux" {
			t.Errorf("selector %q", got)
		}
		body(w, `{"kind":"CustomResourceDefinitionList","apiVersion":"apiextensions.k8s.io/v1","items":[`+
			strings.Join([]string{
				crd("gitrepositories.source.toolkit.fluxcd.io", "source.toolkit.fluxcd.io", "GitRepository"),
				crd("kustomizations.kustomize.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io",
					"Kustomization"),
				crd("things.example.com", "example.com", "Thing"),
				crd("receivers.notification.toolkit.fluxcd.io", "notification.toolkit.fluxcd.io", "Receiver"),
				crd("buckets.source.toolkit.fluxcd.io", "source.toolkit.fluxcd.io", "Bucket"),
			}, ",")+`]}`)
	})
	definitions, err := c.fluxDefinitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, d := range definitions {
		kinds = append(kinds, d.kind.name+"/"+d.kind.version)
	}
	if want := []string{"Bucket/v1", "Receiver/v1", "GitRepository/v1", "Kustomization/v1"}; !slices.Equal(
		kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}
