package fluxinstall

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func applied() *State {
	return &State{Flux: FluxState{
		GitRepository: &GitRepositoryState{Revision: "main@sha1:abc", Ready: true},
		Kustomization: &KustomizationState{AppliedRevision: "main@sha1:abc", Ready: true},
		Controllers: []ControllerState{{Name: "kustomize-controller", Available: true},
			{Name: "source-controller", Available: true}},
	}}
}

func TestApplied(t *testing.T) {
	t.Parallel()
	if !applied().Applied("main", "abc") {
		t.Error("it is applied")
	}
	for name, change := range map[string]func(*State){
		"no GitRepository":        func(s *State) { s.Flux.GitRepository = nil },
		"no Kustomization":        func(s *State) { s.Flux.Kustomization = nil },
		"other commit fetched":    func(s *State) { s.Flux.GitRepository.Revision = "main@sha1:def" },
		"other commit applied":    func(s *State) { s.Flux.Kustomization.AppliedRevision = "main@sha1:def" },
		"source not ready":        func(s *State) { s.Flux.GitRepository.Ready = false },
		"not ready":               func(s *State) { s.Flux.Kustomization.Ready = false },
		"source suspended":        func(s *State) { s.Flux.GitRepository.Suspended = true },
		"suspended":               func(s *State) { s.Flux.Kustomization.Suspended = true },
		"controller missing":      func(s *State) { s.Flux.Controllers = s.Flux.Controllers[:1] },
		"controller not availble": func(s *State) { s.Flux.Controllers[1].Available = false },
	} {
		s := applied()
		if change(s); s.Applied("main", "abc") {
			t.Errorf("%s: it is not applied", name)
		}
	}
	if applied().Applied("other", "abc") || applied().Applied("main", "") {
		t.Error("another branch or no commit is not applied")
	}
}

func TestFluxObjects_others(t *testing.T) {
	t.Parallel()
	deployment := func(namespace, name, more string) unstructured.Unstructured {
		return *parse(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: "+namespace+", name: "+
			name+", labels: {app.kubernetes.io/version: v2.9.4"+more+"}}")
	}
	ours := deployment("gitops", "source-controller", "")
	for name, test := range map[string]struct {
		objects fluxObjects
		version string
		want    []Other
	}{
		"ours": {fluxObjects{deployments: []unstructured.Unstructured{ours}}, "v2.9.4", nil},
		"another namespace, said once": {
			fluxObjects{
				deployments: []unstructured.Unstructured{deployment("flux-system", "source-controller", ""),
					deployment("flux-system", "helm-controller", "")}},
			"", []Other{{Description: "its controllers run in namespace flux-system, the spec says gitops",
				Installer: InstallerElsewhere, Namespace: "flux-system"}},
		},
		"Helm, said once": {
			fluxObjects{deployments: []unstructured.Unstructured{
				deployment("gitops", "source-controller",
					", app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: flux2"),
				deployment("gitops", "helm-controller",
					", app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: flux2"),
			}}, "", []Other{{Description: "its controllers in namespace gitops belong to Helm release flux2",
				Installer: InstallerHelm, Namespace: "gitops", Name: "flux2"}},
		},
		"flux-operator": {
			fluxObjects{instances: []unstructured.Unstructured{*parse(t,
				"apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\n"+
					"metadata: {namespace: flux-system, name: flux}")}},
			"", []Other{{Description: "FluxInstance flux-system/flux of flux-operator",
				Installer: InstallerOperator, Namespace: "flux-system", Name: "flux"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := test.objects.state("gitops")
			if !slices.Equal(state.Others, test.want) || state.Version != test.version {
				t.Errorf("others %v, version %q; want %v, %q",
					state.Others, state.Version, test.want, test.version)
			}
		})
	}
}

func TestSourceSecretState(t *testing.T) {
	t.Parallel()
	private, public := newKey(t, "")
	api := &secretAPI{t: t}
	api.put(data("identity", private, "identity.pub", "a lie", "known_hosts", "hosts", "username", "git"))
	c := apiServer(t, api.serve)
	object, err := c.get(t.Context(), secretKind(), "gitops", "flux-system")
	if err != nil {
		t.Fatal(err)
	}
	state := sourceSecretState(object)
	if state.PublicKey != public || !strings.HasPrefix(state.Fingerprint, "SHA256:") ||
		!bytes.Equal(state.KnownHosts, []byte("hosts")) || state.Username != "git" {
		t.Errorf("%+v", state)
	}
	if got := sourceSecretState(parse(t,
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}")); !reflect.DeepEqual(got, &SourceSecretState{}) {
		t.Errorf("%+v", got)
	}
}

// Nothing installed, not even EKS Anywhere: everything is simply absent.
func TestInspect_emptyCluster(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		status(w, 404, "NotFound", "there is none")
	})
	state, err := c.Inspect(t.Context(), InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (&State{Server: c.server, Origin: "the test"}); !reflect.DeepEqual(state, want) {
		t.Errorf("%+v, want %+v", state, want)
	}
}

// Who may not look for flux-operator can do without.
func TestInspect_forbidden(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]bool{"fluxinstances": true, "clusters": false,
		"fluxconfigs": false, "gitrepositories": false, "secrets": false} {
		c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, resource) {
				status(w, 403, "Forbidden",
					`User "dev" cannot list resource "`+resource+`" in API group "" at the cluster scope`)
				return
			}
			status(w, 404, "NotFound", "there is none")
		})
		_, err := c.Inspect(t.Context(), InspectOptions{})
		var refused *ForbiddenError
		if (err == nil) != want || err != nil && (!errors.As(err, &refused) || refused.Resource != resource) {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

func TestState_clusters(t *testing.T) {
	t.Parallel()
	s := &State{
		Clusters: []ClusterInfo{
			{Namespace: "default", Name: "mgmt", ManagementCluster: "mgmt", GitOpsKind: "FluxConfig",
				GitOpsName: "flux"},
			{Namespace: "default", Name: "dev", ManagementCluster: "mgmt"},
		},
		GitOps: []LiveGitOps{{Kind: "FluxConfig", Namespace: "other", Name: "flux"},
			{Kind: "FluxConfig", Namespace: "default", Name: "flux", Spec: map[string]any{"branch": "main"}}},
	}
	if got := s.ManagementClusters(); len(got) != 1 || got[0].Name != "mgmt" {
		t.Errorf("management clusters %v", got)
	}
	if !s.HasCluster("default", "dev") || s.HasCluster("other", "dev") || s.HasCluster("default", "qa") {
		t.Error("HasCluster")
	}
	if got := s.GitOpsConfigOf("mgmt"); got != &s.GitOps[1] {
		t.Errorf("GitOps configuration %v", got)
	}
	if got := s.GitOpsConfigOf("dev"); got != nil {
		t.Errorf("a workload cluster has none of its own: %v", got)
	}
}

func TestClusterInfo(t *testing.T) {
	t.Parallel()
	got := clusterInfo(parse(t, `
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Cluster
metadata: {name: mgmt, namespace: default, generation: 4, annotations: {anywhere.eks.amazonaws.com/paused: "true"}}
spec: {kubernetesVersion: "1.33", managementCluster: {}, gitOpsRef: {kind: FluxConfig, name: flux}}
status: {observedGeneration: 4, failureMessage: oh, conditions: [{type: Ready, status: "True", reason: R, message: M}]}
`))
	want := ClusterInfo{
		Namespace: "default", Name: "mgmt", ManagementCluster: "mgmt", GitOpsKind: "FluxConfig",
		GitOpsName: "flux", KubernetesVersion: "1.33", Paused: true, Ready: true, FailureMessage: "oh",
		Conditions: []Condition{{Type: "Ready", Status: "True", Reason: "R", Message: "M"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/eksa-system/secrets/dev-kubeconfig":
			body(w, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"dev-kubeconfig"},"data":{"value":"c2VudGluZWw="}}`)
		case "/api/v1/namespaces/eksa-system/secrets/empty-kubeconfig":
			body(w, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"empty-kubeconfig"},"data":{"value":""}}`)
		case "/apis/anywhere.eks.amazonaws.com/v1alpha1/clusters":
			body(w, `{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"ClusterList","items":[
				{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"Cluster","metadata":{"name":"dev"}},
				{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"Cluster","metadata":{"name":"empty"}}]}`)
		default:
			status(w, 404, "NotFound", r.URL.Path)
		}
	})
	value, err := c.Kubeconfig(t.Context(), "dev")
	if err != nil || value.Reveal() != "sentinel" || value.String() != "***" {
		t.Errorf("%v, %v", value, err)
	}
	for name, hint := range map[string]string{
		"empty": "EKS Anywhere writes it while it creates the cluster; look at: kubectl get " +
			"clusters.anywhere.eks.amazonaws.com -A",
		"other": "the clusters there are: dev, empty",
	} {
		_, err := c.Kubeconfig(t.Context(), name)
		var missing *KubeconfigNotFoundError
		if !errors.As(err, &missing) || missing.Hint() != hint {
			t.Errorf("%s: %v, hint %q", name, err, missing.Hint())
		}
		if want := "the cluster at " + c.server + " has no kubeconfig of " + name +
			": there is no Secret eksa-system/" + name + "-kubeconfig with one"; err.Error() != want {
			t.Errorf("error %v", err)
		}
	}
}

func TestState_abandonedGitOps(t *testing.T) {
	t.Parallel()
	config := func(kind, name string, spec map[string]any) LiveGitOps {
		return LiveGitOps{Kind: kind, Namespace: "default", Name: name, Spec: spec}
	}
	path := map[string]any{"clusterConfigPath": "fleets/berlin/mgmt"}
	for name, c := range map[string]struct {
		refersTo string // by the workload cluster
		own      string // by the management cluster itself
		configs  []LiveGitOps
		want     string
	}{
		"of its name": {configs: []LiveGitOps{config("FluxConfig", "mgmt", nil)}, want: "FluxConfig mgmt"},
		"of its path": {configs: []LiveGitOps{config("FluxConfig", "flux", path)}, want: "FluxConfig flux"},
		"the older kind": {configs: []LiveGitOps{config("FluxConfig", "g", path),
			config("GitOpsConfig", "g", map[string]any{"flux": map[string]any{"github": path}})},
			want: "GitOpsConfig g"},
		"referred to": {own: "mgmt", configs: []LiveGitOps{config("FluxConfig", "mgmt", nil)}},
		"another's":   {refersTo: "mgmt", configs: []LiveGitOps{config("FluxConfig", "mgmt", nil)}},
		"another name": {configs: []LiveGitOps{config("FluxConfig", "flux",
			map[string]any{"clusterConfigPath": "clusters/other"})}},
		"another namespace": {configs: []LiveGitOps{{Kind: "FluxConfig", Namespace: "other", Name: "mgmt"}}},
		"one or the other": {configs: []LiveGitOps{config("FluxConfig", "mgmt", nil),
			config("FluxConfig", "flux", path)}},
		"nothing to be left": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := &State{GitOps: c.configs, Clusters: []ClusterInfo{
				{Namespace: "default", Name: "mgmt", ManagementCluster: "mgmt", GitOpsName: c.own},
				{Namespace: "default", Name: "dev", ManagementCluster: "mgmt", GitOpsName: c.refersTo},
			}}
			got := ""
			if left := state.AbandonedGitOps("mgmt"); left != nil {
				got = left.Kind + " " + left.Name
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
