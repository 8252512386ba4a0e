package fluxinstall

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// parse makes an object of YAML.
func parse(t *testing.T, content string) *unstructured.Unstructured {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	return u
}

// git is a GitRepository of generation 2 with a status.
func git(t *testing.T, status string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system, generation: 2}
status: `+status)
}

// ks is a Kustomization of generation 1 with a status.
func ks(t *testing.T, status string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, `
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system, generation: 1}
status: `+status)
}

const (
	gitGood = `{observedGeneration: 2, artifact: {revision: main@sha1:abc}, conditions: [{type: Ready, status: "True", observedGeneration: 2}]}`
	ksGood  = `{observedGeneration: 1, lastAppliedRevision: main@sha1:abc, lastAttemptedRevision: main@sha1:abc, conditions: [{type: Ready, status: "True", observedGeneration: 1}]}`
)

func TestSynced(t *testing.T) {
	t.Parallel()
	replace := strings.ReplaceAll
	for name, test := range map[string]struct {
		git, ks string
		accept  bool
		want    bool
	}{
		"as pushed":     {gitGood, ksGood, false, true},
		"not fetched":   {replace(gitGood, "abc", "old"), ksGood, true, false},
		"not applied":   {gitGood, replace(ksGood, "abc", "old"), true, false},
		"not there yet": {replace(gitGood, "abc", "old"), replace(ksGood, "abc", "old"), false, false},
		"a later commit, accepted": {replace(gitGood, "abc", "new"), replace(ksGood, "abc", "new"),
			true, true},
		"source of an older generation": {
			replace(gitGood, "observedGeneration: 2, artifact", "observedGeneration: 1, artifact"), ksGood,
			true, false},
		"Ready of an older generation": {gitGood,
			replace(ksGood, "{observedGeneration: 1, last", "{observedGeneration: 0, last"), true, false},
		"not ready":   {gitGood, replace(ksGood, `"True"`, `"Unknown"`), true, false},
		"nothing yet": {`{}`, `{}`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			w := &syncWaiter{wait: SyncWait{Branch: "main", Commit: "abc",
				Accept: func(string) bool { asked++; return test.accept }},
				accepted: map[string]bool{}}
			for range 3 {
				if _, got := w.synced(git(t, test.git), ks(t, test.ks)); got != test.want {
					t.Errorf("synced %v, want %v", got, test.want)
				}
			}
			if asked > 1 {
				t.Errorf("asked %d times about one revision", asked)
			}
		})
	}
}

func TestFirstProblem(t *testing.T) {
	t.Parallel()
	failed := func(generation int, reason, message, more string) string {
		return fmt.Sprintf(`{%sconditions: [{type: Ready, status: "False", reason: %s, message: %q, observedGeneration: %d}]}`,
			more, reason, message, generation)
	}
	for name, test := range map[string]struct{ git, ks, want string }{
		"all well": {gitGood, ksGood, ""},
		"deploy key missing": {
			failed(2, "GitOperationFailed", "failed to checkout and determine revision: unable to clone "+
				"'ssh://git@github.com/acme/fleet': ssh: handshake failed: ssh: unable to authenticate, "+
				"attempted methods [none publickey], no supported methods remain", ""),
			ksGood, "GitRepository flux-system/flux-system is not ready (GitOperationFailed): failed to " +
				"checkout and determine revision: unable to clone 'ssh://git@github.com/acme/fleet': ssh: " +
				"handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no " +
				"supported methods remain; the Git server does not accept the cluster's credentials: most " +
				"likely its public key is not registered there (any more)",
		},
		"problem of an older generation": {failed(1, "GitOperationFailed", "no", ""), ksGood, ""},
		"build": {
			gitGood, failed(1, "BuildFailed", "kustomize build failed: accumulating resources: no such file",
				"lastAttemptedRevision: main@sha1:abc, "),
			"Kustomization flux-system/flux-system is not ready (BuildFailed): kustomize build failed: no " +
				"such file; a file in the repository cannot be built, and that blocks every cluster below " +
				"the path: correct or remove it",
		},
		"build of the commit before": {gitGood,
			failed(1, "BuildFailed", "kustomize build failed", "lastAttemptedRevision: main@sha1:old, "), ""},
		"path not in the commit": {
			gitGood, failed(1, "ArtifactFailed",
				"kustomization path not found: stat /tmp/kustomization-1/clusters/mgmt: no such file or "+
					"directory", "lastAttemptedRevision: main@sha1:old, "),
			"Kustomization flux-system/flux-system is not ready (ArtifactFailed): kustomization path not " +
				"found: stat clusters/mgmt: no such file or directory; a file in the repository cannot be " +
				"built, and that blocks every cluster below the path: correct or remove it",
		},
		"source not fetched yet": {`{}`,
			failed(1, "ArtifactFailed", "Source artifact not found, retrying in 30s", ""), ""},
		"dependency": {gitGood,
			failed(1, "DependencyNotReady", "dependency 'flux-system/infra' is not ready", ""), ""},
		"webhook": {
			gitGood, failed(1, "ReconciliationFailed",
				`Cluster/default/mgmt dry-run failed (Forbidden): admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: spec.datacenterRef: field is immutable`,
				"lastAttemptedRevision: main@sha1:abc, "),
			`Kustomization flux-system/flux-system is not ready (ReconciliationFailed): Cluster/default/mgmt dry-run failed (Forbidden): admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: spec.datacenterRef: field is immutable; EKS Anywhere does not allow spec.datacenterRef to change on a cluster that exists: put the old value back in Git`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			problem := firstProblem(git(t, test.git), ks(t, test.ks))
			if problem != nil {
				got = problem.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	suspended := git(t, gitGood)
	if err := unstructured.SetNestedField(suspended.Object, true, "spec", "suspend"); err != nil {
		t.Fatal(err)
	}
	stalled := `{conditions: [{type: Stalled, status: "True", reason: URLInvalid, message: bad URL, observedGeneration: 2}]}`
	for name, test := range map[string]struct {
		object           *unstructured.Unstructured
		wantText, wantDo string
	}{
		"well": {git(t, gitGood), "", ""},
		"suspended": {
			suspended, "GitRepository flux-system/flux-system is not ready (Suspended): " +
				"somebody suspended it, so that nothing is applied",
			`resume it: kubectl -n flux-system patch gitrepository.source.toolkit.fluxcd.io flux-system --type merge -p '{"spec":{"suspend":false}}'`,
		},
		"stalled": {
			git(t, stalled), "GitRepository flux-system/flux-system is not ready (URLInvalid): bad URL",
			"kubectl -n flux-system describe gitrepository.source.toolkit.fluxcd.io flux-system",
		},
		"stalled before the last change": {
			git(t, strings.Replace(stalled, "observedGeneration: 2", "observedGeneration: 1", 1)), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problem := &NotReadyError{}
			if problems := stopped(test.object, ks(t, ksGood)); len(problems) > 0 {
				problem = problems[0]
			}
			if test.wantText == "" && *problem != (NotReadyError{}) {
				t.Errorf("problem %v", problem)
			}
			if test.wantText != "" &&
				(problem.Error() != test.wantText || problem.Hint().String() != test.wantDo) {
				t.Errorf("got  %s\n     %s\nwant %s\n     %s",
					problem.Error(), problem.Hint(), test.wantText, test.wantDo)
			}
		})
	}
}

func TestWaitingFor(t *testing.T) {
	t.Parallel()
	applying := `{conditions: [{type: Ready, status: "Unknown", message: "Building manifests for revision main@sha1:abc with a timeout of 9m30s"}]}`
	for want, test := range map[string]struct{ ks, fetched string }{
		"GitRepository flux-system/flux-system is not ready: it has fetched nothing yet": {ksGood, ""},
		"GitRepository flux-system/flux-system is not ready: it has fetched main@sha1:old": {ksGood,
			"main@sha1:old"},
		"Kustomization flux-system/flux-system is not ready: it has fetched the commit and is applying it": {
			ksGood, "main@sha1:abc"},
		"Kustomization flux-system/flux-system is not ready: Building manifests for revision main@sha1:abc " +
			"with a timeout of 9m30s": {applying, "main@sha1:abc"},
	} {
		if got := waitingFor(git(t, gitGood), ks(t, test.ks), "main@sha1:abc", test.fetched).Error(); got !=
			want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestRolledOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec, status string
		want         bool
	}{
		"done": {"{replicas: 1}",
			"{observedGeneration: 3, replicas: 1, updatedReplicas: 1, availableReplicas: 1}", true},
		"default replicas": {"{}",
			"{observedGeneration: 3, replicas: 1, updatedReplicas: 1, availableReplicas: 1}", true},
		"scaled to none": {"{replicas: 0}", "{observedGeneration: 3}", true},
		"not looked at yet": {"{replicas: 1}",
			"{observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1}", false},
		"not updated": {"{replicas: 2}",
			"{observedGeneration: 3, replicas: 2, updatedReplicas: 1, availableReplicas: 2}", false},
		"old pods still there": {"{replicas: 1}",
			"{observedGeneration: 3, replicas: 2, updatedReplicas: 1, availableReplicas: 2}", false},
		"new pods not available": {"{replicas: 1}",
			"{observedGeneration: 3, replicas: 1, updatedReplicas: 1}", false},
		"no status": {"{replicas: 1}", "{}", false},
	} {
		deployment := parse(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, generation: 3}\n"+
			"spec: "+test.spec+"\nstatus: "+test.status)
		if got := rolledOut(deployment); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPodProblem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ status, reason, message string }{
		"starting": {`{containerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]}`, "", ""},
		"running":  {`{containerStatuses: [{state: {running: {}}}]}`, "", ""},
		"image": {`{containerStatuses: [{state: {running: {}}}, {state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image "a"'}}}]}`,
			"ImagePullBackOff", `Back-off pulling image "a"`},
		"init": {`{initContainerStatuses: [{state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m0s}}}], containerStatuses: [{state: {waiting: {reason: PodInitializing}}}]}`,
			"CrashLoopBackOff", "back-off 5m0s"},
		"no node": {`{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available: 1 node(s) had untolerated taint"}]}`,
			"Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint"},
		"no status ": {`{}`, "", ""},
	} {
		reason, message := podProblem(parse(t,
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: "+test.status))
		if reason != test.reason || message != test.message {
			t.Errorf("%s: %q %q", name, reason, message)
		}
	}
}

// Of all that is not well with the controllers, the most telling is told.
func TestUnavailableController(t *testing.T) {
	t.Parallel()
	deployment := func(name, status string) string {
		return `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"a","name":"` + name +
			`","generation":1},"spec":{"selector":{"matchLabels":{"app":"` + name + `"}}},"status":` +
			status + `}`
	}
	pod := func(app, status string) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"app":"` + app +
			`"}},"status":` + status + `}`
	}
	const (
		up       = `{"observedGeneration":1,"replicas":1,"updatedReplicas":1,"availableReplicas":1}`
		starting = `{"observedGeneration":1,"replicas":1,"updatedReplicas":1}`
		quota    = `{"observedGeneration":1,"conditions":[{"type":"ReplicaFailure","status":"True","reason":"FailedCreate","message":"exceeded quota: q"}]}`
		image    = `{"containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff","message":"no"}}}]}`
	)
	for name, test := range map[string]struct {
		deployments, pods []string
		want              string
	}{
		"all up": {[]string{deployment("kustomize-controller", up), deployment("source-controller", up)}, nil,
			""},
		"none": {nil, nil, "Deployment a/source-controller is not ready: it does not exist; nothing " +
			"fetches or applies without it"},
		"one gone": {[]string{deployment("source-controller", up)}, nil, "Deployment " +
			"a/kustomize-controller is not ready: it does not exist; nothing fetches or applies without it"},
		"starting": {
			[]string{deployment("helm-controller", starting), deployment("kustomize-controller", starting),
				deployment("source-controller", up)},
			nil, "Deployment a/kustomize-controller is not ready: its pods are starting",
		},
		"one cannot start": {
			[]string{deployment("helm-controller", starting), deployment("kustomize-controller", starting),
				deployment("source-controller", starting)},
			[]string{pod("other", image), pod("helm-controller", image)},
			"Deployment a/helm-controller is not ready (ImagePullBackOff): no; the image cannot be pulled: " +
				"look at the registry, its credentials and the network",
		},
		"two cannot start": {
			[]string{deployment("helm-controller", quota), deployment("kustomize-controller", up),
				deployment("source-controller", starting)},
			[]string{pod("source-controller", image)},
			"Deployment a/source-controller is not ready (ImagePullBackOff): no; the image cannot be " +
				"pulled: look at the registry, its credentials and the network",
		},
		"no pods at all": {
			[]string{deployment("kustomize-controller", quota), deployment("source-controller", up)}, nil,
			"Deployment a/kustomize-controller is not ready (FailedCreate): exceeded quota: q; a resource " +
				"quota of the namespace is used up",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/pods") {
					body(w, `{"apiVersion":"v1","kind":"PodList","items":[`+strings.Join(test.pods, ",")+`]}`)
					return
				}
				body(w, `{"apiVersion":"apps/v1","kind":"DeploymentList","items":[`+
					strings.Join(test.deployments, ",")+`]}`)
			})
			got := ""
			deployments, pods, err := c.controllers(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if problems := controllerProblems("a", deployments, pods); len(problems) > 0 {
				got = problems[0].Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// A server that has just come back refuses everybody for a moment: that is waited out, and only then.
func TestRetry_serverWarmsUp(t *testing.T) {
	t.Parallel()
	var requests counter
	c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
		switch requests.next() {
		case 1, 5:
			body(w, someNamespace)
		case 2, 3:
			panic(http.ErrAbortHandler) // the library tries once more by itself
		default:
			status(w, 403, "Forbidden", "not yet")
		}
	})
	for range 2 {
		if _, err := c.get(t.Context(), namespaceKind(), "", "a"); err != nil {
			t.Fatal(err)
		}
	}
	c.contact.lost.Store(time.Now().Add(-time.Minute).UnixNano())
	if _, err := c.get(t.Context(), namespaceKind(), "", "a"); !errors.As(err, new(*ForbiddenError)) {
		t.Errorf("error %v", err)
	}
}
