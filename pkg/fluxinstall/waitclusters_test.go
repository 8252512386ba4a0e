package fluxinstall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// fleetAPI serves Cluster objects; of Cluster API it has one control plane. Every list of clusters gives what
// clusters says.
func fleetAPI(t *testing.T, clusters func(request int) []string) *Cluster {
	t.Helper()
	var requests counter
	return apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("watch") == "true":
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/namespaces/default/clusters"):
			var items []json.RawMessage
			for _, content := range clusters(requests.next()) {
				encoded, err := yaml.YAMLToJSON([]byte(content))
				if err != nil {
					t.Error(err)
				}
				items = append(items, encoded)
			}
			list, err := json.Marshal(map[string]any{"apiVersion": "anywhere.eks.amazonaws.com/v1alpha1",
				"kind": "ClusterList", "items": items})
			if err != nil {
				t.Error(err)
			}
			body(w, string(list))
		case strings.HasSuffix(r.URL.Path, "/v1beta1/kubeadmcontrolplanes"):
			body(w, `{"apiVersion": "controlplane.cluster.x-k8s.io/v1beta1", "kind": "KubeadmControlPlaneList", "items": [
				{"apiVersion": "controlplane.cluster.x-k8s.io/v1beta1", "kind": "KubeadmControlPlane", "metadata": {"name": "dev", "namespace": "eksa-system", "labels": {"cluster.x-k8s.io/cluster-name": "dev"}},
				 "spec": {"replicas": 3}, "status": {"readyReplicas": 2}}]}`)
		default:
			status(w, 404, "NotFound", "there is none")
		}
	})
}

func fleetCluster(name, status string) string {
	return fmt.Sprintf("apiVersion: anywhere.eks.amazonaws.com/v1alpha1\nkind: Cluster\n"+
		"metadata: {name: %s, namespace: default, generation: 1}\n"+
		"spec: {controlPlaneConfiguration: {count: 3}, workerNodeGroupConfigurations: [{count: 2}]}\n"+
		"status: {observedGeneration: 1, %s}\n", name, status)
}

const (
	isReady  = `conditions: [{type: Ready, status: "True"}, {type: WorkersReady, status: "True"}]`
	isFailed = "failureMessage: no room"
)

func TestWaitClusters(t *testing.T) {
	t.Parallel()
	c := fleetAPI(t, func(request int) []string {
		switch request {
		case 1:
			return []string{fleetCluster("other", isFailed)}
		case 2:
			return []string{fleetCluster("test", isReady), fleetCluster("dev", isFailed)}
		default:
			return []string{fleetCluster("test", isReady), fleetCluster("dev", isReady)}
		}
	})
	var told []string
	fleet, err := c.WaitClusters(t.Context(), []ClusterName{{"default", "dev"}, {"default", "test"}},
		func(live LiveCluster) {
			text := live.Name + " Ready"
			if live.Problem != nil {
				text = live.Name + " " + live.Problem.Words()
			}
			told = append(told, text)
		})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"dev Flux has not created it yet", "test Flux has not created it yet", "dev no room",
		"test Ready", "dev Ready"}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if len(fleet) != 2 || fleet[0].Name != "dev" || fleet[1].Name != "test" {
		t.Fatalf("%+v", fleet)
	}
	if got, want := fmt.Sprint(fleet[0].ControlPlane, fleet[0].Workers, fleet[1].ControlPlane),
		"{3 2} {2 2} {3 -1}"; got != want {
		t.Errorf("machines %s, want %s", got, want)
	}
}

func TestWaitClusters_timeLimit(t *testing.T) {
	t.Parallel()
	c := fleetAPI(t, func(int) []string {
		return []string{fleetCluster("test", isReady), fleetCluster("dev", isFailed)}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	fleet, err := c.WaitClusters(ctx,
		[]ClusterName{{"default", "dev"}, {"default", "test"}, {"default", "new"}}, nil)
	if !errors.Is(err, context.DeadlineExceeded) || len(fleet) != 3 {
		t.Fatalf("%v, %+v", err, fleet)
	}
	for i, want := range []string{"Cluster default/dev is not ready: no room", "",
		"Cluster default/new is not ready: Flux has not created it yet"} {
		problem := fleet[i].Problem
		if (problem == nil) != (want == "") ||
			problem != nil && (problem.Error() != want || !errors.Is(problem, context.DeadlineExceeded)) {
			t.Errorf("%s: %v, want %s", fleet[i].Name, problem, want)
		}
	}
}

// A cluster that somebody deletes is waited for no longer; the others are.
func TestWaitClusters_deleted(t *testing.T) {
	t.Parallel()
	born := func(name, status string) string {
		return strings.Replace(fleetCluster(name, status), "generation: 1",
			"generation: 1, creationTimestamp: \"2026-01-02T03:04:05Z\"", 1)
	}
	c := fleetAPI(t, func(request int) []string {
		switch request {
		case 1:
			return []string{born("dev", isFailed), born("test", isFailed)}
		case 2:
			return []string{born("test", isFailed)}
		default:
			return []string{born("test", isReady)}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	fleet, err := c.WaitClusters(ctx, []ClusterName{{"default", "dev"}, {"default", "test"}}, nil)
	const want = "Cluster default/dev was deleted: somebody else did that while this run waited for it"
	if !errors.As(err, new(*NotReadyError)) || err.Error() != want || len(fleet) != 2 {
		t.Fatalf("%v, %+v", err, fleet)
	}
	if problem := fleet[0].Problem; problem == nil || problem.Error() != want || fleet[1].Problem != nil {
		t.Errorf("%+v", fleet)
	}
}

func TestWaitClusters_interrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	pressed := errors.New("interrupted")
	c := fleetAPI(t, func(int) []string { return nil })
	_, err := c.WaitClusters(ctx, []ClusterName{{"default", "dev"}, {"default", "test"}}, func(LiveCluster) {
		cancel(pressed)
	})
	if !errors.Is(err, pressed) {
		t.Errorf("error %v", err)
	}
}

func TestWaitClusters_forbidden(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) { status(w, 403, "Forbidden", "no") })
	fleet, err := c.WaitClusters(t.Context(), []ClusterName{{"default", "dev"}, {"eksa", "test"}}, nil)
	if !errors.As(err, new(*ForbiddenError)) || fleet != nil {
		t.Errorf("error %v, %+v", err, fleet)
	}
}
