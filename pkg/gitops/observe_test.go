package gitops_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// TestCreate_refuses has one thing wrong at a time, and looks at the findings.
func TestCreate_refuses(t *testing.T) {
	t.Parallel()
	const access, cluster, spec01 = facts.AreaAccess, facts.AreaCluster, facts.AreaSpec
	for name, test := range map[string]struct {
		wrong    func(w *world)
		workload bool
		area     facts.Area
		message  string // a part of the finding's
		hint     string // a part of the finding's
	}{
		"no token": {func(w *world) { w.openHostErr = &github.TokenError{Problem: "is not set"} }, false,
			access, "is not set", ""},
		"no SSH key": {func(w *world) { w.openRepoErr = errors.New("no key") }, false, access, "no key", ""},
		"bad token": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrAuthentication) },
			false, access, "authentication refused", ""},
		"no right": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrPermission) }, false,
			access, "permission denied", ""},
		"single sign-on": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrSSO) }, false,
			access, "single sign-on", ""},
		"no such owner": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrNotFound) },
			false, spec01, "not found", ""},
		"host keys no right": {
			func(w *world) { w.hostKeysErr = fmt.Errorf("asking: %w", github.ErrPermission) }, false, access,
			"permission denied", ""},
		"fetch no log-in": {
			func(w *world) { w.exists, w.fetchErr = true, &git.AuthError{Remote: "https://x/"} }, false,
			access, "reading the repository", "token"},
		"fetch no right": {
			func(w *world) { w.exists, w.fetchErr = true, &git.PermissionError{Remote: "https://x/"} }, false,
			access, "reading the repository", ""},
		"fetch host key": {func(w *world) {
			w.exists, w.fetchErr = true, &git.HostKeyError{Host: "x", Problem: git.HostUnknown}
		}, false, access, "reading the repository", ""},
		"fetch not found": {
			func(w *world) { w.exists, w.fetchErr = true, &git.NotFoundError{Remote: "https://x/"} }, false,
			spec01, "reading the repository", ""},
		"finding auth": {find(github.KindAuth, github.SeverityError), false, access, "found it", "do this"},
		"finding right": {find(github.KindPermission, github.SeverityError), false, access, "found it",
			"do this"},
		"finding config": {find(github.KindConfig, github.SeverityError), false, spec01, "found it",
			"do this"},

		"no kubeconfig": {func(w *world) {
			w.openClusterErr = &fluxinstall.KubeconfigError{Origin: "KUBECONFIG",
				Err: errors.New("no such file")}
		},
			false, cluster, "no such file", ""},
		"unreachable": {func(w *world) {
			w.inspectErr = &fluxinstall.UnreachableError{Server: "https://x", Origin: "KUBECONFIG",
				Err: errors.New("refused")}
		}, false, cluster, "looking at the management cluster", ""},
		"forbidden": {func(w *world) {
			w.inspectErr = &fluxinstall.ForbiddenError{Server: "https://x", Verb: "list",
				Resource: "clusters", Err: errors.New("no")}
		}, false, access, "looking at the management cluster", "list"},
		"no EKS Anywhere": {func(w *world) { w.state.EKSAInstalled, w.state.Clusters = false, nil }, false,
			cluster, "has no EKS Anywhere", "--kubeconfig"},
		"no management cluster": {func(w *world) { w.state.Clusters[0].ManagementCluster = "other" }, false,
			cluster, "has no management Cluster object; the spec names dev", "KUBECONFIG"},
		"wrong cluster": {func(w *world) {
			w.state.Clusters[0].Name, w.state.Clusters[0].ManagementCluster = "prod", "prod"
		},
			false, cluster, "is the management cluster prod, not dev", "kubeconfig of dev"},
		"wrong cluster for a workload": {func(w *world) {
			w.state.Clusters[0].Name, w.state.Clusters[0].ManagementCluster = "prod", "prod"
		},
			true, cluster, "is the management cluster prod, not dev", "kubeconfig of dev"},
		"foreign Flux": {func(w *world) {
			w.state.Flux.Others = []fluxinstall.Other{{Description: "FluxInstance flux-system/flux"}}
		}, false, cluster,
			"FluxInstance flux-system/flux", "remove it first"},
		"other URL": {func(w *world) {
			follow(w)
			w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/old"
		},
			false, cluster, "follows branch main of ssh://git@git.example.com/octo/old; the spec says " +
				"branch main of ssh://git@git.example.com/octo/fleet", ""},
		"other branch": {func(w *world) { follow(w); w.state.Flux.GitRepository.Branch = "old" }, false,
			cluster, "follows branch old of", ""},
		"other path": {func(w *world) { follow(w); w.state.Flux.Kustomization.Path = "./clusters/old" },
			false, cluster, "applies path ./clusters/old; the spec says ./clusters/dev",
			"spec.clusterConfigPath"},
		"path above": {func(w *world) { follow(w); w.state.Flux.Kustomization.Path = "./" }, false, cluster,
			"applies path ./; the spec says", ""},
		"unmanaged management cluster": {func(w *world) {}, true, cluster,
			"management cluster dev is not managed through Git yet", "eksa-gitops create cluster -f"},
		"workload without a Kustomization": {func(w *world) { follow(w); w.state.Flux.Kustomization = nil },
			true, cluster, "is not managed through Git yet", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			test.wrong(w)
			file := "dev"
			if test.workload {
				file = "w01"
			}
			findings := refused(t, w, on(t, spec(file, onGitHub)))
			if len(findings) != 1 {
				t.Fatalf("%d findings: %+v", len(findings), findings)
			}
			f := findings[0]
			if f.Area != test.area || !strings.Contains(f.Message, test.message) ||
				!strings.Contains(f.Hint, test.hint) {
				t.Errorf("%s: %q, hint %q", f.Area, f.Message, f.Hint)
			}
			if got := (&gitops.PreflightError{Findings: findings}).AboutAccess(); got !=
				(test.area == access) {
				t.Errorf("AboutAccess is %v", got)
			}
		})
	}
}

// find makes the host find something.
func find(kind github.Kind, severity github.Severity) func(*world) {
	return func(w *world) {
		w.accessFindings = append(w.accessFindings,
			github.Finding{Severity: severity, Kind: kind, Message: "found it", Hint: "do this"})
	}
}

// follow makes the cluster's Flux follow the right repository.
func follow(w *world) {
	w.state.Flux.GitRepository = &fluxinstall.GitRepositoryState{Name: "flux-system",
		URL: "ssh://git@git.example.com/octo/fleet", Branch: "main"}
	w.state.Flux.Kustomization = &fluxinstall.KustomizationState{Name: "flux-system", Path: "./clusters/dev"}
}

// TestCreate_samePath takes the forms of a path for the same that Flux does.
func TestCreate_samePath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"./clusters/dev", "clusters/dev", "./clusters/dev/", "/clusters/dev"} {
		w := newSmallWorld(t, onGitHub)
		follow(w)
		w.state.Flux.Kustomization.Path = path
		create(t, w, on(t, spec("dev", onGitHub)))
	}
}

// TestCreate_findsAllAtOnce collects what is wrong on all sides. It is not about access alone, so the run
// would not succeed with better credentials.
func TestCreate_findsAllAtOnce(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	follow(w)
	w.state.Flux.GitRepository.Branch, w.state.Flux.Kustomization.Path = "old", "./old"
	w.state.Flux.Others = []fluxinstall.Other{{Description: "one"}, {Description: "two"}}
	find(github.KindAuth, github.SeverityError)(w)
	find(github.KindConfig, github.SeverityError)(w)
	find(github.KindPolicy, github.SeverityError)(w)
	findings := refused(t, w, on(t, spec("dev", onGitHub)))
	var areas []string
	for _, f := range findings {
		areas = append(areas, string(f.Area))
	}
	slices.Sort(areas)
	equal(t, "areas", areas, []string{"access", "access", "cluster", "cluster", "cluster", "cluster", "spec"})
	if (&gitops.PreflightError{Findings: findings}).AboutAccess() ||
		(&gitops.PreflightError{}).AboutAccess() {
		t.Error("AboutAccess")
	}
}

// What alone would not stop a run is told beside what does: the step that has failed never stands there
// without its cause. It does not change the exit code that the others make.
func TestRefused_tellsAllCauses(t *testing.T) {
	t.Parallel()
	options := on(t, spec("dev", onGitHub))
	runs := map[string]func(w *world) (*gitops.Result, error){
		"create": func(w *world) (*gitops.Result, error) {
			return gitops.Create(t.Context(), w.ports(nil), options)
		},
		"upgrade": func(w *world) (*gitops.Result, error) {
			return gitops.Upgrade(t.Context(), w.ports(nil), gitops.UpgradeOptions{CreateOptions: options})
		},
	}
	for name, run := range runs {
		for access, wrong := range map[bool]func(w *world){
			true:  find(github.KindPermission, github.SeverityError),
			false: func(w *world) { w.state.EKSAInstalled = false }} {
			w := newSmallWorld(t, onGitHub)
			find(github.KindPolicy, github.SeverityError)(w)
			wrong(w)
			_, err := run(w)
			var refused *gitops.PreflightError
			if !errors.As(err, &refused) || len(refused.Findings) != 2 || refused.Findings[1] !=
				(facts.Finding{Area: facts.AreaAccess, Message: "found it", Hint: "do this"}) {
				t.Errorf("%s, about access %t: %v", name, access, err)
			} else if refused.AboutAccess() != access {
				t.Errorf("%s: about access is %t, want %t", name, refused.AboutAccess(), access)
			}
		}
	}
}

// TestCreate_soft has a reason for which GitOps cannot be set up now. The cluster goes on without.
func TestCreate_soft(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wrong         func(w *world)
		message, hint string
	}{
		"finding unavailable": {find(github.KindUnavailable, github.SeverityError), "found it", "do this"},
		"finding policy":      {find(github.KindPolicy, github.SeverityError), "found it", "do this"},
		"unavailable": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrUnavailable) },
			"unavailable", ""},
		"rate limit": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrRateLimited) },
			"rate limit", ""},
		"policy": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrPolicy) }, "policy", ""},
		"plan": {func(w *world) { w.accessErr = fmt.Errorf("asking: %w", github.ErrPlan) },
			"not part of the plan", ""},
		"host keys": {func(w *world) { w.hostKeysErr = fmt.Errorf("asking: %w", github.ErrUnavailable) },
			"unavailable", ""},
		"fetch": {func(w *world) {
			w.exists, w.fetchErr = true,
				&git.UnreachableError{Remote: "https://git.example.com/", Reason: "no route"}
		}, "reading the repository", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			test.wrong(w)
			options := on(t, spec("dev", onGitHub))
			synctest.Test(t, func(t *testing.T) { // what passes is tried again for some seconds
				report := &reporter{}
				result, err := gitops.Create(t.Context(), w.ports(report), options)
				if err != nil || result.Status != gitops.StatusGitOpsFailed || !result.Clusters[0].Ready ||
					result.Changed {
					t.Fatalf("%v, %+v", err, result)
				}
				if f := result.Failure; f.Step != "Check access to the repository" ||
					!strings.Contains(f.Message, test.message) || !strings.Contains(f.Hint, test.hint) {
					t.Errorf("%+v", f)
				}
				report.check(t, result)
			})
			equal(t, "calls", w.calls, []string{"SaveLocal dev"})
			equal(t, "waits", w.waits, []string{"WaitCluster dev"})
		})
	}
}

// TestCreate_softForWorkload cannot create a workload cluster without Git, and says why with the hint.
func TestCreate_softForWorkload(t *testing.T) {
	t.Parallel()
	w := managed(t, onGitHub)
	find(github.KindPolicy, github.SeverityError)(w)
	result, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("w01", onGitHub)))
	if !errors.As(err, new(*gitops.IncompleteError)) || !strings.Contains(err.Error(), "found it") ||
		result.Status != gitops.StatusIncomplete {
		t.Errorf("%v, %s", err, result.Status)
	}
	if len(w.effects) > 1 {
		t.Errorf("wrote %v", w.effects)
	}
}

// TestCreate_warning passes a warning on and goes on.
func TestCreate_warning(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGitHub)
	find(github.KindAuth, github.SeverityWarning)(w)
	w.accessFindings = append(w.accessFindings,
		github.Finding{Severity: github.SeverityWarning, Kind: github.KindPolicy, Message: "bare"})
	report := &reporter{}
	result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("dev", onGitHub)))
	if err != nil || result.Status != gitops.StatusDone {
		t.Fatalf("%v, %+v", err, result.Failure)
	}
	for _, want := range []string{"warning: found it; do this", "warning: bare"} {
		if !slices.Contains(report.notes(), want) {
			t.Errorf("no note %q in %q", want, report.notes())
		}
	}
}

// TestCreate_lostBranch has a branch that Flux has applied and that is not there any more. A push of this
// run's files alone would make Flux delete everything else that it has applied, other clusters among it.
func TestCreate_lostBranch(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(w *world){
		"repository": func(w *world) { w.exists, w.keys, w.branches = false, nil, map[string]*tip{} },
		"all":        func(w *world) { w.branches = map[string]*tip{} },
		"branch":     func(w *world) { w.branches = map[string]*tip{"other": w.branches["main"]} },
	} {
		for _, file := range []string{"dev", "w01"} {
			t.Run(name+" for "+file, func(t *testing.T) {
				t.Parallel()
				w := managed(t, onGitHub)
				lose(w)
				findings := refused(t, w, on(t, spec(file, onGitHub)))
				if len(findings) != 1 || findings[0].Area != facts.AreaCluster ||
					!strings.Contains(findings[0].Message, "branch main") || findings[0].Hint == "" {
					t.Errorf("%+v", findings)
				}
			})
		}
	}
}
