package fluxinstall

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// surveyed API: lists and objects by the path of their request, and the paths that were asked for.
type cannedAPI struct {
	t       testing.TB
	objects map[string]string // YAML by path; a path ending in / is a list's
	refused string            // a path that is forbidden
	mu      sync.Mutex
	asked   []string
}

func (a *cannedAPI) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
	a.asked = append(a.asked, path)
	if a.refused != "" && strings.HasSuffix(path, a.refused) {
		status(w, http.StatusForbidden, "Forbidden",
			fmt.Sprintf(`User "x" cannot list resource %q in API group ""`, a.refused))
		return
	}
	text, ok := a.objects[path]
	if !ok {
		status(w, http.StatusNotFound, "NotFound", "no such thing")
		return
	}
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		a.t.Errorf("%s: %v", path, err)
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		body(w, string(encoded))
		return
	}
	kind := "List"
	var items []struct{ Kind string }
	if json.Unmarshal(encoded, &items) == nil && len(items) > 0 {
		kind = items[0].Kind + "List"
	}
	body(w, fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"items":%s}`, kind, encoded))
}

const eksaPath = "anywhere.eks.amazonaws.com/v1alpha1/"

// surveyAPI is a management cluster with one workload cluster, all well but for what a test changes.
func surveyAPI(t testing.TB) *cannedAPI {
	t.Helper()
	const up = `{observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}`
	deployment := func(name string) string {
		return fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: gitops, name: %s, generation: 1, labels: {app.kubernetes.io/part-of: flux, app.kubernetes.io/version: v2.9.4}}, status: %s}`,
			name, up)
	}
	return &cannedAPI{t: t, objects: map[string]string{
		eksaPath + "clusters": `[
			{apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: Cluster, metadata: {namespace: default, name: mgmt, generation: 1, creationTimestamp: "2026-01-02T03:04:05Z"},
			 spec: {kubernetesVersion: "1.33", gitOpsRef: {kind: FluxConfig, name: mgmt}, controlPlaneConfiguration: {count: 3}, workerNodeGroupConfigurations: [{count: 2}, {autoscalingConfiguration: {minCount: 1}}]},
			 status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}, {type: ControlPlaneReady, status: "True", lastTransitionTime: "2026-01-02T03:04:05Z"}, {type: WorkersReady, status: "False"}]}},
			{apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: Cluster, metadata: {namespace: default, name: dev, generation: 1,
			  labels: {kustomize.toolkit.fluxcd.io/name: gitops, kustomize.toolkit.fluxcd.io/namespace: gitops}, annotations: {kustomize.toolkit.fluxcd.io/reconcile: Disabled},
			  managedFields: [{manager: kubectl-annotate, operation: Update, time: "2026-02-03T04:05:06Z", fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:annotations": {"f:kustomize.toolkit.fluxcd.io/reconcile": {}}}}},
			    {manager: other, operation: Update, time: "2026-03-03T04:05:06Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}}]},
			 spec: {managementCluster: {name: mgmt}, controlPlaneConfiguration: {count: 1}}, status: {observedGeneration: 1, failureMessage: "pods \"x\" is forbidden: exceeded quota: compute"}}]`,
		eksaPath +
			"fluxconfigs": `[{apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: FluxConfig, metadata: {namespace: default, name: mgmt}, spec: {systemNamespace: gitops}}]`,
		eksaPath + "gitopsconfigs": `[]`,
		"apps/v1/deployments": "[" + deployment("source-controller") + "," +
			deployment("kustomize-controller") + "]",
		"apps/v1/namespaces/eksa-system/deployments": `[{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: eksa-system, name: eksa-controller-manager, generation: 1},
			spec: {selector: {matchLabels: {app: eksa}}}, status: {}}]`,
		"v1/namespaces/eksa-system/pods":                             `[{apiVersion: v1, kind: Pod, metadata: {namespace: eksa-system, name: a, labels: {app: eksa}}, status: {containerStatuses: [{state: {waiting: {reason: ErrImagePull, message: no such image}}}]}}]`,
		"controlplane.cluster.x-k8s.io/v1beta1/kubeadmcontrolplanes": `[{apiVersion: controlplane.cluster.x-k8s.io/v1beta1, kind: KubeadmControlPlane, metadata: {namespace: eksa-system, name: mgmt, labels: {cluster.x-k8s.io/cluster-name: mgmt}}, spec: {replicas: 3}, status: {readyReplicas: 2}}]`,
		"v1/namespaces/gitops":                                       `{apiVersion: v1, kind: Namespace, metadata: {name: gitops}}`,
		"source.toolkit.fluxcd.io/v1/namespaces/gitops/gitrepositories/gitops": `{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {namespace: gitops, name: gitops, generation: 1},
			spec: {interval: 1m0s, url: "ssh://git@h/r"}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`,
		"kustomize.toolkit.fluxcd.io/v1/namespaces/gitops/kustomizations/gitops": `{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {namespace: gitops, name: gitops, generation: 1,
			managedFields: [{manager: flux, operation: Update, time: "2026-02-03T04:05:06Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:suspend": {}}}}]},
			spec: {suspend: true}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`,
		eksaPath +
			"vspheremachineconfigs": `[{apiVersion: anywhere.eks.amazonaws.com/v1alpha1, kind: VSphereMachineConfig, metadata: {namespace: default, name: dev-cp}, spec: {numCPUs: 2}}]`,
	}}
}

func namespaceOfConfig(s *State) string {
	namespace, _ := s.GitOps[0].Spec["systemNamespace"].(string)
	return namespace
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	api := surveyAPI(t)
	s, err := apiServer(t, api.serve).Survey(t.Context(), SurveyOptions{SystemNamespace: namespaceOfConfig})
	if err != nil {
		t.Fatal(err)
	}
	if asked := slices.Sorted(slices.Values(api.asked)); len(asked) !=
		len(slices.Compact(slices.Clone(asked))) {
		t.Errorf("something was asked for twice: %v", asked)
	}
	if s.Namespace != "gitops" || s.Interval != "1m0s" || len(s.Sync) != 2 || len(s.Unseen) != 0 ||
		s.Flux.Version != "v2.9.4" {
		t.Errorf("%+v", s)
	}
	mgmt, dev := s.Clusters[0], s.Clusters[1]
	if mgmt.ControlPlane != (Machines{Desired: 3, Ready: 2}) ||
		mgmt.Workers != (Machines{Desired: 3, Ready: -1}) || mgmt.Problem != nil ||
		mgmt.Created.Year() != 2026 {
		t.Errorf("%+v", mgmt)
	}
	if since := mgmt.Conditions[1].Since; since.Day() != 2 {
		t.Errorf("a condition since %v", since)
	}
	if dev.AppliedBy != "gitops/gitops" || len(dev.Pauses) != 1 || dev.Problem == nil ||
		dev.Problem.Cause != "a resource quota of the namespace is used up" ||
		dev.Problem.Next != "kubectl -n default describe resourcequotas" {
		t.Errorf("%+v, %+v", dev, dev.Problem)
	}
	if got := dev.Pauses[0].Describe(); got != "Flux leaves it alone since 2026-02-03 04:05 UTC by "+
		"kubectl-annotate (annotation kustomize.toolkit.fluxcd.io/reconcile: disabled)" {
		t.Error(got)
	}
	var problems []string
	for _, p := range s.Problems {
		problems = append(problems, p.Error())
	}
	want := []string{
		"Kustomization gitops/gitops is not ready (Suspended): suspended since 2026-02-03 04:05 UTC by " +
			"flux, so that nothing is applied",
		"Deployment eksa-system/eksa-controller-manager is not ready (ErrImagePull): no such image; the " +
			"image cannot be pulled: look at the registry, its credentials and the network",
	}
	if !slices.Equal(problems, want) {
		t.Errorf("problems %q\nwant %q", problems, want)
	}
}

// What only a detail depends on may be forbidden.
func TestSurvey_forbidden(t *testing.T) {
	t.Parallel()
	for refused, fatal := range map[string]bool{
		"clusters": true, "fluxconfigs": true, "kustomizations/gitops": true,
		"kubeadmcontrolplanes": false, "secrets/flux-system": false, "eksa-system/deployments": false,
		"fluxinstances": false,
	} {
		t.Run(refused, func(t *testing.T) {
			t.Parallel()
			api := surveyAPI(t)
			api.refused = refused
			s, err := apiServer(t, api.serve).Survey(t.Context(),
				SurveyOptions{SystemNamespace: namespaceOfConfig})
			if isForbidden(err) != fatal {
				t.Fatalf("error %v, want one: %v", err, fatal)
			}
			if !fatal && len(s.Unseen) != 1 && refused != "fluxinstances" {
				t.Errorf("unseen: %v", s.Unseen)
			}
		})
	}
}

// Without an answer from the clusters, Flux is where its controllers are.
func TestSurvey_namespaceOfControllers(t *testing.T) {
	t.Parallel()
	s, err := apiServer(t, surveyAPI(t).serve).Survey(t.Context(), SurveyOptions{})
	if err != nil || s.Namespace != "gitops" || len(s.Sync) != 2 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestSurvey_noEKSA(t *testing.T) {
	t.Parallel()
	api := &cannedAPI{t: t}
	s, err := apiServer(t, api.serve).Survey(t.Context(), SurveyOptions{})
	if err != nil || s.EKSAInstalled || len(api.asked) != 1 {
		t.Errorf("%v, %+v, asked for %v", err, s, api.asked)
	}
}

// A few objects are read by name, many by kind.
func TestObjects(t *testing.T) {
	t.Parallel()
	api := surveyAPI(t)
	c := apiServer(t, api.serve)
	many := []ObjectName{{"SnowIPPool", "default", "a"}}
	for i := range fewObjects {
		many = append(many, ObjectName{"VSphereMachineConfig", "default", fmt.Sprint(i)})
	}
	objects, err := c.Objects(t.Context(), many)
	if err != nil || len(objects) != 1 || objects[0].Name != "dev-cp" || len(api.asked) != 2 {
		t.Errorf("%v, %+v, asked for %v", err, objects, api.asked)
	}
	api.asked = nil
	api.objects[eksaPath+"namespaces/default/vspheremachineconfigs/dev-cp"] =
		strings.Trim(api.objects[eksaPath+"vspheremachineconfigs"], "[]")
	objects, err = c.Objects(t.Context(), []ObjectName{{"VSphereMachineConfig", "default", "dev-cp"},
		{"VSphereMachineConfig", "default", "gone"}})
	if err != nil || len(objects) != 1 || objects[0].Name != "dev-cp" || len(api.asked) != 2 {
		t.Errorf("%v, %+v, asked for %v", err, objects, api.asked)
	}
}

// Who is to blame, as kustomize-controller's messages have it.
func TestCulpritOf(t *testing.T) {
	t.Parallel()
	const root = "/tmp/kustomization-1245304294/"
	for message, want := range map[string]string{
		`Cluster/default/dev dry-run failed (Invalid): admission webhook "v" denied the request: no`: "Cluster/default/dev",
		"Deployment/apps/web apply failed: " +
			"no": "Deployment/apps/web",
		"kustomize build failed: accumulating resources: accumulation " +
			"err='accumulating resources from './dev/eksa-system': read " + root +
			"clusters/mgmt/dev/eksa-system: is a directory': recursed accumulation of path '" +
			root + "clusters/mgmt/dev/eksa-system': accumulating resources: accumulating resources from " +
			"'eksa-cluster.yaml': MalformedYAMLError: yaml: line 13: mapping values are not allowed in " +
			"this context in File: eksa-cluster.yaml": "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml",
		"kustomization path not found: stat " + root +
			"clusters/mgmt: no such file or directory": "clusters/mgmt",
		"ssh: handshake failed: knownhosts: key mismatch": "",
	} {
		if got := culpritOf(message); got != want {
			t.Errorf("%s:\n got %q, want %q", message, got, want)
		}
	}
}
