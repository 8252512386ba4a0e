package fluxmanifests

import "testing"

func TestControllerFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		release, controller, image string
		fit                        Fit
		expected                   string
	}{
		{Version, "source-controller", "ghcr.io/fluxcd/source-controller:v1.9.4", FitSame, "v1.9.4"},
		{Version, "source-controller", "public.ecr.aws/x/fluxcd/source-controller:v1.9.0-eks-a-v0.26.0",
			FitSame, "v1.9.4"},
		{Version, "source-controller", "localhost:5000/source-controller:v1.9.0@sha256:abc", FitSame,
			"v1.9.4"},
		{"v2.9.0", "helm-controller", "ghcr.io/fluxcd/helm-controller:v1.6.0", FitSame, "v1.6.3"},
		{Version, "helm-controller", "ghcr.io/fluxcd/helm-controller:v0.28.1-eks-a-22", FitOlder, "v1.6.3"},
		{Version, "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller:v0.32.0", FitOlder, "v1.9.4"},
		{Version, "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller:v1.10.0", FitNewer, "v1.9.4"},
		{Version, "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller@sha256:0123", FitUnknown,
			"v1.9.4"},
		{Version, "kustomize-controller", "registry.example.com:5000/kustomize-controller", FitUnknown,
			"v1.9.4"},
		{Version, "kustomize-controller", "registry.example.com/kustomize-controller:2026.10.01", FitUnknown,
			"v1.9.4"},
		{Version, "kustomize-controller", "registry.example.com/kustomize-controller:stable", FitUnknown,
			"v1.9.4"},
		{"v2.8.5", "source-controller", "ghcr.io/fluxcd/source-controller:v1.8.5", FitSame, "v1.8.0"},
		{"v2.8.5", "source-controller", "ghcr.io/fluxcd/source-controller:v0.36.1", FitOlder, "v1.8.0"},
		{"v2.8.5", "helm-controller", "ghcr.io/fluxcd/helm-controller:v1.5.1", FitUnknown, ""},
		{"v2.8.5", "helm-controller", "ghcr.io/fluxcd/helm-controller:v0.31.0", FitOlder, ""},
		{"v0.41.2", "source-controller", "ghcr.io/fluxcd/source-controller:v0.36.1", FitUnknown, ""},
		{"", "source-controller", "ghcr.io/fluxcd/source-controller:v1.9.4", FitUnknown, ""},
	} {
		if fit, expected := ControllerFit(c.release, c.controller, c.image); fit != c.fit ||
			expected != c.expected {
			t.Errorf("%s %s: %s, %s; want %s, %s", c.release, c.image, fit, expected, c.fit, c.expected)
		}
	}
}
