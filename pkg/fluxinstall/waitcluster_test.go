package fluxinstall

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// clusterAPI serves one Cluster object to get, list and watch; watches stay open and say nothing.
func clusterAPI(t *testing.T, cluster func(request int) string) *Cluster {
	t.Helper()
	var requests counter
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "true" {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		content := cluster(requests.next())
		if content == "" {
			status(w, 404, "NotFound", "there is none")
			return
		}
		encoded, err := yaml.YAMLToJSON([]byte(content))
		if err != nil {
			t.Error(err)
		}
		body(w, string(encoded))
	})
	return c
}

const someCluster = `
apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Cluster
metadata: {name: dev, namespace: default, generation: 2}
`

func TestWaitCluster_timeLimit(t *testing.T) {
	t.Parallel()
	c := clusterAPI(t, func(int) string {
		return someCluster + "status: {failureReason: MissingDependentObjects, failureMessage: " +
			"'fluxconfigs.anywhere.eks.amazonaws.com \"dev\" not found'}"
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var told []string
	err := c.WaitCluster(ctx, "default", "dev", func(p Progress) { told = append(told, p.Message) })
	want := `Cluster default/dev is not ready (MissingDependentObjects): fluxconfigs.anywhere.eks.amazonaws.com "dev" not found`
	var notReady *NotReadyError
	if !errors.As(err, &notReady) || err.Error() != want {
		t.Errorf("error %T %v, want %s", err, err, want)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the error does not say that time was up")
	}
	if len(told) != 1 || told[0] != want {
		t.Errorf("progress %q", told)
	}
}

// A cluster that was there is not waited for when somebody deletes it, whether it takes its time to go or
// not. One that was going when it was looked at first, may come again.
func TestWaitCluster_deleted(t *testing.T) {
	t.Parallel()
	going := strings.Replace(someCluster, "generation: 2",
		"generation: 2, deletionTimestamp: \"2026-01-02T03:04:05Z\", finalizers: [a.example.com/b]", 1)
	ready := someCluster + "status: {observedGeneration: 2, conditions: [{type: Ready, status: \"True\"}]}"
	for name, test := range map[string]struct {
		looks []string
		want  string
	}{
		"at once": {[]string{someCluster, ""},
			"Cluster default/dev was deleted: somebody else did that while this run waited for it"},
		"by and by": {[]string{"", someCluster, going},
			"Cluster default/dev was deleted: somebody else did that while this run waited for it"},
		"before the run": {[]string{going, "", ready}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clusterAPI(t, func(request int) string {
				return test.looks[min(request, len(test.looks))-1]
			})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := c.WaitCluster(ctx, "default", "dev", nil)
			if (err == nil) != (test.want == "") ||
				err != nil && (err.Error() != test.want || !errors.As(err, new(*NotReadyError))) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// Another cluster of the name is not the one whose end is waited for.
func TestWaitGone(t *testing.T) {
	t.Parallel()
	of := func(uid string) string {
		return strings.Replace(someCluster, "generation: 2", "generation: 2, uid: "+uid, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := clusterAPI(t, func(request int) string { return []string{of("a"), of("b")}[min(request, 2)-1] })
	err := c.WaitGone(ctx, "default", "dev", nil)
	const want = "Cluster default/dev is there again: it was deleted, and somebody else created it again " +
		"while this run waited"
	if !errors.As(err, new(*NotReadyError)) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	c = clusterAPI(t, func(request int) string { return []string{of("a"), ""}[min(request, 2)-1] })
	if err := c.WaitGone(ctx, "default", "dev", nil); err != nil {
		t.Error(err)
	}
}

func TestWaitCluster_interrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	pressed := errors.New("interrupted")
	c := clusterAPI(t, func(int) string { return "" })
	err := c.WaitCluster(ctx, "default", "dev", func(p Progress) {
		if p.Message != "Cluster default/dev is not ready: Flux has not created it yet" {
			t.Errorf("progress %q", p.Message)
		}
		cancel(pressed)
	})
	if !errors.Is(err, pressed) || errors.As(err, new(*NotReadyError)) {
		t.Errorf("error %T %v", err, err)
	}
}

// A server that goes away while waiting is waited for, and named when it does not come back.
func TestWaitCluster_serverGoes(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	c := clusterAPI(t, func(int) string {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		return someCluster
	})
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	err := c.WaitCluster(ctx, "default", "dev", func(Progress) { gone.Store(true) })
	if !errors.As(err, new(*UnreachableError)) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %T %v", err, err)
	}
}

func TestWaitCluster_forbidden(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) { status(w, 403, "Forbidden", "no") })
	if err := c.WaitCluster(t.Context(), "default", "dev", nil); !errors.As(err, new(*ForbiddenError)) {
		t.Errorf("error %v", err)
	}
}

func TestClusterProblem(t *testing.T) {
	t.Parallel()
	const name = "Cluster default/dev is not ready"
	for want, content := range map[string]string{
		"": someCluster + `status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}`,
		name + ": EKS Anywhere has not looked at its current state yet": someCluster +
			`status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}`,
		name + ": it has no conditions yet": someCluster + `status: {observedGeneration: 2}`,
		name + " (ScalingUp): " +
			"ControlPlaneReady (ScalingUp): 1 of 3 machines; WorkersReady (ControlPlaneNotInitialized); " +
			"EKS Anywhere is at work on its machines, which takes minutes": someCluster +
			`status: {observedGeneration: 2, conditions: [{type: Ready, status: "False", reason: ScalingUp}, {type: ControlPlaneInitialized, status: "True"}, {type: ControlPlaneReady, status: "False", reason: ScalingUp, message: 1 of 3 machines}, {type: WorkersReady, status: "False", reason: ControlPlaneNotInitialized}]}`,
		name + " (WorkersNotReady): nearly":         someCluster + `status: {observedGeneration: 2, conditions: [{type: Ready, status: "False", reason: WorkersNotReady, message: nearly}, {type: DefaultCNIConfigured, status: "False", reason: SkipUpgradesForDefaultCNIConfigured}]}`,
		name + " (ClusterInvalid): no such version": someCluster + `status: {observedGeneration: 2, failureReason: ClusterInvalid, failureMessage: no such version, conditions: [{type: Ready, status: "True"}]}`,
		name + ": it is being deleted": strings.Replace(someCluster, "generation: 2",
			`generation: 2, deletionTimestamp: "2026-01-01T00:00:00Z"`, 1),
		name + " (Paused): it carries the annotation anywhere.eks.amazonaws.com/paused, so that EKS " +
			"Anywhere does not work on it": strings.Replace(someCluster, "generation: 2",
			`generation: 2, annotations: {anywhere.eks.amazonaws.com/paused: "true"}`, 1),
	} {
		got := ""
		if problem := clusterProblem(parse(t, content), "default", "dev"); problem != nil {
			got = problem.Error()
			if problem.Hint() == "" {
				t.Errorf("%s: no next command", got)
			}
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
