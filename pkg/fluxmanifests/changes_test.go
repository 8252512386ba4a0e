package fluxmanifests_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
)

func replaced(t *testing.T, content []byte, pairs ...string) []byte {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(content, []byte(pairs[i])) {
			t.Fatalf("%q is not there", pairs[i])
		}
		content = bytes.ReplaceAll(content, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return content
}

// tagsOf gives the tag of each controller's image.
func tagsOf(t *testing.T, content []byte) map[string]string {
	t.Helper()
	_, images, err := fluxmanifests.ComponentVersion(content)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for name, image := range images {
		tags[name] = image[strings.LastIndexByte(image, ':')+1:]
	}
	return tags
}

func TestCompareComponents(t *testing.T) {
	t.Parallel()
	content := components(t, fluxmanifests.ComponentsOptions{})
	tags := tagsOf(t, content)
	source, kustomize := tags["source-controller"], tags["kustomize-controller"]
	two := components(t,
		fluxmanifests.ComponentsOptions{Components: []string{"source-controller", "kustomize-controller"}})
	for name, c := range map[string]struct {
		before, after []byte
		want          []string
	}{
		"the same":  {content, content, nil},
		"a comment": {content, append([]byte("# by hand\n"), content...), nil},
		"another release": {
			replaced(t, content, fluxmanifests.Version, "v2.8.0", "source-controller:"+source,
				"source-controller:v1.8.5", "kustomize-controller:"+kustomize, "kustomize-controller:v1.8.0"),
			content,
			[]string{"flux v2.8.0 → " + fluxmanifests.Version, "source-controller v1.8.5 → " + source,
				"kustomize-controller v1.8.0 → " + kustomize},
		},
		// Without notification-controller, the others are told to send no events.
		"components gone": {content, two, []string{
			"source-controller " + source + " (settings)",
			"kustomize-controller " + kustomize + " (settings)",
			"helm-controller " + tags["helm-controller"] + " (removed)",
			"notification-controller " + tags["notification-controller"] + " (removed)",
		}},
		"components added": {two, content, []string{
			"source-controller " + source + " (settings)",
			"kustomize-controller " + kustomize + " (settings)",
			"helm-controller " + tags["helm-controller"] + " (new)",
			"notification-controller " + tags["notification-controller"] + " (new)",
		}},
		"another registry": {
			content, replaced(t, content, "ghcr.io/fluxcd/source-controller:",
				"registry.local:5000/flux/source-controller:"),
			[]string{"source-controller " + source +
				" (image ghcr.io/fluxcd/source-controller → registry.local:5000/flux/source-controller)"},
		},
		"another registry and version": {
			content, replaced(t, content, "ghcr.io/fluxcd/source-controller:"+source,
				"registry.local:5000/flux/source-controller:v9.9.9"),
			[]string{"source-controller " + source + " → v9.9.9 (image ghcr.io/fluxcd/source-controller → " +
				"registry.local:5000/flux/source-controller)"},
		},
		"a digest": {
			content, replaced(t, content, "source-controller:"+source,
				"source-controller:"+source+"@sha256:aa"),
			[]string{"source-controller " + source + " (another digest)"},
		},
		"only a digest": {
			content, replaced(t, content, "source-controller:"+source, "source-controller@sha256:aa"),
			[]string{"source-controller " + source + " → sha256:aa"},
		},
		"settings of a controller": {content, replaced(t, content, "kind: Kustomization\n    listKind",
			"kind: Kustomization\n    x-added: 1\n    listKind"),
			[]string{"kustomize-controller " + kustomize + " (settings)"}},
		"settings of nobody": {content, replaced(t, content, "pod-security.kubernetes.io/warn: restricted",
			"pod-security.kubernetes.io/warn: baseline"),
			[]string{"flux " + fluxmanifests.Version + " (settings)"}},
		"nothing before": {nil, two, []string{"flux " + fluxmanifests.Version + " (new)",
			"source-controller " + source + " (new)", "kustomize-controller " + kustomize + " (new)"}},
		"nothing after": {two, []byte("---\n# empty\n"),
			[]string{"flux " + fluxmanifests.Version + " (removed)",
				"kustomize-controller " + kustomize + " (removed)",
				"source-controller " + source + " (removed)"}},
		"a version that nobody knows": {replaced(t, two,
			"app.kubernetes.io/version: "+fluxmanifests.Version, "app.kubernetes.io/version: \"\""),
			two, []string{"flux unknown → " + fluxmanifests.Version}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes, err := fluxmanifests.CompareComponents(c.before, c.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, change := range changes {
				got = append(got, change.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
	_, err := fluxmanifests.CompareComponents(content, []byte("a: [\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "reading Flux's components as they will be: ") {
		t.Errorf("unreadable: %v", err)
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"v2.9.4", "v2.9.4", 0}, {"2.9.4", "v2.9.4", 0}, {"v2.9.10", "v2.9.4", 1}, {"v2.8.5", "v2.9.4", -1},
		{"v2.10.0", "v2.9.4", 1},
		{"v3.0.0-rc.1", "v2.9.4", 1}, {"v2.9.4-rc.1", "v2.9.4", -1}, {"v2.9.4+eks", "v2.9.4", 0},
	} {
		if got, err := fluxmanifests.CompareVersions(c.a, c.b); err != nil || got != c.want {
			t.Errorf("%s against %s: %d, %v, want %d", c.a, c.b, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "latest", "v2", "sha256:aa"} {
		if _, err := fluxmanifests.CompareVersions("v2.9.4", bad); err == nil ||
			!strings.Contains(err.Error(), "is not a version") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
