package fluxinstall

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Messages of kustomize-controller 1.9.4 and source-controller 1.9.4, and what is told of them. Those of
// builds are from the controllers' own build code (fluxcd/pkg/kustomize); the others are put together as the
// sources of the controllers and of fluxcd/pkg/ssa do it.
func TestCondition_Words(t *testing.T) {
	t.Parallel()
	const root = "/tmp/kustomization-1245304294/"
	for name, tc := range map[string]struct{ message, words, culprit string }{
		"what went well before": {
			"Cluster/default/dev dry-run failed (Forbidden): admission webhook " +
				"\"validation.cluster.anywhere.amazonaws.com\" denied the request: spec.x: field " +
				"is immutable\nCustomResourceDefinition/buckets.source.toolkit.fluxcd.io configured\n" +
				"Namespace/flux-system configured\nClusterRole/crd controller created\n",
			`Cluster/default/dev dry-run failed (Forbidden): admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: spec.x: field is immutable`,
			"Cluster/default/dev",
		},
		"a list of them that was cut": {
			"Cluster/default/dev dry-run failed: no\nNamespace/a configured\nNamespace/b con...",
			"Cluster/default/dev dry-run failed: no", "Cluster/default/dev",
		},
		"nothing but them is a message": {"Namespace/a configured", "Namespace/a configured", ""},
		"build: bad patch": {
			"kustomize build failed: accumulating resources: accumulation err='accumulating resources from " +
				"'./dev': read " + root +
				"clusters/mgmt/dev: is a directory': recursed accumulation of path '" +
				root + "clusters/mgmt/dev': trouble configuring builtin PatchTransformer with config: `\n" +
				"patch: nothing\ntarget:\n  kind: ConfigMap\n" +
				"`: unable to parse SM or JSON patch from [patch: \"nothing\"]",
			"kustomize build failed: clusters/mgmt/dev: trouble configuring builtin PatchTransformer: " +
				"unable to parse SM or JSON patch from [patch]",
			"clusters/mgmt/dev",
		},
		"build: component": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating components: loader.New \"must build at directory: not a " +
				"valid directory: evalsymlink failure on '" + root + "clusters/mgmt/dev/c' : lstat " + root +
				"clusters/mgmt/dev/c: no such file or directory\"",
			`kustomize build failed: clusters/mgmt/dev/c: accumulating components: loader.New "must build at directory: not a valid directory: evalsymlink failure on 'clusters/mgmt/dev/c' : lstat clusters/mgmt/dev/c: no such file or directory"`,
			"clusters/mgmt/dev/c",
		},
		"build: cycle": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'../dev': read " + root +
				"clusters/mgmt/dev: is a directory': cycle detected: candidate root '" + root +
				"clusters/mgmt/dev' contains visited root '" + root + "clusters/mgmt/dev'",
			"kustomize build failed: clusters/mgmt/dev: cycle detected: candidate root 'clusters/mgmt/dev' " +
				"contains visited root 'clusters/mgmt/dev'",
			"clusters/mgmt/dev",
		},
		"build: dir without": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'below': read " +
				root + "clusters/mgmt/dev/below: is a directory': couldn't make target for path '" + root +
				"clusters/mgmt/dev/below': unable to find one of 'kustomization.yaml', 'kustomization.yml' " +
				"or 'Kustomization' in directory '" + root + "clusters/mgmt/dev/below'",
			"kustomize build failed: clusters/mgmt/dev/below: unable to find one of 'kustomization.yaml', " +
				"'kustomization.yml' or 'Kustomization' in directory 'clusters/mgmt/dev/below'",
			"clusters/mgmt/dev/below",
		},
		"build: empty kust": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': couldn't make target for path '" + root +
				"clusters/mgmt/dev': kustomization.yaml is empty",
			"kustomize build failed: clusters/mgmt/dev: kustomization.yaml is empty",
			"clusters/mgmt/dev",
		},
		"build: generator": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': loading KV pairs: file sources: [gone.txt]: open " + root +
				"clusters/mgmt/dev/gone.txt: no such file or directory",
			"kustomize build failed: clusters/mgmt/dev/gone.txt: loading KV pairs: file sources: " +
				"[gone.txt]: open clusters/mgmt/dev/gone.txt: no such file or directory",
			"clusters/mgmt/dev/gone.txt",
		},
		"build: json patch": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': remove operation does not apply: doc is missing path: \"/data/none\": " +
				"missing value",
			`kustomize build failed: clusters/mgmt/dev: remove operation does not apply: doc is missing path: "/data/none": missing value`,
			"clusters/mgmt/dev",
		},
		"build: malformed": {
			"failed to decode Kubernetes YAML from " + root + "clusters/mgmt/a.yaml: MalformedYAMLError: " +
				"yaml: line 4: mapping values are not allowed in this context",
			"failed to decode Kubernetes YAML from clusters/mgmt/a.yaml: MalformedYAMLError: yaml: line 4: " +
				"mapping values are not allowed in this context",
			"clusters/mgmt/a.yaml",
		},
		"build: malformed nested": {
			"kustomize build failed: accumulating resources: accumulation err='accumulating resources from " +
				"'./dev/eksa-system': read " + root +
				"clusters/mgmt/dev/eksa-system: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev/eksa-system': accumulating resources: accumulating resources from " +
				"'eksa-cluster.yaml': MalformedYAMLError: yaml: line 5: mapping values are not allowed in " +
				"this context in File: eksa-cluster.yaml",
			"kustomize build failed: clusters/mgmt/dev/eksa-system/eksa-cluster.yaml: MalformedYAMLError: " +
				"yaml: line 5: mapping values are not allowed in this context",
			"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml",
		},
		"build: missing dir": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'gone': open " + root + "clusters/mgmt/dev/gone: no such file or directory': must " +
				"build at directory: not a valid directory: evalsymlink failure on '" + root +
				"clusters/mgmt/dev/gone' : lstat " + root +
				"clusters/mgmt/dev/gone: no such file or directory",
			"kustomize build failed: clusters/mgmt/dev/gone: no such file or directory",
			"clusters/mgmt/dev/gone",
		},
		"build: missing file": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'gone.yaml': open " + root + "clusters/mgmt/dev/gone.yaml: no such file or directory': " +
				"must build at directory: not a valid directory: evalsymlink failure on '" + root +
				"clusters/mgmt/dev/gone.yaml' : lstat " + root +
				"clusters/mgmt/dev/gone.yaml: no such file or directory",
			"kustomize build failed: clusters/mgmt/dev/gone.yaml: no such file or directory",
			"clusters/mgmt/dev/gone.yaml",
		},
		"build: no name": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'a.yaml': missing metadata.name in object {{v1 Secret} {{ x} map[] map[]}}': must build " +
				"at directory: '" + root + "clusters/mgmt/dev/a.yaml': file is not directory",
			"kustomize build failed: clusters/mgmt/dev/a.yaml: missing metadata.name in object v1 Secret",
			"clusters/mgmt/dev/a.yaml",
		},
		"build: no name gen": {
			"failed to decode Kubernetes YAML from " + root +
				"clusters/mgmt/a.yaml: missing metadata.name in object {{v1 Secret} {{ x} map[] map[]}}",
			"failed to decode Kubernetes YAML from clusters/mgmt/a.yaml: missing metadata.name in object " +
				"v1 Secret",
			"clusters/mgmt/a.yaml",
		},
		"build: not an object": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'a.yaml': missing Resource metadata': must build at directory: '" + root +
				"clusters/mgmt/dev/a.yaml': file is not directory",
			"kustomize build failed: clusters/mgmt/dev/a.yaml: missing Resource metadata",
			"clusters/mgmt/dev/a.yaml",
		},
		"build: outside": {
			"kustomize build failed: accumulating resources: accumulation err='accumulating resources from " +
				"'./dev': read " + root +
				"clusters/mgmt/dev: is a directory': recursed accumulation of path '" +
				root + "clusters/mgmt/dev': accumulating resources: accumulation err='accumulating " +
				"resources from '../../../../../etc': fs-security-constraint read /etc: path '/etc' is not " +
				"in or below '/tmp/kustomization-1245304294'': must build at directory: not a valid " +
				"directory: fs-security-constraint abs /etc: path '/etc' is not in or below " +
				"'/tmp/kustomization-1245304294'",
			"kustomize build failed: clusters/mgmt/dev: fs-security-constraint read /etc: path '/etc' is " +
				"not in or below the repository",
			"clusters/mgmt/dev",
		},
		"build: patch file": {
			"kustomize build failed: accumulating resources: accumulation err='accumulating resources from " +
				"'./dev': read " + root +
				"clusters/mgmt/dev: is a directory': recursed accumulation of path '" +
				root + "clusters/mgmt/dev': trouble configuring builtin PatchTransformer with config: `\n" +
				"path: gone.yaml\n`: failed to get the patch file from path(gone.yaml): open " + root +
				"clusters/mgmt/dev/gone.yaml: no such file or directory",
			"kustomize build failed: clusters/mgmt/dev/gone.yaml: trouble configuring builtin " +
				"PatchTransformer: failed to get the patch file from path(gone.yaml): open " +
				"clusters/mgmt/dev/gone.yaml: no such file or directory",
			"clusters/mgmt/dev/gone.yaml",
		},
		"build: patch target": {
			"kustomize build failed: accumulating resources: accumulation err='accumulating resources from " +
				"'./dev': read " + root +
				"clusters/mgmt/dev: is a directory': recursed accumulation of path '" +
				root + "clusters/mgmt/dev': no resource matches strategic merge patch " +
				"\"ConfigMap.v1.[noGrp]/none.[noNs]\": no matches for Id ConfigMap.v1.[noGrp]/none.[noNs]; " +
				"failed to find unique target for patch ConfigMap.v1.[noGrp]/none.[noNs]",
			`kustomize build failed: clusters/mgmt/dev: no resource matches strategic merge patch "ConfigMap.v1.[noGrp]/none.[noNs]": no matches for Id ConfigMap.v1.[noGrp]/none.[noNs]; failed to find unique target for patch ConfigMap.v1.[noGrp]/none.[noNs]`,
			"clusters/mgmt/dev",
		},
		"build: remote": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': recursed accumulation of path '" + root +
				"clusters/mgmt/dev': accumulating resources: accumulation err='accumulating resources from " +
				"'https://github.com/acme/base//x?ref=v1': Get \"https://github.com/acme/base//x?ref=v1\": " +
				"dial tcp: lookup github.com on 10.255.255.53:53: no such host': failed to run " +
				"'/usr/bin/git fetch --depth=1 https://github.com/acme/base v1': fatal: unable to access " +
				"'https://github.com/acme/base/': Could not resolve host: github.com\n: exit status 128",
			"kustomize build failed: clusters/mgmt/dev: failed to run '/usr/bin/git fetch --depth=1 " +
				"https://github.com/acme/base v1': fatal: unable to access " +
				"'https://github.com/acme/base/': Could not resolve host: github.com; : exit status 128",
			"clusters/mgmt/dev",
		},
		"build: twice": {
			"kustomize build failed: accumulating resources: accumulation err='merging resources from " +
				"'./b.yaml': may not add resource with an already registered id: " +
				"ConfigMap.v1.[noGrp]/a.[noNs]': must build at directory: '" + root +
				"clusters/mgmt/b.yaml': file is not directory",
			"kustomize build failed: clusters/mgmt/b.yaml: may not add resource with an already registered " +
				"id: ConfigMap.v1.[noGrp]/a.[noNs]",
			"clusters/mgmt/b.yaml",
		},
		"build: two": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': couldn't make target for path '" + root +
				"clusters/mgmt/dev': Found multiple kustomization files under: " + root + "clusters/mgmt/dev",
			"kustomize build failed: clusters/mgmt/dev: Found multiple kustomization files under: " +
				"clusters/mgmt/dev",
			"clusters/mgmt/dev",
		},
		"build: unknown kfield": {
			"kustomize build failed: accumulating resources: " +
				"accumulation err='accumulating resources from './dev': read " +
				root + "clusters/mgmt/dev: is a directory': couldn't make target for path '" + root +
				"clusters/mgmt/dev': invalid Kustomization: json: unknown field \"resourcs\"",
			`kustomize build failed: clusters/mgmt/dev: invalid Kustomization: json: unknown field "resourcs"`,
			"clusters/mgmt/dev",
		},
		"credentials in addresses": {
			"failed to checkout and determine revision: unable to clone " +
				"'https://bob:hunter2@git.example.com/fleet': " +
				"ssh://git:hunter2@git.example.com:2222/fleet: https://hunter2@git.example.com/fleet: " +
				"ssh://git@git.example.com",
			"failed to checkout and determine revision: unable to clone " +
				"'https://***@git.example.com/fleet': ssh://git:***@git.example.com:2222/fleet: " +
				"https://***@git.example.com/fleet: ssh://git@git.example.com",
			"",
		},
		"not well, in any order": {
			"health check failed after 6.0123s: timeout waiting for: [Deployment/apps/web status: " +
				"'InProgress', CustomResourceDefinition/widgets.example.com status: 'Unknown': a, b, " +
				"Deployment/apps/api status: 'Failed']",
			"timeout waiting for: CustomResourceDefinition/widgets.example.com status: 'Unknown': a, b; " +
				"Deployment/apps/api status: 'Failed'; Deployment/apps/web status: 'InProgress'",
			"Deployment/apps/api",
		},
		"not well, more than a few": {
			"failed early due to stalled resources: [Job/a/e status: 'Failed', Job/a/d status: 'Failed', " +
				"Job/a/c status: 'Failed', Job/a/b status: 'Failed', can't determine status for Job/a/a]",
			"failed early due to stalled resources: Job/a/b status: 'Failed'; Job/a/c status: 'Failed'; " +
				"Job/a/d status: 'Failed'; and 2 more", "Job/a/b",
		},
		"not well before the rest was applied": {
			"timeout waiting for: [CustomResourceDefinition/a.example.com status: 'InProgress']\n" +
				"CustomResourceDefinition/a.example.com created\nNamespace/b created\n",
			"timeout waiting for: CustomResourceDefinition/a.example.com status: 'InProgress'", "",
		},
		"not deleted": {
			`delete failed, errors: Cluster/default/dev delete failed: admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: it is paused; resume it;ConfigMap/default/a delete failed: no;`,
			`Cluster/default/dev delete failed: admission webhook "validation.cluster.anywhere.amazonaws.com" denied the request: it is paused; resume it; ConfigMap/default/a delete failed: no`,
			"Cluster/default/dev",
		},
		"an object that is none": {
			"failed to decode Kubernetes apiVersion, kind and name from: {\"kind\":\"Secret\",\n" +
				"\"stringData\":{\"password\":\"hunter2\"}}",
			"failed to decode Kubernetes apiVersion, kind and name", "",
		},
		"a Secret's values": {
			`Secret/default/token dry-run failed (Invalid): Secret "token" is invalid: [data[a b]: Invalid value: "hunter\"2 x": no, stringData: Invalid value: 1234: no]; .stringData.token: expected string, got &value.valueUnstructured{Value:12345678}`,
			`Secret/default/token dry-run failed (Invalid): Secret "token" is invalid: [data[a b]: Invalid value: ***: no, stringData: Invalid value: ***: no]; .stringData.token: expected string, got &value.valueUnstructured{Value:***}`,
			"Secret/default/token",
		},
		"many fields, on lines": {
			"Deployment/apps/web dry-run failed: failed to create typed patch object (apps/web; " +
				"apps/v1, Kind=Deployment): errors:\n  .spec.foo: field not declared in schema\n" +
				"  .spec.replics: field not declared in schema\n",
			"Deployment/apps/web dry-run failed: failed to create typed patch object (apps/web; apps/v1, " +
				"Kind=Deployment): errors: .spec.foo: field not declared in schema; .spec.replics: field " +
				"not declared in schema",
			"Deployment/apps/web",
		},
		"words that look like them": {"Cluster/default/dev dry-run failed: no\nit was created",
			"Cluster/default/dev dry-run failed: no; it was created", "Cluster/default/dev"},
	} {
		c := Condition{Message: tc.message}
		if got := c.Words(); got != tc.words {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.words)
		}
		if got := c.Culprit(); got != tc.culprit {
			t.Errorf("%s: blames %q, want %q", name, got, tc.culprit)
		}
	}
}

// Whatever a message is, the beginning and the end of it are told, on one line.
func TestCondition_Words_bounded(t *testing.T) {
	t.Parallel()
	message := "Cluster/default/dev dry-run failed:\n" +
		strings.Repeat("- spec.größe: zu groß\n", 200) + "the cause of all"
	words := Condition{Message: message}.Words()
	if n := utf8.RuneCountInString(words); n > mostWords+3 || n < mostWords-50 {
		t.Errorf("%d characters", n)
	}
	if !strings.HasPrefix(words, "Cluster/default/dev dry-run failed: spec.größe: zu groß; ") ||
		!strings.HasSuffix(words, "; the cause of all") || strings.Contains(words, "\n") ||
		!strings.Contains(words, " … ") || !utf8.ValidString(words) {
		t.Error(words)
	}
}
