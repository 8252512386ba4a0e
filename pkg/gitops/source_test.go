package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// notes keeps the warnings of a run.
type notes struct {
	step.Reporter
	warnings []string
	all      []string
}

func (n *notes) Begin(step.Name)                     {}
func (n *notes) Progress(step.Name, string)          {}
func (n *notes) End(step.Name, step.Outcome, string) {}
func (n *notes) Note(level step.Level, text string) {
	n.all = append(n.all, text)
	if level == step.LevelWarning {
		n.warnings = append(n.warnings, text)
	}
}

// told says whether a text was in any note.
func (n *notes) told(text string) bool {
	return text == "" || slices.ContainsFunc(n.all, func(note string) bool {
		return strings.Contains(note, text)
	})
}

func (n *notes) warned(text string) bool {
	return slices.ContainsFunc(n.warnings, func(w string) bool { return strings.Contains(w, text) })
}

// anotherKey is a private key and its public half.
func anotherKey(t *testing.T) (secret.Value, string) {
	t.Helper()
	pair, err := sshkeys.Generate("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	return pair.PrivatePEM, pair.AuthorizedKey
}

const operatorsKey = "Flux gets your own private key"

// Which key Flux ends up with, by what is given and what is there.
func TestCreate_clusterKey(t *testing.T) {
	t.Parallel()
	other, otherPublic := anotherKey(t)
	for name, tc := range map[string]struct {
		there     bool // Flux has a key of its own
		reads     bool // and reads the repository with it
		alone     bool // there is only the key
		late      bool // somebody puts it there while the run is under way
		given     secret.Value
		operators bool
		replaced  bool
		warned    bool
	}{
		"nothing there, the operator's": {given: other, operators: true, replaced: true,
			warned: true},
		"nothing there, one of its own": {given: other, replaced: true},
		"a key there that works, the operator's": {there: true, reads: true, given: other,
			operators: true},
		"a key there that does not work, the operator's": {there: true, given: other, operators: true},
		"a key there, and no Flux yet, the operator's": {there: true, alone: true, given: other,
			operators: true},
		"a key there, put there just now, the operator's": {there: true, late: true, given: other,
			operators: true, warned: true},
		"a key there, and no Flux yet, one of its own": {there: true, alone: true, given: other,
			replaced: true},
		"a key there that does not work, one of its own": {there: true, given: other, replaced: true},
		"a key there that works, another one of its own": {there: true, reads: true, given: other,
			replaced: true},
		"a key there, an agent that keeps its keys itself": {there: true, reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGit)
			if tc.there {
				create(t, w, on(t, spec("dev", onGit)))
				w.state.Flux.GitRepository.Ready = tc.reads
				w.forget()
			}
			before := w.publicKey
			if tc.alone || tc.late {
				w.state.Flux, w.components, w.sync = fluxinstall.FluxState{}, "", ""
			}
			if tc.late {
				w.private, w.publicKey = false, ""
				w.onCall = func(_ context.Context, call string) {
					if strings.HasPrefix(call, "EnsureSourceSecret") {
						w.private, w.publicKey = true, before
					}
				}
			}
			options := on(t, spec("dev", onGit))
			options.Source.PrivateKey, options.SourceIsOperators = tc.given, tc.operators
			options.Clusters[0].GitOps.Git.SSHKeyAlgorithm = "ed25519"
			heard := &notes{}
			ports := w.ports(heard)
			result, err := gitops.Create(t.Context(), ports, options)
			if err != nil || result.Failure != nil {
				t.Fatalf("error %v, failure %+v", err, result.Failure)
			}
			want := before
			if tc.replaced {
				want = otherPublic
			}
			if w.publicKey != want {
				t.Errorf("Flux has key %q, want %q", w.publicKey, want)
			}
			if heard.warned(operatorsKey) != tc.warned {
				t.Errorf("warnings: %q", heard.warnings)
			}
		})
	}
}

// The algorithm that the spec names is that of the key that Flux gets. Whose own key is of another one works
// beside a key that is there, and gives none to a cluster that has none.
func TestCreate_operatorsKeyOfAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	other, _ := anotherKey(t) // ed25519
	for name, there := range map[string]bool{"a key there": true, "nothing there": false} {
		w := newSmallWorld(t, onGit)
		if there {
			create(t, w, on(t, spec("dev", onGit)))
			w.forget()
		}
		before := w.publicKey
		options := on(t, spec("dev", onGit))
		options.Clusters[0].GitOps.Git.SSHKeyAlgorithm = "ecdsa"
		options.Source.PrivateKey, options.SourceIsOperators = other, true
		result, err := gitops.Create(t.Context(), w.ports(nil), options)
		refused := new(gitops.PreflightError)
		switch {
		case there && (err != nil || result.Failure != nil || w.publicKey != before):
			t.Errorf("%s: %v, %+v, key %q", name, err, result.Failure, w.publicKey)
		case !there && (!errors.As(err, &refused) || refused.AboutAccess() ||
			!strings.Contains(err.Error(), "ecdsa") || len(w.calls) > 0):
			t.Errorf("%s: %v, wrote %v", name, err, w.calls)
		}
	}
}

// A key in the cluster that cannot be read just now is not replaced unasked, with a generated one as little
// as with the operator's.
func TestCreate_unreadableClusterKey(t *testing.T) {
	t.Parallel()
	other, otherPublic := anotherKey(t)
	for name, tc := range map[string]struct {
		provider  string
		given     secret.Value
		operators bool
		hint      string // of the refusal; empty: the key is replaced
	}{
		"on GitHub": {provider: onGitHub, hint: "kubectl -n flux-system delete secret flux-system"},
		"an agent":  {provider: onGit, hint: "--cluster-private-key FILE"},
		"the operator's": {provider: onGit, given: other, operators: true,
			hint: "--cluster-private-key FILE"},
		"one that is chosen": {provider: onGit, given: other},
	} {
		for _, dry := range []bool{true, false} {
			w := managed(t, tc.provider)
			w.publicKey, w.unreadable = "", "ssh: this private key is passphrase protected"
			options := on(t, spec("dev", tc.provider))
			options.DryRun = dry
			if tc.provider == onGit {
				options.Source.PrivateKey, options.SourceIsOperators = tc.given, tc.operators
			}
			w.onCall = func(_ context.Context, call string) {
				if strings.HasPrefix(call, "EnsureSourceSecret") {
					w.unreadable = ""
				}
			}
			if tc.hint != "" {
				w.onCall = nil
			}
			_, err := gitops.Create(t.Context(), w.ports(nil), options)
			var refused *gitops.PreflightError
			switch {
			case tc.hint == "" && (err != nil || !dry && w.publicKey != otherPublic):
				t.Errorf("%s: error %v, key %q", name, err, w.publicKey)
			case tc.hint == "":
			case !errors.As(err, &refused) || len(refused.Findings) != 1 ||
				!strings.Contains(refused.Findings[0].Hint, tc.hint) ||
				!strings.Contains(err.Error(), "contains a private key that cannot be read (ssh: this "+
					"private key is passphrase protected)") ||
				len(w.calls) > 0:
				t.Errorf("%s: error %v, calls %v", name, err, w.calls)
			}
		}
	}
}

// Without a key to give and none in the cluster there is nothing that Flux could read with; that is found
// before the first write.
func TestCreate_noClusterKey(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGit)
	options := on(t, spec("dev", onGit))
	options.Source.PrivateKey = secret.Value{}
	_, err := gitops.Create(t.Context(), w.ports(nil), options)
	var refused *gitops.PreflightError
	if !errors.As(err, &refused) || !refused.AboutAccess() ||
		!strings.Contains(err.Error(), "an SSH agent does not hand out its keys") {
		t.Errorf("error %v", err)
	}
	if len(w.effects) > 0 {
		t.Errorf("written: %v", w.effects)
	}
}

// A server that is known by an authority only: Flux gets the key that the server has proved.
func TestCreate_knownByAuthority(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGit)
	options := on(t, spec("dev", onGit))
	options.Source.KnownHosts = nil
	heard := &notes{}
	if _, err := gitops.Create(t.Context(), w.ports(heard), options); err != nil {
		t.Fatal(err)
	}
	if want := "git.example.com " + w.hostKey + "\n"; string(w.knownHosts) != want {
		t.Errorf("known hosts %q, want %q", w.knownHosts, want)
	}
	if !heard.warned("certificate authority") {
		t.Errorf("warnings: %q", heard.warnings)
	}
	w.forget()
	heard.warnings = nil
	if _, err := gitops.Create(t.Context(), w.ports(heard), options); err != nil {
		t.Fatal(err)
	}
	if len(w.effects) > 0 || len(heard.warnings) > 0 {
		t.Errorf("the second run wrote %v and warned %q", w.effects, heard.warnings)
	}
}

// A key that may not push is found before the first write, and not asked about when there is nothing to push.
func TestCreate_keyMayNotPush(t *testing.T) {
	t.Parallel()
	w := newSmallWorld(t, onGit)
	w.denyPush = &git.PermissionError{Remote: "ssh://git.example.com/octo/fleet.git", Write: true,
		Server: "read only"}
	_, err := gitops.Create(t.Context(), w.ports(nil), on(t, spec("dev", onGit)))
	var refused *gitops.PreflightError
	if !errors.As(err, &refused) || !refused.AboutAccess() ||
		!strings.Contains(err.Error(), "asking to push") {
		t.Errorf("error %v", err)
	}
	if len(w.effects) > 0 {
		t.Errorf("written: %v", w.effects)
	}
	w = managed(t, onGit)
	w.denyPush = errors.New("nobody should ask")
	if _, err := gitops.Create(context.WithoutCancel(t.Context()), w.ports(nil),
		on(t, spec("dev", onGit))); err != nil {
		t.Error(err)
	}
}

// TestCreate_hostKeysGiven has a host with an API that publishes no SSH host keys, as enterprise servers do.
func TestCreate_hostKeysGiven(t *testing.T) {
	t.Parallel()
	none := fmt.Errorf("%w: the server publishes none", github.ErrNotFound)
	lines := []byte("github.example.com ssh-ed25519 AAAA\n")
	t.Run("given", func(t *testing.T) {
		t.Parallel()
		w := newSmallWorld(t, onGitHub)
		w.hostKeysErr = none
		options := on(t, spec("dev", onGitHub))
		options.KnownHosts = func() ([]byte, error) { return lines, nil }
		create(t, w, options)
		if string(w.knownHosts) != string(lines) {
			t.Errorf("the Secret has %q", w.knownHosts)
		}
		w.forget()
		if again := create(t, w, options); again.Changed {
			t.Errorf("a second run wrote %v", w.effects)
		}
		// Flux has them now, so that nobody has to give them again.
		options.KnownHosts = func() ([]byte, error) {
			return nil, errors.New("EKSA_GIT_KNOWN_HOSTS is not set")
		}
		if again := create(t, w, options); again.Changed || string(w.knownHosts) != string(lines) {
			t.Errorf("a run without them wrote %v, the Secret has %q", w.effects, w.knownHosts)
		}
	})
	t.Run("not needed", func(t *testing.T) {
		t.Parallel()
		w := newSmallWorld(t, onGitHub)
		options := on(t, spec("dev", onGitHub))
		options.KnownHosts = func() ([]byte, error) { return nil, errors.New("nobody asked") }
		create(t, w, options)
		if !strings.Contains(string(w.knownHosts), strings.TrimSpace(w.hostKey)) {
			t.Errorf("the Secret has %q", w.knownHosts)
		}
	})
	for name, test := range map[string]struct {
		given   func() ([]byte, error)
		area    facts.Area
		message string
	}{
		"none to give": {nil, facts.AreaSpec, "not found: the server publishes none"},
		"cannot be given": {
			func() ([]byte, error) { return nil, errors.New("EKSA_GIT_KNOWN_HOSTS is not set") },
			facts.AreaAccess, "EKSA_GIT_KNOWN_HOSTS is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSmallWorld(t, onGitHub)
			w.hostKeysErr = none
			options := on(t, spec("dev", onGitHub))
			options.KnownHosts = test.given
			equal(t, "findings", refused(t, w, options),
				[]facts.Finding{{Area: test.area, Message: test.message}})
			if len(w.calls) > 0 {
				t.Errorf("calls %v", w.calls)
			}
		})
	}
	t.Run("a workload cluster needs none", func(t *testing.T) {
		t.Parallel()
		w := managed(t, onGitHub)
		w.hostKeysErr = none
		create(t, w, on(t, spec("w01", onGitHub)))
	})
}

// TestCreate_unseen says what no check can show, as long as it is to be done.
func TestCreate_unseen(t *testing.T) {
	t.Parallel()
	unseen := []github.Unseen{
		{Name: github.FindingDeployKeys,
			Message: "whether acme allows deploy keys, which GitHub does not show to this token"},
		{Name: github.FindingPush, Message: "whether the token may write"},
	}
	told := func(w *world) (all []string) {
		report := &reporter{}
		if result, err := gitops.Create(t.Context(), w.ports(report),
			on(t, spec("dev", onGitHub))); err != nil || result.Status != gitops.StatusDone {
			t.Fatalf("%v, %+v", err, result)
		}
		return slices.DeleteFunc(report.notes(), func(note string) bool {
			return !strings.HasPrefix(note, "info: can only be found out by trying: ")
		})
	}
	w := newSmallWorld(t, onGitHub)
	w.unseen = unseen
	equal(t, "first run", told(w), []string{"info: can only be found out by trying: whether acme allows " +
		"deploy keys, which GitHub does not show to this token"})
	equal(t, "second run", told(w), nil)
}

// TestCreate_tokenMayNotPush asks the Git server whether a token may push where the API says only what its
// user may do.
func TestCreate_tokenMayNotPush(t *testing.T) {
	t.Parallel()
	for kind, asked := range map[github.TokenKind]bool{github.TokenClassic: false,
		github.TokenFineGrained: true, github.TokenInstallation: true} {
		w := newSmallWorld(t, onGitHub)
		w.exists, w.viewer.Kind = true, kind
		w.commitOther("main", func(files map[string]string) { files["README.md"] = "hi" })
		w.denyPush = &git.PermissionError{Remote: "https://git.example.com/octo/fleet.git", Write: true,
			Server: "Write access to repository not granted."}
		if !asked {
			create(t, w, on(t, spec("dev", onGitHub)))
			continue
		}
		findings := refused(t, w, on(t, spec("dev", onGitHub)))
		if len(findings) != 1 || findings[0].Area != facts.AreaAccess ||
			!strings.Contains(findings[0].Message, "Write access to repository not granted.") ||
			len(w.calls) > 0 {
			t.Errorf("%s: findings %+v, calls %v", kind, findings, w.calls)
		}
	}
}
