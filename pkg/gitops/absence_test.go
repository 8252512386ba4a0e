package gitops_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// astray is a world whose management cluster dev is up and in Git, as a run in another directory sees it: no
// kubeconfig leads to it.
func astray(t *testing.T, provider string) *world {
	t.Helper()
	w := managed(t, provider)
	w.openClusterErr = provisioner{world: w}.leads()
	w.forget()
	return w
}

func destroying(t *testing.T, provider string) gitops.DeleteOptions {
	t.Helper()
	options := doomed(t, provider, "dev")
	options.Specs = map[string]*clusterspec.Cluster{"dev": parse(t, spec("dev", provider))[0]}
	return options
}

// TestAbsence_delete: a kubeconfig that is not found is no reason to take a management cluster for gone,
// whatever Git has of it.
func TestAbsence_delete(t *testing.T) {
	t.Parallel()
	const unknown = "no kubeconfig leads to management cluster dev, which does not mean that it is gone"
	for _, tc := range []struct {
		name    string
		change  func(w *world)
		message string // empty: there is nothing to do
	}{
		{name: "in Git and alive", message: unknown},
		{name: "nothing in Git", change: func(w *world) {
			w.branches["main"].files = map[string]string{"README.md": "a"}
			w.keys = nil
		},
			message: unknown},
		{name: "a deploy key only",
			change:  func(w *world) { w.branches["main"].files = map[string]string{"README.md": "a"} },
			message: unknown},
		{name: "one of that name was deleted from here, and something is in Git",
			change: func(w *world) { w.deleted["dev"] = true }, message: "you have to say whether"},
		{name: "deleted from here, and nothing is left", change: func(w *world) {
			w.deleted["dev"], w.keys = true, nil
			w.branches["main"].files = map[string]string{"README.md": "a"}
		}},
	} {
		for _, provider := range []string{onGitHub, onGit} {
			if provider == onGit && strings.Contains(tc.name, "deploy key") {
				continue
			}
			for _, dry := range []bool{true, false} {
				w := astray(t, provider)
				if tc.change != nil {
					tc.change(w)
				}
				options := destroying(t, provider)
				options.DryRun = dry
				result, err := gitops.Delete(t.Context(), w.provisioned(), options)
				if len(w.calls) > 0 {
					t.Errorf("%s: it wrote %v", tc.name, w.calls)
				}
				var refused *gitops.PreflightError
				switch {
				case tc.message == "" && (err != nil || result.Changed || result.Clusters[0].Gone == dry):
					t.Errorf("%s: error %v, result %+v", tc.name, err, result)
				case tc.message == "":
				case !errors.As(err, &refused) || len(refused.Findings) != 1 ||
					!strings.Contains(refused.Findings[0].Message, tc.message) ||
					!strings.Contains(refused.Findings[0].Hint, "--from git") || result.Clusters[0].Gone:
					t.Errorf("%s: error %v, gone %v", tc.name, err, result.Clusters[0].Gone)
				}
			}
		}
	}
}

// TestAbsence_word: a person says that the management cluster is gone, and the rest goes, but not against
// what the cluster says itself.
func TestAbsence_word(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(w *world)
		message string // of the refusal; empty: the rest goes
		warned  bool
	}{
		"no kubeconfig": {warned: true},
		"it does not answer": {change: func(w *world) {
			w.openClusterErr, w.inspectErr = nil,
				&fluxinstall.UnreachableError{Server: "https://192.0.2.1:6443", Err: errFault}
		}, warned: true},
		"it answers, and keeps to itself what it has": {
			change:  func(w *world) { w.openClusterErr, w.inspectErr = nil, &fluxinstall.ForbiddenError{} },
			message: "looking whether management cluster dev is gone",
		},
		"it answers, and is there": {change: func(w *world) { w.openClusterErr = nil },
			message: "management cluster dev is still there"},
		"it answers, and has another one": {
			change: func(w *world) { w.openClusterErr, w.state.Clusters = nil, nil }},
	} {
		w := astray(t, onGitHub)
		if tc.change != nil {
			tc.change(w)
		}
		options := destroying(t, onGitHub)
		options.From = gitops.FromGit
		heard := &notes{}
		ports := w.provisioned()
		ports.Report = heard
		result, err := gitops.Delete(t.Context(), ports, options)
		if heard.warned("is assumed to be gone because of --from git") != tc.warned {
			t.Errorf("%s: warnings %q", name, heard.warnings)
		}
		if tc.message != "" {
			if !errors.As(err, new(*gitops.PreflightError)) || !strings.Contains(err.Error(), tc.message) ||
				len(w.calls) > 0 {
				t.Errorf("%s: error %v, calls %v", name, err, w.calls)
			}
			continue
		}
		if err != nil || len(w.keys) > 0 ||
			w.branches["main"].files["clusters/dev/dev/eksa-system/eksa-cluster.yaml"] != "" {
			t.Errorf("%s: error %v, keys %v, files %v", name, err, w.keys, w.branches["main"].files)
		}
		if result.Clusters[0].Gone {
			t.Errorf("%s: a cluster that nobody has seen go is gone", name)
		}
	}
}

// TestAbsence_create: a management cluster is not built a second time by a run that does not find its
// kubeconfig; a person may say so.
func TestAbsence_create(t *testing.T) {
	t.Parallel()
	const signs = "there are signs that it was built already: "
	only := func(files ...string) func(*world) {
		return func(w *world) {
			kept := map[string]string{"README.md": "a"}
			for _, file := range files {
				kept[file] = w.branches["main"].files[file]
			}
			w.branches["main"].files, w.keys = kept, nil
		}
	}
	const devSpec = "clusters/dev/dev/eksa-system/eksa-cluster.yaml"
	policy := []github.Finding{{Severity: github.SeverityError, Kind: github.KindPolicy,
		Message: "deploy keys are off"}}
	for _, tc := range []struct {
		name, provider string
		change         func(w *world)
		message        string // empty: it is built
	}{
		{name: "all of it", message: signs + `deploy key "eksa-gitops dev/flux-system" of octo/fleet, ` +
			devSpec + " in Git, " + componentsPath + " in Git"},
		{name: "all of it, over SSH", provider: onGit, message: signs + devSpec + " in Git"},
		{name: "its file", change: only(devSpec), message: signs + devSpec + " in Git"},
		{name: "Flux's files", change: only(componentsPath), message: signs + componentsPath + " in Git"},
		{name: "a deploy key only", change: func(w *world) { w.branches = map[string]*tip{} },
			message: signs + "deploy key"},
		{name: "its file, and GitOps is against a rule",
			change: func(w *world) { only(devSpec)(w); w.accessFindings = policy }, message: signs + devSpec},
		{name: "the host does not answer",
			change:  func(w *world) { w.accessErr = fmt.Errorf("%w: 503", github.ErrUnavailable) },
			message: "cannot be looked at"},
		{name: "the host answers for itself only", change: func(w *world) {
			w.exists, w.accessFindings = false, []github.Finding{{Severity: github.SeverityError,
				Kind: github.KindUnavailable, Message: "503"}}
		}, message: "cannot be looked at: 503"},
		{name: "the repository does not answer",
			change: func(w *world) { w.fetchErr, w.keys = errFault, nil }, message: "cannot be looked at"},
		{name: "another one's files", change: only("README.md")},
	} {
		for _, dry := range []bool{true, false} {
			provider := tc.provider
			if provider == "" {
				provider = onGitHub
			}
			start := func() (*world, gitops.CreateOptions) {
				w := astray(t, provider)
				w.state.Clusters = nil // a second one is seen as such
				if tc.change != nil {
					tc.change(w)
				}
				options := on(t, spec("dev", provider))
				options.DryRun = dry
				return w, options
			}
			w, options := start()
			_, err := gitops.Create(t.Context(), w.provisioned(), options)
			var refused *gitops.PreflightError
			if tc.message != "" {
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.message) ||
					!strings.Contains(refused.Findings[0].Hint, "--build dev") || len(w.calls) > 0 {
					t.Errorf("%s: error %v, calls %v", tc.name, err, w.calls)
				}
			} else if err != nil || !dry && w.effects[0] != "create dev" {
				t.Errorf("%s: error %v, effects %v", tc.name, err, w.effects)
			}
			for _, word := range []string{"dev", "all"} {
				w, options := start()
				options.Meant.Build = []string{word}
				if _, err := gitops.Create(t.Context(), w.provisioned(), options); err != nil ||
					!dry && w.effects[0] != "create dev" {
					t.Errorf("%s, --build %s: error %v, effects %v", tc.name, word, err, w.effects)
				}
			}
		}
	}
}

// TestAbsence_upgrade: an upgrade needs the cluster, whoever upgrades it, and says where its kubeconfig was
// looked for.
func TestAbsence_upgrade(t *testing.T) {
	t.Parallel()
	for _, dry := range []bool{true, false} {
		for _, specs := range [][]string{{spec("dev", onGitHub)}, {spec("w01", onGitHub)}} {
			w := astray(t, onGitHub)
			options := upgrading(t, specs...)
			options.DryRun = dry
			_, err := gitops.Upgrade(t.Context(), w.provisioned(), options)
			var refused *gitops.PreflightError
			if !errors.As(err, &refused) || len(refused.Findings) != 1 ||
				refused.Findings[0].Area != facts.AreaCluster ||
				!strings.Contains(refused.Findings[0].Message, "there is no kubeconfig") || len(w.calls) > 0 {
				t.Errorf("error %v, calls %v", err, w.calls)
			}
		}
	}
}
