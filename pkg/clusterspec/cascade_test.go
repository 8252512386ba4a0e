package clusterspec_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

var specLine = regexp.MustCompile(`^(\s*(?:- )?)([A-Za-z]+):(.*)\n$`)

// slip gives the texts that one slip of a finger makes of a line.
func slip(line string) map[string]string {
	out := map[string]string{"deleted": "", "there twice": line + line, "too far right": "  " + line,
		"too far left": strings.TrimPrefix(line, "  ")}
	match := specLine.FindStringSubmatch(line)
	if match == nil {
		return out
	}
	indent, key, value := match[1], match[2], match[3]
	out["without value"] = indent + key + ":\n"
	out["misspelled"] = indent + key[:len(key)-1] + "zq:" + value + "\n"
	if strings.TrimSpace(value) != "" {
		out["another text"] = indent + key + ": x\n"
		out["a list"] = indent + key + ": [x]\n"
		out["a number"] = indent + key + ": 7\n"
	}
	return out
}

// TestParse_oneMistakeOneProblem makes each slip in each line of real files, one at a time: it is told once,
// and not what follows from it. Where the line is not missing altogether it is told there, or where the file
// stops to make sense.
func TestParse_oneMistakeOneProblem(t *testing.T) {
	t.Parallel()
	// A line that is gone leaves no trace but what it held together; a slip may look like two.
	several := map[string]bool{
		"tinkerbell-template: hardwareSelector: deleted": true, "tinkerbell-template: actions: deleted": true,
		"cluster-newest-fields: helmValues: deleted":   true,
		"taints-and-labels: key: dedicated misspelled": true,
		"docker-fleet: managementCluster: deleted":     true,
	}
	names := []string{
		"vsphere-management-github", "cloudstack-workload-github", "nutanix-management-git",
		"snow-workload-github", "tinkerbell-template", "docker-gitopsconfig", "oidc-and-iam",
		"cluster-newest-fields", "taints-and-labels", "docker-fleet",
	}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := strings.SplitAfter(readSpec(t, name), "\n")
			kinds, repeated := map[string]int{}, false
			for i, line := range lines {
				// Once for each kind, but for a fleet's first two clusters.
				if kind, ok := strings.CutPrefix(line, "kind: "); ok {
					kinds[kind]++
					repeated = kinds[kind] > 1 && !(name == "docker-fleet" && kinds[kind] == 2)
				}
				if strings.TrimSpace(line) == "" || repeated {
					continue
				}
				slips := slip(line)
				for _, kind := range slices.Sorted(maps.Keys(slips)) {
					text := strings.Join(slices.Concat(lines[:i], []string{slips[kind]}, lines[i+1:]), "")
					_, err := clusterspec.Parse([]clusterspec.Source{{Name: "f", Data: []byte(text)}})
					var problems clusterspec.Problems
					errors.As(err, &problems)
					what := fmt.Sprintf("%s: %s %s",
						name, strings.TrimLeft(strings.TrimSpace(line), "- "), kind)
					if len(problems) > 1 && !several[what] {
						t.Errorf("%s (line %d):\n%s", what, i+1, err)
					}
				}
			}
		})
	}
}
