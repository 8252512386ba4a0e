package fluxinstall

import (
	"strings"
	"testing"
)

// Messages as Flux, Kubernetes and EKS Anywhere write them, and a few words of what is said about them.
func TestMeaningOf(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"failed to checkout and determine revision: unable to list remote for " +
			"'ssh://git@github.com/acme/fleet': ssh: handshake failed: knownhosts: key mismatch": "host key",
		"ssh: handshake failed: knownhosts: key is unknown": "host key",
		"ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no " +
			"supported methods remain": "public key is not registered",
		"failed to checkout and determine revision: authentication required": "does not accept the cluster's",
		"ERROR: Repository not found.":                                       "does not open this repository",
		"failed to checkout and determine revision: couldn't find remote ref \"refs/heads/main\"": "the " +
			"branch is not in the repository",
		"git repository is empty":               "the branch is not in the repository",
		"dial tcp 140.82.121.4:22: i/o timeout": "cannot reach the Git server",
		"dial tcp: lookup github.com on 10.96.0.10:53: no such host": "cannot reach the " +
			"Git server",
		`failed to get secret 'flux-system/flux-system': Secret "flux-system" not found`: "Secret",
		`FluxConfig/default/flux dry-run failed (Forbidden): admission webhook "validation.fluxconfig.anywhere.amazonaws.com" denied the request: spec: Forbidden: config is immutable`: "put the old " +
			"value back",
		`Cluster/default/dev dry-run failed: admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: bad`: "a webhook in the cluster " +
			"refuses",
		`Internal error occurred: failed calling webhook "validation.cluster.anywhere.amazonaws.com": connect: connection refused`: "does not answer",
		`Cluster/default/dev dry-run failed: no matches for kind "Cluster" in version "anywhere.eks.amazonaws.com/v1alpha1"`:       "CRD is missing",
		"kustomize build failed: accumulating resources: accumulation err='accumulating resources from " +
			"'eksa-cluster.yaml'": "blocks every cluster",
		"kustomization path not found: stat /tmp/kustomization-1/clusters/mgmt: no such file or " +
			"directory": "blocks every cluster",
		"MalformedYAMLError: yaml: line 3: mapping values are not allowed in this context in File: " +
			"eksa-cluster.yaml": "blocks every cluster",
		"artifact not stored: no space left on device": "disk",
		`Cluster/default/dev dry-run failed (Forbidden): clusters.anywhere.eks.amazonaws.com "dev" is forbidden: ValidatingAdmissionPolicy 'no-friday' with binding 'no-friday' denied request: not today`: "admission policy no-friday of the cluster " +
			"refuses",
		`pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged`: "pod security level",
		`roles.rbac.authorization.k8s.io "x" is forbidden: user "y" is attempting to grant RBAC permissions not currently held`: "cannot give " +
			"away rights",
		`widgets.example.com "x" is forbidden: the owner said no`: "a policy, or a right",
		"ConfigMap/shop namespace not specified: the server could not find the requested " +
			"resource": "ConfigMap/shop in Git names no namespace",
		"unable to clone: context deadline exceeded": "its own time limit",
		"deployments.apps is forbidden: User \"system:serviceaccount:flux-system:kustomize-controller\" " +
			"cannot create resource": "lacks a right",
		"ImagePullBackOff Back-off pulling image \"ghcr.io/fluxcd/source-controller:v1.9.4\"": "cannot " +
			"be pulled",
		"CrashLoopBackOff back-off 5m0s restarting failed container=manager": "look at its logs",
		"Unschedulable 0/1 nodes are available: 1 Insufficient memory.":      "no node",
		"x509: certificate signed by unknown authority":                      "certificate",
		`Deployment.apps "source-controller" is invalid: ` +
			`spec.selector: Invalid value: {}: field is immutable`: "this field cannot change on an object",
		"all is well": "",
	} {
		got, _ := meaningOf(message)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s:\n got %q, want %q", message, got, want)
		}
	}
}
