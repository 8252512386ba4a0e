package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// validate --server lets the cluster's own definitions and webhooks speak, at the places in the user's files,
// and writes nothing.
func TestValidate_server(t *testing.T) {
	w := newWorld(t)
	before := w.mark()

	t.Run("accepted", func(t *testing.T) {
		w.run("validate", "-f", "mgmt.yaml", "-f", "dev.yaml", "--server").exits(0).prints(
			"mgmt.yaml: management cluster mgmt (vsphere, Kubernetes 1.33), GitOps: github alice/fleet "+
				"branch main path clusters/mgmt\n",
			"dev.yaml: workload cluster dev of mgmt (vsphere, Kubernetes 1.33), GitOps: github alice/fleet "+
				"branch main path clusters/mgmt\n",
			" would accept 10 objects (dry run, nothing has been changed).\n",
		)
		o := w.run("validate", "-f", "dev.yaml", "--server", "-o", "json").exits(0).json()
		if at(t, o, "server", "asked") != 5.0 || at(t, o, "server", "accepted") != 5.0 ||
			at(t, o, "exitCode") != 0.0 {
			t.Errorf("server is %v", o["server"])
		}
	})

	t.Run("immutable fields", func(t *testing.T) {
		w.write("changed.yaml", spec(t, "mgmt.yaml", "192.168.0.0/16", "192.168.0.0/17",
			"vcenter.example.com", "vcenter2.example.com", "host: 198.18.100.10", "host: 198.18.100.11"))
		printsExactly(t, w.run("validate", "-f", "changed.yaml", "--server").exits(3), `error: changed.yaml:12:13: Cluster mgmt: spec.controlPlaneConfiguration.endpoint.host: Forbidden: field is immutable (webhook validation.cluster.anywhere.amazonaws.com refuses it)
   |
12 |       host: 198.18.100.11
   |             ^^^^^^^^^^^^^
   = expected what the management cluster has: "198.18.100.10"

error: changed.yaml:29:7: Cluster mgmt: spec.clusterNetwork.pods.cidrBlocks: Forbidden: field is immutable (webhook validation.cluster.anywhere.amazonaws.com refuses it)
   |
29 |       cidrBlocks: ["192.168.0.0/17"]
   |       ^^^^^^^^^^
   = expected what the management cluster has: ["192.168.0.0/16"]

error: changed.yaml:43:11: VSphereDatacenterConfig mgmt: spec.server: Forbidden: field is immutable (webhook validation.vspheredatacenterconfig.anywhere.amazonaws.com refuses it)
   |
43 |   server: vcenter2.example.com
   |           ^^^^^^^^^^^^^^^^^^^^
   = expected what the management cluster has: "vcenter.example.com"

3 errors in 1 file
`)
	})

	t.Run("frozen object", func(t *testing.T) {
		if err := stackOf(t).Apply(t.Context(), []byte("apiVersion: anywhere.eks.amazonaws.com/v1alpha1\n"+
			"kind: FluxConfig\nmetadata: {name: mgmt, namespace: default}\n"+
			"spec: {branch: main, systemNamespace: flux-system, clusterConfigPath: clusters/mgmt, github: "+
			"{personal: true, owner: alice, repository: fleet}}\n")); err != nil {
			t.Fatal(err)
		}
		defer remove(t, "anywhere.eks.amazonaws.com", "v1alpha1", "FluxConfig", "default", "mgmt")
		w.run("validate", "-f", "mgmt.yaml", "--server").exits(0)
		w.write("frozen.yaml", spec(t, "mgmt.yaml", "repository: fleet", "repository: fleet\n  branch: next"))
		printsExactly(t, w.run("validate", "-f", "frozen.yaml", "--server").exits(3), `error: frozen.yaml:94:11: FluxConfig mgmt: spec.branch: Forbidden: config is immutable (webhook validation.fluxconfig.anywhere.amazonaws.com refuses it)
   |
94 |   branch: next
   |           ^^^^
   = expected what the management cluster has: "main"

1 error in 1 file
`)
	})

	t.Run("another management cluster", func(t *testing.T) {
		w.write("other.yaml", spec(t, "mgmt.yaml", "name: mgmt", "name: other"))
		printsExactly(t, w.run("validate", "-f", "other.yaml", "--server").exits(3), `error: other.yaml:2:1: Cluster other: creating new cluster on existing cluster is not supported for self managed clusters (webhook validation.cluster.anywhere.amazonaws.com refuses the object)
  |
2 | apiVersion: anywhere.eks.amazonaws.com/v1alpha1
  | ^^^^^^^^^^

1 error in 1 file
`)
	})

	t.Run("no such namespace", func(t *testing.T) {
		w.write("elsewhere.yaml", spec(t, "dev.yaml", "namespace: default", "namespace: elsewhere"))
		printsExactly(t, w.run("validate", "-f", "elsewhere.yaml", "--server").exits(3), `error: elsewhere.yaml:5:14: Cluster dev: metadata.namespace: in the management cluster namespace elsewhere does not exist; the same goes for 4 other objects
  |
5 |   namespace: elsewhere
  |              ^^^^^^^^^
  = expected a namespace that exists; Flux does not create it

1 error in 1 file
`)
	})

	t.Run("no right", func(t *testing.T) {
		path, err := stackOf(t).KubeconfigFor("visitor")
		if err != nil {
			t.Fatal(err)
		}
		out := w.run("validate", "-f", "dev.yaml", "--server", "--kubeconfig", path).exits(4)
		out.tells(`User "visitor" cannot patch resource "clusters" in API group "anywhere.eks.amazonaws.com" in the namespace "default"`,
			`hint: the user needs a Role in namespace default with the rule: apiGroups ["anywhere.eks.amazonaws.com"], resources ["clusters"], verbs ["patch"]`,
			`resources ["vspheremachineconfigs"], verbs ["patch"]`)
		if n := strings.Count(out.stderr, "hint: "); n != 4 {
			t.Errorf("%d hints, want one for each kind:\n%s", n, out.stderr)
		}
	})

	t.Run("schema of the cluster", func(t *testing.T) {
		crd := reference("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "",
			"clusters.anywhere.eks.amazonaws.com")
		patchJSON(t, crd, `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/kubernetesVersion/enum","value":["1.30"]}]`)
		until(t, "the API server has taken note of the definition",
			func() bool { return w.run("validate", "-f", "dev.yaml", "--server").code == 3 })
		printsExactly(t, w.run("validate", "-f", "dev.yaml", "--server").exits(3), `error: dev.yaml:8:22: Cluster dev: spec.kubernetesVersion: Unsupported value: "1.33": supported values: "1.30" (the API server refuses it)
  |
8 |   kubernetesVersion: "1.33"
  |                      ^^^^^^

1 error in 1 file
`)
		patchJSON(t, crd, `[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/gitOpsRef"}]`)
		until(t, "the API server has taken note of the definition", func() bool {
			return strings.Contains(w.run("validate", "-f", "dev.yaml", "--server").stdout, "not declared")
		})
		printsExactly(t, w.run("validate", "-f", "dev.yaml", "--server").exits(3), `error: dev.yaml:35:3: Cluster dev: spec.gitOpsRef: field not declared in schema (the API server refuses it)
   |
35 |   gitOpsRef:
   |   ^^^^^^^^^
   = hint: the EKS Anywhere in the management cluster does not know the field: is it older than what the file is written for?

1 error in 1 file
`)
	})

	t.Run("no such kind", func(t *testing.T) {
		remove(t, "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "",
			"vspheremachineconfigs.anywhere.eks.amazonaws.com")
		w.run("validate", "-f", "dev.yaml", "--server").exits(3).prints(`
error: dev.yaml:52:7: VSphereMachineConfig dev-cp: kind: the cluster has no kind VSphereMachineConfig in anywhere.eks.amazonaws.com/v1alpha1; the same goes for 1 other object
   |
52 | kind: VSphereMachineConfig
   |       ^^^^^^^^^^^^^^^^^^^^
   = expected a management cluster whose EKS Anywhere has the kind
`)
	})

	t.Run("webhook does not answer", func(t *testing.T) {
		if err := stackOf(t).Apply(t.Context(), []byte(deadWebhook)); err != nil {
			t.Fatal(err)
		}
		w.run("validate", "-f", "dev.yaml", "--server").exits(3).prints(
			`error: dev.yaml:89:1: FluxConfig dev: the API server could not decide: Internal error occurred: failed calling webhook "dead.example.com"`)
	})
	before.leavesClusterAlone()

	t.Run("server hangs", func(t *testing.T) {
		if err := stackOf(t).FreezeAPIServer(); err != nil {
			t.Fatal(err)
		}
		out := w.run("validate", "-f", "dev.yaml", "--server", "--timeout", "1s")
		if err := stackOf(t).ThawAPIServer(); err != nil {
			t.Fatal(err)
		}
		out.exits(3).tells(" did not answer within 1s\n", "hint: check that the cluster is well")
	})

	t.Run("server does not answer", func(t *testing.T) {
		if err := stackOf(t).StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := stackOf(t).StartAPIServer(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		out := w.run("validate", "-f", "dev.yaml", "--server", "-o", "json").exits(3).
			tells("cannot be reached", "hint: check that the cluster is up")
		if o := out.json(); at(t, o, "failure", "message") == "" || o["server"] != nil ||
			o["exitCode"] != 3.0 {
			t.Errorf("result: %v", o)
		}
	})
}

// deadWebhook is asked about FluxConfigs, and nobody is there.
const deadWebhook = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: dead
webhooks:
  - name: dead.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    clientConfig:
      url: https://127.0.0.1:1/validate
    rules:
      - apiGroups: [anywhere.eks.amazonaws.com]
        apiVersions: [v1alpha1]
        operations: [CREATE, UPDATE]
        resources: [fluxconfigs]
`

func printsExactly(t *testing.T, out outcome, want string) {
	t.Helper()
	if out.stdout != want {
		t.Errorf("eksa-gitops %s: stdout is\n%s\nwant\n%s\nstderr:\n%s",
			strings.Join(out.args, " "), out.stdout, want, out.stderr)
	}
}

func patchJSON(t *testing.T, u *unstructured.Unstructured, content string) {
	t.Helper()
	if err := stackOf(t).Client().Patch(t.Context(), u,
		client.RawPatch(types.JSONPatchType, []byte(content))); err != nil {
		t.Fatal(err)
	}
}

// until asks again and again; a changed definition takes the API server a moment.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
