package fluxmanifests

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What was generated tells what it was generated with.
func TestGeneratedFrom(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]ComponentsOptions{
		"default": {},
		"all of it": {
			Namespace: "gitops", Components: []string{"source-controller", "kustomize-controller",
				"notification-controller"},
			Registry: "registry.example.com:5000/flux", ImagePullSecret: "pull",
			ClusterDomain:  "k8s.example.com",
			TolerationKeys: []string{"site", "node-role.kubernetes.io/control-plane"}, LogLevel: "debug",
			NoNetworkPolicy: true, OwnNamespaceOnly: true,
		},
		"other order": {Components: []string{"kustomize-controller", "source-controller"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, err := Components(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			read, err := GeneratedFrom(made)
			if err != nil {
				t.Fatal(err)
			}
			if want := options.Chosen(); read.Version != Version || !slices.Equal(read.Components, want) {
				t.Errorf("read %+v, want the components %v", read, want)
			}
			again, err := Components(t.Context(), read)
			if err != nil || !bytes.Equal(again, made) {
				t.Errorf("generating with what was read, %+v, gives other bytes (%v)", read, err)
			}
			if name == "all of it" {
				read.Version = ""
				if !reflect.DeepEqual(read, options) {
					t.Errorf("read %+v, want %+v", read, options)
				}
			}
		})
	}
	for _, content := range []string{"", "kind: Deployment\nmetadata: {name: a}\n",
		"kind: Deployment\nmetadata: [\n"} {
		if got, err := GeneratedFrom([]byte(content)); err == nil {
			t.Errorf("%q gives %+v", content, got)
		}
	}
}

func TestRemovedKinds(t *testing.T) {
	t.Parallel()
	all, err := Components(t.Context(), ComponentsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := Components(t.Context(),
		ComponentsOptions{Components: []string{"source-controller", "kustomize-controller"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before, after []byte
		want          []string
	}{{all, two, []string{"Alert", "HelmRelease", "Provider", "Receiver"}}, {two, all, nil},
		{all, all, nil}} {
		got, err := RemovedKinds(test.before, test.after)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("removed %v (%v), want %v", got, err, test.want)
		}
	}
}

func TestCheckComponents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		components, extra []string
		want              string
	}{
		{nil, nil, ""},
		{nil, []string{"image-reflector-controller"}, ""},
		{[]string{"source-controller", "kustomize-controller"}, nil, ""},
		{[]string{"source-controller", "helm-controller"}, nil, "must include kustomize-controller"},
		{[]string{"kustomize-controller"}, nil, "must include source-controller"},
		{[]string{"source-controller", "kustomize-controller", "source-controller"}, nil,
			"source-controller is named twice"},
		{nil, []string{"imagereflector"},
			`no component "imagereflector"; it has: helm-controller, image-automation-controller`},
	} {
		err := CheckComponents(test.components, test.extra)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v and %v: %v, want %q", test.components, test.extra, err, test.want)
		}
	}
}

const bundlesFile = `apiVersion: anywhere.eks.amazonaws.com/v1alpha1
kind: Bundles
metadata: {name: bundles-91}
spec:
  number: 91
  versionsBundles:
  - kubeVersion: "1.30"
    flux:
      version: v2.8.8+abcdef1
      sourceController: {name: source-controller, uri: "public.ecr.aws/x/fluxcd/source-controller:v1.9.0-eks-a-91"}
      kustomizeController: {name: kustomize-controller, uri: "public.ecr.aws/x/fluxcd/kustomize-controller:v1.9.0-eks-a-91"}
      helmController: {name: helm-controller, uri: "public.ecr.aws/x/fluxcd/helm-controller:v1.6.0-eks-a-91"}
      notificationController: {name: notification-controller, uri: "public.ecr.aws/x/fluxcd/notification-controller:v1.9.0-eks-a-91"}
  - kubeVersion: "1.31"
    flux: {version: v9.9.9}
`

func TestReadBundles(t *testing.T) {
	t.Parallel()
	bundles, err := ReadBundles([]byte(bundlesFile))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"source-controller":       "public.ecr.aws/x/fluxcd/source-controller:v1.9.0-eks-a-91",
		"kustomize-controller":    "public.ecr.aws/x/fluxcd/kustomize-controller:v1.9.0-eks-a-91",
		"helm-controller":         "public.ecr.aws/x/fluxcd/helm-controller:v1.6.0-eks-a-91",
		"notification-controller": "public.ecr.aws/x/fluxcd/notification-controller:v1.9.0-eks-a-91",
	}
	if bundles.Version != "v2.8.8" || !reflect.DeepEqual(bundles.Images, want) {
		t.Errorf("got %+v", bundles)
	}
	for content, want := range map[string]string{
		"a: [": "not valid YAML",
		"a: b": "not a Kubernetes object; it must be kind Bundles of " +
			"anywhere.eks.amazonaws.com/v1alpha1",
		"kind: ConfigMap\napiVersion: v1":                                "it is a ConfigMap of v1",
		"kind: Release\napiVersion: anywhere.eks.amazonaws.com/v1alpha1": "bundleManifestUrl",
		"kind: Bundles\napiVersion: anywhere.eks.amazonaws.com/v1alpha1": "spec.versionsBundles is empty",
		strings.Replace(bundlesFile, "public.ecr.aws/x/fluxcd/helm-controller:v1.6.0-eks-a-91", "",
			1): "flux.helmController.uri is missing",
		strings.Replace(bundlesFile, "public.ecr.aws/x/fluxcd/helm-controller:v1.6.0-eks-a-91",
			"https://public.ecr.aws/x/helm-controller:v1",
			1): `helmController.uri is not an image with a tag: "https://`,
	} {
		if _, err := ReadBundles([]byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
