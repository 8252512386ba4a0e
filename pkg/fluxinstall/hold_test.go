package fluxinstall

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// eksaServer keeps objects of EKS Anywhere by path and takes merge patches. What a webhook would refuse, it
// refuses.
type eksaServer struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by resource/name
	version int
	writes  []string
	refuse  func(resource string, write int) bool
	nolist  bool // only Clusters may be listed
}

func newEKSAServer(objects ...string) *eksaServer {
	s := &eksaServer{objects: map[string]map[string]any{}}
	for _, text := range objects {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			panic(err)
		}
		object["apiVersion"] = "anywhere.eks.amazonaws.com/v1alpha1"
		metadata := object["metadata"].(map[string]any)
		metadata["namespace"], metadata["resourceVersion"] = "default", "1"
		s.objects[strings.ToLower(object["kind"].(string))+"s/"+metadata["name"].(string)] = object
	}
	return s
}

func (s *eksaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, path, _ := strings.Cut(r.URL.Path, "/namespaces/default/")
	resource, name, one := strings.Cut(path, "/")
	if !strings.Contains(r.URL.Path, "/namespaces/") {
		resource, one = r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], false
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		status(w, 404, "NotFound", "not found")
		return
	}
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		var object map[string]any
		_ = json.Unmarshal(body, &object)
		name = object["metadata"].(map[string]any)["name"].(string)
		s.objects[resource+"/"+name] = object
		s.writes = append(s.writes, "create "+resource+"/"+name)
		_, _ = w.Write(body)
		return
	}
	if !one && s.nolist && resource != "clusters" {
		status(w, 403, "Forbidden", "it may not be listed")
		return
	}
	if !one {
		items := []any{}
		for _, key := range slices.Sorted(maps.Keys(s.objects)) {
			if strings.HasPrefix(key, resource+"/") {
				items = append(items, s.objects[key])
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": "v1",
			"metadata": map[string]any{}, "items": items})
		return
	}
	object, there := s.objects[resource+"/"+name]
	if !there {
		status(w, 404, "NotFound", "not found")
		return
	}
	if r.Method == http.MethodPatch {
		body, _ := io.ReadAll(r.Body)
		var patch map[string]any
		_ = json.Unmarshal(body, &patch)
		metadata := object["metadata"].(map[string]any)
		if patch["metadata"].(map[string]any)["resourceVersion"] != metadata["resourceVersion"] {
			status(w, 409, "Conflict", "it has changed")
			return
		}
		if s.refuse != nil && s.refuse(resource, len(s.writes)) {
			status(w, 422, "Invalid", "refused")
			return
		}
		_, changesRef := patch["spec"]
		spec, _ := object["spec"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		if changesRef && spec["managementCluster"].(map[string]any)["name"] != name &&
			annotations[pausedAnnotation] != "true" {
			status(w, 422, "Invalid", "spec.GitOpsRef: field is immutable")
			return
		}
		merge(object, patch)
		s.version++
		metadata["resourceVersion"] = fmt.Sprint("v", s.version)
		s.writes = append(s.writes, "patch "+resource+"/"+name)
	}
	_ = json.NewEncoder(w).Encode(object)
}

func merge(into, patch map[string]any) {
	for key, value := range patch {
		if value == nil {
			delete(into, key)
			continue
		}
		change, isMap := value.(map[string]any)
		old, wasMap := into[key].(map[string]any)
		if isMap && !wasMap {
			old = map[string]any{}
			into[key] = old
		}
		if isMap {
			merge(old, change)
		} else {
			into[key] = value
		}
	}
}

func (s *eksaServer) annotations(key string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	annotations, _ := s.objects[key]["metadata"].(map[string]any)["annotations"].(map[string]any)
	return maps.Clone(annotations)
}

func (s *eksaServer) ref(key string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key]["spec"].(map[string]any)["gitOpsRef"]
}

const (
	liveMgmt    = `{"kind":"Cluster","metadata":{"name":"mgmt"},"spec":{"managementCluster":{"name":"mgmt"},"gitOpsRef":{"kind":"FluxConfig","name":"mgmt"}}}`
	liveDev     = `{"kind":"Cluster","metadata":{"name":"dev"},"spec":{"managementCluster":{"name":"mgmt"},"gitOpsRef":{"kind":"FluxConfig","name":"dev"}}}`
	liveMachine = `{"kind":"VSphereMachineConfig","metadata":{"name":"md"},"spec":{}}`
	liveForeign = `{"kind":"VSphereDatacenterConfig","metadata":{"name":"dc","annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}},"spec":{}}`
)

func holdRequest(cluster string) HoldRequest {
	return HoldRequest{
		Namespace: "default", Cluster: cluster, By: "ann@desk",
		Now: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), Objects: []ObjectName{
			{"VSphereDatacenterConfig", "default", "dc"}, {"VSphereMachineConfig", "default", "md"},
			{"VSphereMachineConfig", "default", "new"}, {"Cluster", "default", cluster},
		},
	}
}

// Hold and Release for both roles: whose pause it is, the reference that goes and comes back, and no write
// for what is done already.
func TestHold(t *testing.T) {
	t.Parallel()
	for name, object := range map[string]string{"mgmt": liveMgmt, "dev": liveDev} {
		server := newEKSAServer(object, liveMachine, liveForeign)
		c := apiServer(t, server.ServeHTTP)
		ref := server.ref("clusters/" + name)
		held, err := c.Hold(t.Context(), holdRequest(name))
		if err != nil || !held.Changed || !slices.Equal(held.Objects,
			[]string{"VSphereMachineConfig default/md", "Cluster default/" + name}) ||
			len(held.Earlier) != 0 {
			t.Fatalf("%s: %+v, %v", name, held, err)
		}
		if len(held.Foreign) != 1 || held.Foreign[0].Object != "VSphereDatacenterConfig default/dc" {
			t.Errorf("%s: foreign %+v", name, held.Foreign)
		}
		if server.ref("clusters/"+name) != nil {
			t.Errorf("%s: the reference is still there", name)
		}
		annotations := server.annotations("clusters/" + name)
		if annotations[reconcileAnnotation] != "disabled" || annotations[pausedAnnotation] != nil {
			t.Errorf("%s: annotations %v", name, annotations)
		}
		machine, err := c.Objects(t.Context(), []ObjectName{{"VSphereMachineConfig", "default", "md"}})
		if err != nil || len(machine) != 1 || len(machine[0].Pauses) != 1 {
			t.Fatalf("%s: %+v, %v", name, machine, err)
		}
		if p := machine[0].Pauses[0]; p.By != "eksa-gitops (ann@desk)" ||
			p.Since.Format(time.RFC3339) != "2026-03-01T12:00:00Z" ||
			p.Resume != "kubectl -n default annotate vspheremachineconfigs.anywhere.eks.amazonaws.com md "+
				"kustomize.toolkit.fluxcd.io/reconcile- eksa-gitops/paused-" {
			t.Errorf("%s: pause %+v", name, p)
		}
		state, err := c.Inspect(t.Context(), InspectOptions{})
		if err != nil || len(state.Clusters) != 1 || state.Clusters[0].Held == nil ||
			state.Clusters[0].GitOpsName != name || state.Clusters[0].Held.By != "eksa-gitops (ann@desk)" {
			t.Errorf("%s: state %+v, %v", name, state, err)
		}

		writes := len(server.writes)
		again, err := c.Hold(t.Context(), HoldRequest{Namespace: "default", Cluster: name,
			Objects: holdRequest(name).Objects, By: "bob", Now: time.Now()})
		if err != nil || again.Changed || len(again.Earlier) != 2 || len(server.writes) != writes {
			t.Errorf("%s: the second time: %+v, %v, %v", name, again, err, server.writes[writes:])
		}
		if changed, err := c.Release(t.Context(), "default", "another", nil); changed || err != nil {
			t.Errorf("%s: released for another cluster: %v, %v", name, changed, err)
		}
		for _, want := range []bool{true, false} {
			changed, err := c.Release(t.Context(), "default", name, holdRequest(name).Objects)
			if changed != want || err != nil {
				t.Errorf("%s: Release: %v, %v, want %v", name, changed, err, want)
			}
		}
		if got := server.ref("clusters/" + name); fmt.Sprint(got) != fmt.Sprint(ref) {
			t.Errorf("%s: the reference is %v, want %v", name, got, ref)
		}
		for _, key := range []string{"clusters/" + name, "vspheremachineconfigs/md"} {
			if left := server.annotations(key); len(left) != 0 {
				t.Errorf("%s: %s keeps %v", name, key, left)
			}
		}
		if left := server.annotations("vspheredatacenterconfigs/dc"); len(left) != 1 {
			t.Errorf("%s: somebody else's pause: %v", name, left)
		}
	}
}

// state is what commands know of the objects, and of the cluster; of the objects as they are, or as through
// makes them.
func (s *eksaServer) state(t *testing.T, c *Cluster, name string,
	through func(LiveObject) LiveObject) string {
	t.Helper()
	objects, err := c.Objects(t.Context(), holdRequest(name).Objects)
	if err != nil {
		t.Fatal(err)
	}
	state, err := c.Inspect(t.Context(), InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if through != nil {
		state = state.Released("default", name)
	}
	var all strings.Builder
	for _, o := range objects {
		if through != nil {
			o = through(o)
		}
		u := unstructured.Unstructured{Object: o.Fields}
		fmt.Fprintln(&all, o.Kind, o.Name, u.GetAnnotations(), u.Object["spec"], len(o.Pauses))
	}
	fmt.Fprintf(&all, "%+v", state.Clusters)
	return all.String()
}

// Wherever a run dies, between any two of its writes, Release puts everything back; Released says beforehand
// to what.
func TestHold_brokenOff(t *testing.T) {
	t.Parallel()
	for name, object := range map[string]string{"mgmt": liveMgmt, "dev": liveDev} {
		for after := range 4 {
			server := newEKSAServer(object, liveMachine, liveForeign)
			server.refuse = func(_ string, write int) bool { return write >= after }
			c := apiServer(t, server.ServeHTTP)
			_, _ = c.Hold(t.Context(), holdRequest(name))
			server.refuse = nil
			planned := server.state(t, c, name, Released)
			// Release may die as well.
			for dies := range 4 {
				at := len(server.writes) + dies
				server.refuse = func(_ string, write int) bool { return write >= at }
				_, _ = c.Release(t.Context(), "default", name, holdRequest(name).Objects)
				server.refuse = nil
			}
			if _, err := c.Release(t.Context(), "default", name, holdRequest(name).Objects); err != nil {
				t.Errorf("%s, dead after %d writes: %v", name, after, err)
			}
			if done := server.state(t, c, name, nil); planned != done {
				t.Errorf("%s, dead after %d writes: a dry run goes on with\n%s\nand the run with\n%s",
					name, after, planned, done)
			}
			if server.ref("clusters/"+name) == nil || len(server.annotations("clusters/"+name)) != 0 ||
				len(server.annotations("vspheremachineconfigs/md")) != 0 {
				t.Errorf("%s, dead after %d writes: left %v, %v, reference %v",
					name, after, server.annotations("clusters/"+name),
					server.annotations("vspheremachineconfigs/md"), server.ref("clusters/"+name))
			}
		}
	}
}

// Whoever may not list objects releases those that are named.
func TestRelease_forbiddenLists(t *testing.T) {
	t.Parallel()
	server := newEKSAServer(liveMgmt, liveMachine, liveForeign)
	server.nolist = true
	c := apiServer(t, server.ServeHTTP)
	if _, err := c.Hold(t.Context(), holdRequest("mgmt")); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Release(t.Context(), "default", "mgmt", holdRequest("mgmt").Objects); !changed ||
		err != nil {
		t.Errorf("Release: %v, %v", changed, err)
	}
	if left := server.annotations("vspheremachineconfigs/md"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// A pause that somebody else has set on top stays, and only the note goes.
func TestRelease_foreign(t *testing.T) {
	t.Parallel()
	server := newEKSAServer(`{"kind":"VSphereMachineConfig","metadata":{"name":"md",
		"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled","eksa-gitops/paused":"{\"cluster\":\"default/dev\"}"},
		"managedFields":[{"manager":"kubectl-annotate","operation":"Update","time":"2026-03-02T00:00:00Z",
			"fieldsV1":{"f:metadata":{"f:annotations":{"f:kustomize.toolkit.fluxcd.io/reconcile":{}}}}}]}}`)
	c := apiServer(t, server.ServeHTTP)
	if changed, err := c.Release(t.Context(), "default", "dev", nil); !changed || err != nil {
		t.Errorf("Release: %v, %v", changed, err)
	}
	if left := server.annotations("vspheremachineconfigs/md"); len(left) != 1 ||
		left[reconcileAnnotation] != "disabled" {
		t.Errorf("left: %v", left)
	}
}

// A workload cluster that was made without gitOpsRef gets it, and EKS Anywhere is not left paused.
func TestAdoptGitOps(t *testing.T) {
	t.Parallel()
	for after := range 4 {
		server := newEKSAServer(
			`{"kind":"Cluster","metadata":{"name":"dev"},"spec":{"managementCluster":{"name":"mgmt"}}}`)
		c := apiServer(t, server.ServeHTTP)
		config := func() map[string]any {
			return map[string]any{"apiVersion": "anywhere.eks.amazonaws.com/v1alpha1", "kind": "FluxConfig",
				"metadata": map[string]any{"name": "dev", "namespace": "default"}}
		}
		server.refuse = func(_ string, write int) bool { return write >= after }
		_, _ = c.AdoptGitOps(t.Context(), "default", "dev", config())
		server.refuse = nil
		_, err := c.AdoptGitOps(t.Context(), "default", "dev", config())
		if got := fmt.Sprint(server.ref("clusters/dev")); err != nil ||
			got != "map[kind:FluxConfig name:dev]" || len(server.annotations("clusters/dev")) != 0 {
			t.Errorf("dead after %d: %v, reference %s, annotations %v",
				after, err, got, server.annotations("clusters/dev"))
		}
		if want := []string{"create fluxconfigs/dev", "patch clusters/dev",
			"patch clusters/dev"}; !slices.Equal(server.writes, want) {
			t.Errorf("dead after %d: writes %v, want %v", after, server.writes, want)
		}
		if changed, err := c.AdoptGitOps(t.Context(), "default", "dev", config()); changed || err != nil {
			t.Errorf("again: %v, %v", changed, err)
		}
	}
}
