package fluxinstall

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRunningControllers reads what runs from the pods, not from what the Deployments want; without the right
// to see pods, from Deployments that have rolled out.
func TestRunningControllers(t *testing.T) {
	t.Parallel()
	deployment := func(name, image string, updated int) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"flux-system","name":%q,"generation":1},"spec":{"replicas":1,"selector":{"matchLabels":{"app":%q}},
			"template":{"spec":{"containers":[{"name":"manager","image":%q}]}}},"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":%d,"availableReplicas":1}}`,
			name, name, image, updated)
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
				body(w, `{"apiVersion":"apps/v1","kind":"DeploymentList","items":[`+
					deployment("source-controller", "sc:v2", 1)+","+
					deployment("kustomize-controller", "kc:v2", 0)+`]}`)
			case name == "forbidden":
				status(w, http.StatusForbidden, "Forbidden", "pods is forbidden")
			default:
				body(w, `{"apiVersion":"v1","kind":"PodList","items":[`+strings.Join([]string{
					pod("source-controller", "sc:v1", "True", ""),
					pod("source-controller", "sc:v2", "True", ""), pod("source-controller", "sc:v3", "False",
						""),
					pod("kustomize-controller", "kc:v1", "True", ""), pod("kustomize-controller", "kc:v0",
						"True", `,"deletionTimestamp":"2026-01-01T00:00:00Z"`),
					pod("other", "x:v9", "True", ""),
				}, ",")+`]}`)
			}
		})
		running, err := c.RunningControllers(t.Context(), "flux-system")
		if got := fmt.Sprint(running); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}
