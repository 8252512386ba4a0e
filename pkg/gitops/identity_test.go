package gitops_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// frozenConfig is the live configuration of onGitHub, under the name that the repository had then.
func frozenConfig(repository string) object {
	return object{"branch": "main", "systemNamespace": "flux-system", "clusterConfigPath": "clusters/dev",
		"github": object{"owner": "octo", "repository": repository, "personal": true}}
}

// estate makes the world's repository be called octo/estate now; GitHub redirects octo/fleet.
func estate(w *world) {
	w.names = map[string]string{"octo/fleet": "octo/estate", "octo/estate": "octo/estate"}
}

// named gives options for the repository under another name.
func named(settings *gitops.Settings, name string) {
	for _, address := range []*string{&settings.Remote.Web, &settings.Remote.Push, &settings.Remote.Cluster} {
		*address = strings.Replace(*address, "octo/fleet", name, 1)
	}
}

const (
	renamedText = "warning: repository octo/fleet is now called octo/estate; GitHub redirects the old " +
		"name, for Flux as well, until somebody makes a new octo/fleet; "
	nothingText = renamedText + "nothing has to be done: leave the old name in the file, because EKS " +
		"Anywhere does not let a FluxConfig change"
)

// A repository that was renamed or transferred goes on under the old name, and its new one is said once.
func TestRenamed(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *world {
		w := fleetWorld(t, onGitHub, "w01")
		w.live("FluxConfig", "dev", frozenConfig("fleet"))
		estate(w)
		return w
	}
	for name, run := range map[string]func(w *world, r *reporter) (*gitops.Result, error){
		"create again": func(w *world, r *reporter) (*gitops.Result, error) {
			return gitops.Create(t.Context(), w.ports(r), on(t, spec("dev", onGitHub)))
		},
		"create a workload cluster": func(w *world, r *reporter) (*gitops.Result, error) {
			return gitops.Create(t.Context(), w.ports(r), on(t, spec("w02", onGitHub)))
		},
		"upgrade": func(w *world, r *reporter) (*gitops.Result, error) {
			return gitops.Upgrade(t.Context(), w.ports(r),
				upgrading(t, edited(t, spec("w01", onGitHub), version, version34)))
		},
		"delete": func(w *world, r *reporter) (*gitops.Result, error) {
			return gitops.Delete(t.Context(), w.ports(r), doomed(t, onGitHub, "w01"))
		},
		"delete from Git only": func(w *world, r *reporter) (*gitops.Result, error) {
			options := doomed(t, onGitHub, "w01")
			options.From = gitops.FromGit
			return gitops.Delete(t.Context(), w.ports(r), options)
		},
		"detach": func(w *world, r *reporter) (*gitops.Result, error) {
			deleteClusters(t, w, doomed(t, onGitHub, "w01"))
			return gitops.Delete(t.Context(), w.ports(r), doomed(t, onGitHub, "dev"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := &reporter{}
			result, err := run(start(t), report)
			if err != nil || result.Status != gitops.StatusDone {
				t.Fatalf("%v, %+v", err, result.Failure)
			}
			said := 0
			for _, note := range report.notes() {
				if note == nothingText {
					said++
				}
			}
			if said != 1 || result.Repository.RenamedTo != "octo/estate" {
				t.Errorf("said %d times in %q; result %+v", said, report.notes(), result.Repository)
			}
		})
	}
	t.Run("the cluster has the new name", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		w.state.GitOps[0].Spec = frozenConfig("estate")
		report := &reporter{}
		_, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("dev", onGitHub)))
		if err == nil || !strings.Contains(err.Error(),
			`github.repository is "fleet", the management cluster has "estate"`) ||
			len(report.notes()) > 0 {
			t.Errorf("%v, notes %q", err, report.notes())
		}
	})
	t.Run("nothing is in use yet", func(t *testing.T) {
		t.Parallel()
		w := newSmallWorld(t, onGitHub)
		w.exists = true
		estate(w)
		report := &reporter{}
		if _, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("dev", onGitHub))); err != nil {
			t.Fatal(err)
		}
		want := renamedText + "no cluster has the old name yet, so put the new one into spec.github.owner " +
			"and spec.github.repository"
		if notes := strings.Join(report.notes(), "\n"); !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	})
}

// The file has another name of the repository than the cluster, which EKS Anywhere holds for a change, and
// takes none. That is told with an advice that works, and nothing says that Flux follows another repository.
func TestOtherName(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rename func(w *world)
		file   string // of the repository, as the user writes it
		live   string // what the message says
		ours   string
	}{
		"renamed": {estate, "octo/estate",
			`github.repository is "estate", the management cluster has "fleet"`, "fleet"},
		"case of a name": {func(*world) {}, "octo/Fleet",
			`github.repository is "Fleet", the management cluster has "fleet"`, "fleet"},
		"case of owner": {func(*world) {}, "OCTO/fleet",
			`github.owner is "OCTO", the management cluster has "octo"`, "octo"},
	} {
		owner, repository, _ := strings.Cut(tc.file, "/")
		provider := strings.NewReplacer("octo", owner, "fleet", repository).Replace(onGitHub)
		start := func(t *testing.T) *world {
			w := fleetWorld(t, onGitHub, "w01")
			w.live("FluxConfig", "dev", frozenConfig("fleet"))
			tc.rename(w)
			return w
		}
		const keep = "put the old value into the file: both names lead to the same repository, and nothing " +
			"else has to be done"
		frozen := "cluster dev: FluxConfig dev: " + tc.live +
			"; EKS Anywhere freezes it (config is immutable)"
		t.Run(name+"/create", func(t *testing.T) {
			t.Parallel()
			options := on(t, spec("dev", provider))
			named(&options.Settings, tc.file)
			findings := refused(t, start(t), options)
			equal(t, "findings", findings,
				[]facts.Finding{{Area: facts.AreaSpec, Message: frozen, Hint: keep}})
		})
		t.Run(name+"/create a workload cluster", func(t *testing.T) {
			t.Parallel()
			options := on(t, spec("w02", provider))
			named(&options.Settings, tc.file)
			findings := refused(t, start(t), options)
			equal(t, "findings", findings,
				[]facts.Finding{{Area: facts.AreaSpec, Message: "cluster w02: FluxConfig w02: " + tc.live,
					Hint: "write " + tc.ours + ", as the management cluster has it: both names lead to the " +
						"same repository, but EKS Anywhere compares the texts"}})
		})
		t.Run(name+"/upgrade", func(t *testing.T) {
			t.Parallel()
			options := upgrading(t, spec("dev", provider))
			named(&options.Settings, tc.file)
			equal(t, "findings", refusals(t, start(t), options), []string{"spec: " + frozen + " | " + keep})
			options.Adopt = true
			equal(t, "findings with --adopt", refusals(t, start(t), options),
				[]string{"spec: " + frozen + " | " + keep})
		})
	}
	t.Run("case, nothing frozen yet", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		w.state.Flux.GitRepository.URL = "ssh://git@GIT.example.com:22/Octo/Fleet.git"
		result := create(t, w, on(t, spec("dev", onGitHub)))
		if result.Changed {
			t.Errorf("wrote %v", w.effects)
		}
	})
}

// What the host does not say to be the same repository is another one.
func TestOtherRepository(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"both exist": func(w *world) {
			w.names = map[string]string{"octo/fleet": "octo/fleet", "octo/old": "octo/old"}
		},
		"the old is gone": func(w *world) { w.names = map[string]string{"octo/fleet": "octo/fleet"} },
		"on another server": func(w *world) {
			w.state.Flux.GitRepository.URL = "ssh://git@git.example.org/octo/old"
		},
		"no name": func(w *world) {
			w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/old/er"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managed(t, onGitHub)
			w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/old"
			change(w)
			findings := refused(t, w, on(t, spec("dev", onGitHub)))
			if len(findings) != 1 || !strings.Contains(findings[0].Message,
				"GitRepository flux-system/flux-system follows branch main of "+
					w.state.Flux.GitRepository.URL) {
				t.Errorf("%+v", findings)
			}
		})
	}
	t.Run("case on a generic Git server", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGit)
		// that of hosts does not matter
		w.state.Flux.GitRepository.URL = "ssh://git@GIT.example.com/octo/fleet.git"
		if result := create(t, w, on(t, spec("dev", onGit))); result.Changed {
			t.Errorf("wrote %v", w.effects)
		}
		w.state.Flux.GitRepository.URL = "ssh://git@git.example.com/octo/Fleet.git"
		w.forget()
		if findings := refused(t, w, on(t, spec("dev", onGit))); len(findings) != 1 ||
			!strings.Contains(findings[0].Message, "octo/Fleet.git") {
			t.Errorf("%+v", findings)
		}
	})
}

const applied = "4444444444444444444444444444444444444444"

// The repository does not have what Flux has applied from it. What is pushed then would have Flux delete the
// rest, so that every command that pushes says what is seen and what helps, before it writes.
func TestLoss(t *testing.T) {
	t.Parallel()
	const address = "https://git.example.com/octo/fleet"
	other := func(w *world) {
		w.branches = map[string]*tip{}
		w.commitOther("main", func(files map[string]string) { files["README.md"] = "another" })
	}
	for name, tc := range map[string]struct {
		lose           func(w *world)
		message, hints string // APPLIED and HEAD are replaced
	}{
		"repository gone": {func(w *world) { w.exists, w.keys, w.branches = false, nil, map[string]*tip{} },
			"repository " + address +
				", whose branch main Flux follows, does not exist any more, or the token may not see it",
			"have its owner restore it (GitHub keeps a deleted repository for 90 days), or use a token " +
				"that may see it"},
		"made anew, empty": {func(w *world) { w.keys, w.branches = nil, map[string]*tip{} },
			"repository " + address + " is empty, so that there is no branch main any more, which Flux " +
				"follows (it was created again under the old name, or all its branches were deleted: " +
				"Flux's deploy key is not registered there)",
			"if the repository that Flux followed still exists under another name, rename this one and " +
				"call that one octo/fleet again; else push the branch from a clone that has what Flux " +
				"applied last: git push " + address + ".git APPLIED:refs/heads/main"},
		"made anew": {func(w *world) { w.keys = nil; other(w) },
			"Flux has applied commit APPLIE7, which is not in the history of branch main of " +
				address + ", now at HEAD; nor are there files of clusters dev, w01, which Flux has applied " +
				"(it is another repository under the old name: Flux's deploy key is not registered there)",
			"if the repository that Flux followed still exists under another name, rename this one and " +
				"call that one octo/fleet again; else push what Flux applied last, from a clone that has " +
				"it: git push --force " + address + ".git APPLIED:refs/heads/main"},
		"history rewritten, without the files": {other,
			"Flux has applied commit APPLIE7, which is not in the history of branch main of " + address +
				", now at HEAD; nor are there files of clusters dev, w01, which Flux has applied (the " +
				"history of the branch was rewritten: Flux's deploy key is registered there)",
			"bring back what Flux applied last, from a clone that has it: git push --force " + address +
				".git APPLIED:refs/heads/main"},
		"branch deleted": {func(w *world) { w.branches, w.standard = map[string]*tip{"trunk": {}}, "trunk" },
			"branch main of " + address + ", which Flux follows, does not exist any more",
			"restore it from a clone that has what Flux applied last: git push " + address +
				".git APPLIED:refs/heads/main"},
		"branch deleted, and the host leads elsewhere": {func(w *world) {
			w.branches, w.standard, w.branchNow = map[string]*tip{"trunk": {}}, "trunk", "trunk"
		},
			"branch main of " + address + ", which Flux follows, does not exist any more",
			"restore it from a clone that has what Flux applied last: git push " + address +
				".git APPLIED:refs/heads/main"},
		"branch renamed": {func(w *world) {
			w.branches, w.standard, w.branchNow = map[string]*tip{"trunk": w.branches["main"]},
				"trunk", "trunk"
		},
			"branch main of " + address + " was renamed to trunk, and Flux goes on looking for main",
			"rename it back (EKS Anywhere does not let spec.branch of a FluxConfig change), or push it " +
				"under the old name as well, from any clone: git fetch " + address +
				".git trunk && git push " + address + ".git FETCH_HEAD:refs/heads/main"},
		"branch renamed, not the default one": {func(w *world) {
			w.branches, w.standard, w.branchNow = map[string]*tip{"live": w.branches["main"]}, "trunk", "live"
		},
			"branch main of " + address + " was renamed to live, and Flux goes on looking for main",
			"rename it back (EKS Anywhere does not let spec.branch of a FluxConfig change), or push " +
				"it under the old name as well, from any clone: git fetch " + address +
				".git live && git push " + address + ".git FETCH_HEAD:refs/heads/main"},
	} {
		start := func(t *testing.T) (*world, facts.Finding) {
			w := fleetWorld(t, onGitHub, "w01")
			commit := w.branches["main"].head
			tc.lose(w)
			head := ""
			if at := w.branches["main"]; at != nil {
				head = at.head[:7]
			}
			words := strings.NewReplacer("APPLIED", commit, "APPLIE7", commit[:7], "HEAD;", head+";")
			return w, facts.Finding{Area: facts.AreaCluster,
				Message: words.Replace(tc.message) + "; what is pushed now would have Flux " +
					"delete everything else it has applied, other clusters included",
				Hint: words.Replace(tc.hints) + "; until then Flux keeps what it has applied"}
		}
		for _, file := range []string{"dev", "w01", "w02"} {
			t.Run(name+"/create "+file, func(t *testing.T) {
				t.Parallel()
				w, want := start(t)
				if file == "dev" && strings.Contains(want.Hint, "has what Flux applied last: ") ||
					file == "dev" && strings.Contains(want.Hint, "from a clone that has it: ") {
					// The management cluster's run can bring back what Flux needs, too.
					want.Hint = strings.Replace(want.Hint, "; until then",
						"; or go on with what is there, and add --restore-missing, which makes the files "+
							"of running clusters again; until then", 1)
				}
				equal(t, "findings", refused(t, w, on(t, spec(file, onGitHub))), []facts.Finding{want})
			})
		}
		t.Run(name+"/upgrade", func(t *testing.T) {
			t.Parallel()
			w, want := start(t)
			equal(t, "findings",
				refusals(t, w, upgrading(t, edited(t, spec("w01", onGitHub), version, version34))),
				[]string{"cluster: " + want.Message + " | " + want.Hint})
		})
		t.Run(name+"/delete", func(t *testing.T) {
			t.Parallel()
			w, want := start(t)
			result, err := gitops.Delete(t.Context(), w.ports(nil), doomed(t, onGitHub, "w01"))
			want.Hint += "; or delete it only from the cluster: eksa-gitops delete cluster w01 --from cluster"
			if err == nil || len(w.calls) > 0 || result.Status != gitops.StatusRefused {
				t.Fatalf("%v, %+v, wrote %v", err, result, w.calls)
			}
			equal(t, "findings", result.Failure.Findings, []facts.Finding{want})
		})
	}
}

// On a generic Git server nobody can be asked for the deploy key and for former names.
func TestLoss_genericGit(t *testing.T) {
	t.Parallel()
	const address = "ssh://git@git.example.com/octo/fleet.git"
	w := fleetWorld(t, onGit, "w01")
	commit := w.branches["main"].head
	w.branches, w.standard = map[string]*tip{"trunk": w.branches["main"]}, "trunk"
	findings := refused(t, w, on(t, spec("dev", onGit)))
	if want := "branch main of " + address +
		" was renamed to trunk, and Flux goes on looking for main"; len(findings) != 1 ||
		!strings.HasPrefix(findings[0].Message, want) {
		t.Errorf("%+v, want %s", findings, want)
	}
	w.branches = map[string]*tip{}
	w.commitOther("main", func(files map[string]string) { files["README.md"] = "another" })
	findings = refused(t, w, on(t, spec("dev", onGit)))
	message := "nor are there files of clusters dev, w01, which Flux has applied (it is another repository " +
		"under the old name, or the history of the branch was rewritten)"
	hint := "push what Flux applied last, from a clone that has it: git push --force " + address + " " +
		commit + ":refs/heads/main"
	if len(findings) != 1 || !strings.Contains(findings[0].Message, message) ||
		!strings.HasPrefix(findings[0].Hint, hint) {
		t.Errorf("%+v", findings)
	}
}

// What Flux has applied is not in the history, and nothing is lost by that: the run goes on.
func TestLoss_none(t *testing.T) {
	t.Parallel()
	squash := func(w *world) {
		at := w.branches["main"]
		at.head, at.history = applied,
			[]past{{hash: applied, message: "All of it", author: "Alice", files: at.files}}
	}
	t.Run("history rewritten, with all files", func(t *testing.T) {
		t.Parallel()
		w := fleetWorld(t, onGitHub, "w01")
		old := w.branches["main"].head
		squash(w)
		report := &reporter{}
		result, err := gitops.Create(t.Context(), w.ports(report), on(t, spec("w02", onGitHub)))
		if err != nil || result.Status != gitops.StatusDone {
			t.Fatalf("%v, %+v", err, result.Failure)
		}
		want := "warning: commit " + old[:7] + ", which Flux applied last, is not in the history of branch " +
			"main any more: it was rewritten; the files of all clusters that Flux has applied are there"
		if notes := strings.Join(report.notes(), "\n"); !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	})
	t.Run("a cluster was taken out of Git, and Flux has yet to look", func(t *testing.T) {
		t.Parallel()
		w := fleetWorld(t, onGitHub, "w01")
		w.commitOther("main", without("w01"))
		create(t, w, on(t, spec("w02", onGitHub)))
	})
	t.Run("Flux has applied what others pushed after the first look", func(t *testing.T) {
		t.Parallel()
		w := fleetWorld(t, onGitHub, "w01")
		stale, looks := *w.branches["main"], 0
		fresh := w.branches["main"]
		w.commitOther("main", func(files map[string]string) {
			files["clusters/dev/w03/eksa-system/eksa-cluster.yaml"] = spec("w03", onGitHub)
		})
		w.flux()
		w.onFetch = func() error {
			w.branches["main"] = fresh
			if looks++; looks == 1 {
				old := stale
				old.files = map[string]string{}
				for file, content := range fresh.files {
					if !strings.Contains(file, "/w03/") {
						old.files[file] = content
					}
				}
				w.branches["main"] = &old
			}
			return nil
		}
		create(t, w, on(t, spec("w02", onGitHub)))
		if looks < 2 {
			t.Errorf("looked %d times", looks)
		}
	})
	t.Run("the server cannot tell", func(t *testing.T) {
		t.Parallel()
		w := fleetWorld(t, onGit, "w01")
		w.branches["main"].history = nil
		w.commitOther("main", func(files map[string]string) { delete(files, "README.md") })
		w.shallow = true
		create(t, w, on(t, spec("w02", onGit)))
	})
	t.Run("a branch that nothing was applied from", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		w.state.Flux.Kustomization.AppliedRevision = ""
		w.branches = map[string]*tip{}
		create(t, w, on(t, spec("dev", onGitHub)))
	})
}
