package fluxinstall

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestControllerFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		release, controller, image string
		fit                        Fit
		expected                   string
	}{
		{Version, "source-controller", "ghcr.io/fluxcd/source-controller:v1.9.4", FitSame, "v1.9.4"},
		{Version, "source-controller", "public.ecr.aws/x/fluxcd/source-controller:v1.9.0-eks-a-v0.26.0", FitSame, "v1.9.4"},
		{Version, "source-controller", "localhost:5000/source-controller:v1.9.0@sha256:abc", FitSame, "v1.9.4"},
		{"v2.9.0", "helm-controller", "ghcr.io/fluxcd/helm-controller:v1.6.0", FitSame, "v1.6.3"},
		{Version, "helm-controller", "ghcr.io/fluxcd/helm-controller:v0.28.1-eks-a-22", FitOlder, "v1.6.3"},
		{Version, "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller:v0.32.0", FitOlder, "v1.9.4"},
		{Version, "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller:v1.10.0", FitNewer, "v1.9.4"},
		{Version, "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller@sha256:0123", FitUnknown, "v1.9.4"},
		{Version, "kustomize-controller", "registry.example.com:5000/kustomize-controller", FitUnknown, "v1.9.4"},
		{Version, "kustomize-controller", "registry.example.com/kustomize-controller:2026.10.01", FitUnknown, "v1.9.4"},
		{Version, "kustomize-controller", "registry.example.com/kustomize-controller:stable", FitUnknown, "v1.9.4"},
		{"v2.8.5", "source-controller", "ghcr.io/fluxcd/source-controller:v1.8.5", FitSame, "v1.8.0"},
		{"v2.8.5", "source-controller", "ghcr.io/fluxcd/source-controller:v0.36.1", FitOlder, "v1.8.0"},
		{"v2.8.5", "helm-controller", "ghcr.io/fluxcd/helm-controller:v1.5.1", FitUnknown, ""},
		{"v2.8.5", "helm-controller", "ghcr.io/fluxcd/helm-controller:v0.31.0", FitOlder, ""},
		{"v0.41.2", "source-controller", "ghcr.io/fluxcd/source-controller:v0.36.1", FitUnknown, ""},
		{"", "source-controller", "ghcr.io/fluxcd/source-controller:v1.9.4", FitUnknown, ""},
	} {
		if fit, expected := ControllerFit(c.release, c.controller, c.image); fit != c.fit || expected != c.expected {
			t.Errorf("%s %s: %s, %s; want %s, %s", c.release, c.image, fit, expected, c.fit, c.expected)
		}
	}
}

// TestRunningControllers reads what runs from the pods, not from what the Deployments want; without the right to see pods, from Deployments
// that have rolled out.
func TestRunningControllers(t *testing.T) {
	t.Parallel()
	deployment := func(name, image string, updated int) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"flux-system","name":%q,"generation":1},"spec":{"replicas":1,"selector":{"matchLabels":{"app":%q}},
			"template":{"spec":{"containers":[{"name":"manager","image":%q}]}}},"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":%d,"availableReplicas":1}}`, name, name, image, updated)
	}
	pod := func(app, image, ready, more string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"flux-system","name":%q,"labels":{"app":%q}%s},"spec":{"containers":[{"name":"proxy","image":"proxy:v1"},{"name":"manager","image":%q}]},
			"status":{"conditions":[{"type":"Ready","status":%q}]}}`, image, app, more, image, ready)
	}
	for name, want := range map[string]string{
		"pods":      "[{kustomize-controller [kc:v1]} {source-controller [sc:v1 sc:v2]}]",
		"forbidden": "[{kustomize-controller []} {source-controller [sc:v2]}]",
	} {
		c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/deployments"):
				body(w, `{"apiVersion":"apps/v1","kind":"DeploymentList","items":[`+deployment("source-controller", "sc:v2", 1)+","+deployment("kustomize-controller", "kc:v2", 0)+`]}`)
			case name == "forbidden":
				status(w, http.StatusForbidden, "Forbidden", "pods is forbidden")
			default:
				body(w, `{"apiVersion":"v1","kind":"PodList","items":[`+strings.Join([]string{
					pod("source-controller", "sc:v1", "True", ""), pod("source-controller", "sc:v2", "True", ""), pod("source-controller", "sc:v3", "False", ""),
					pod("kustomize-controller", "kc:v1", "True", ""), pod("kustomize-controller", "kc:v0", "True", `,"deletionTimestamp":"2026-01-01T00:00:00Z"`), pod("other", "x:v9", "True", ""),
				}, ",")+`]}`)
			}
		})
		running, err := c.RunningControllers(t.Context(), "flux-system")
		if got := fmt.Sprint(running); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}
