package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// A failure of the GitOps part leaves the creation going: the local copy is written, the cause and the way on
// are told, and the exit code is 4 for what has to be allowed and 5 for the rest, or 0 when the user asked
// for that. Once the cause is gone, the same command finishes the job.
func TestCreate_gitOpsFailureDoesNotStopCreation(t *testing.T) {
	// One world for all: each failure leaves what the next run continues from. Whether a run heals right
	// after each of them is what TestFaults_* and TestCrash look at.
	w := newWorld(t)
	w.gh.SetPlan("alice", githubtest.PlanPaid) // for the protected branch
	repo := w.gh.AddRepo("alice/fleet", withReadme("main")...)
	for _, tc := range []struct {
		name   string
		args   []string
		break_ func(t *testing.T) (heal func())
		cause  string
		code   int
		writes bool // whether the failure comes after the first write
	}{
		{
			name: "API down",
			break_: func(*testing.T) func() {
				return w.gh.Break("* /**", githubtest.Respond(503, "<html>unavailable</html>"))
			},
			cause: "503", code: 5,
		},
		{
			name: "protected branch",
			break_: func(*testing.T) func() {
				repo.Protect("main",
					githubtest.Protection{RequirePullRequest: true, Approvals: 1, EnforceAdmins: true})
				return func() { repo.Unprotect("main") }
			},
			cause: "does not accept direct pushes: changes have to be made through a pull request", code: 4,
		},
		{
			name: "token revoked during the run",
			break_: func(*testing.T) func() {
				return w.gh.Break("POST /repos/*/*/keys",
					githubtest.Respond(401, `{"message":"Bad credentials"}`))
			},
			cause: "Bad credentials", code: 4, writes: true,
		},
		{
			name: "Flux never Ready",
			args: []string{"--flux-timeout", "4s"},
			break_: func(t *testing.T) func() {
				release, err := stackOf(t).HoldPods(t.Context(), "flux-system", "source-controller",
					"ImagePullBackOff")
				if err != nil {
					t.Fatal(err)
				}
				return func() {
					if err := release(t.Context()); err != nil {
						t.Error(err)
					}
				}
			},
			cause: "source-controller", code: 5, writes: true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := w.with(t, nil)
			heal := tc.break_(t)
			defer heal()
			if err := os.RemoveAll(filepath.Join(w.dir, "mgmt")); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"create", "cluster", "-f", "mgmt.yaml"}, tc.args...)
			before := w.mark()
			out := w.run(args...).exits(tc.code)
			out.tells("GitOps is NOT enabled", tc.cause,
				"continue with: eksa-gitops create cluster -f mgmt.yaml")
			if !tc.writes {
				before.leavesClusterAlone()
			}
			if _, err := os.Stat(filepath.Join(w.dir, "mgmt", "mgmt-eks-a-cluster.yaml")); err != nil {
				t.Error(err)
			}
			object := w.run(append(args, "-o", "json", "--on-gitops-failure=continue")...).exits(0).json()
			if object["status"] != "gitops-failed" || at(t, object, "failure", "message") == "" ||
				object["resume"] == "" {
				t.Errorf("result: %v", object)
			}
		})
	}
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("luster mgmt is managed through Git.")
}

// What preflight can find is found before anything is written, and is an error of its own kind.
func TestCreate_preflight(t *testing.T) {
	w := newWorld(t)
	org := strings.NewReplacer("personal: true", "personal: false", "owner: alice",
		"owner: acme").Replace(spec(t, "mgmt.yaml"))
	w.gh.AddOrg("acme", orgOwner("alice"))
	w.gh.AddUser("bob")
	expired := w.gh.AddClassicToken("alice", "repo")
	w.gh.ExpireToken(expired, time.Now().Add(-time.Hour))
	noScope := w.gh.AddClassicToken("alice", "read:org")
	noAdmin := w.gh.AddFineGrainedToken("alice",
		githubtest.FineGrained{Owner: "acme", Repositories: []string{"fleet"},
			Permissions: githubtest.Permissions{"contents": "write", "metadata": "read"}})
	w.gh.AddRepo("acme/fleet", withReadme("main")...)
	for _, tc := range []struct {
		name string
		spec string
		env  map[string]string
		args []string
		code int
		text []string
	}{
		{name: "no token", env: map[string]string{"EKSA_GITHUB_TOKEN": ""}, code: 4,
			text: []string{"EKSA_GITHUB_TOKEN"}},
		{name: "malformed token", env: map[string]string{"EKSA_GITHUB_TOKEN": "ghp_abc\ndef"}, code: 4,
			text: []string{"EKSA_GITHUB_TOKEN"}},
		{name: "expired token", env: map[string]string{"EKSA_GITHUB_TOKEN": expired}, code: 4,
			text: []string{"EKSA_GITHUB_TOKEN"}},
		{name: "token without scope", env: map[string]string{"EKSA_GITHUB_TOKEN": noScope}, code: 4,
			text: []string{"repo"}},
		{name: "token without administration", spec: org,
			env: map[string]string{"EKSA_GITHUB_TOKEN": noAdmin}, code: 4, text: []string{"Administration"}},
		{name: "user as organization",
			spec: strings.Replace(spec(t, "mgmt.yaml"), "personal: true", "personal: false", 1), code: 3,
			text: []string{"personal: true"}},
		{name: "no kubeconfig", env: map[string]string{"KUBECONFIG": ""}, code: 3,
			text: []string{"--kubeconfig", "KUBECONFIG", "mgmt/mgmt-eks-a-cluster.kubeconfig"}},
		{name: "missing kubeconfig", args: []string{"--kubeconfig", "nowhere.kubeconfig"}, code: 3,
			text: []string{"nowhere.kubeconfig"}},
		{name: "wrong cluster", spec: strings.ReplaceAll(spec(t, "mgmt.yaml"), "mgmt", "other"), code: 3,
			text: []string{"management cluster mgmt, not other"}},
		{name: "everything at once", env: map[string]string{"EKSA_GITHUB_TOKEN": "", "KUBECONFIG": ""},
			code: 3, text: []string{"EKSA_GITHUB_TOKEN", "--kubeconfig"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := *w
			run.t = t
			run.env = map[string]string{}
			for name, value := range w.env {
				run.env[name] = value
			}
			for name, value := range tc.env {
				run.env[name] = value
			}
			content := tc.spec
			if content == "" {
				content = spec(t, "mgmt.yaml")
			}
			run.write("case.yaml", content)
			before := run.mark()
			out := run.run(append([]string{"create", "cluster", "-f", "case.yaml"}, tc.args...)...).
				exits(tc.code)
			out.tells(append(tc.text, "nothing has been changed")...)
			before.writesNothing()
		})
	}
}

// A workload cluster needs a management cluster that is managed through Git already.
func TestCreate_workloadNeedsManagedManagementCluster(t *testing.T) {
	w := newWorld(t)
	before := w.mark()
	w.run("create", "cluster", "-f", "dev.yaml").exits(3).tells(
		"management cluster mgmt is not managed through Git yet")
	before.writesNothing()
}

// Ctrl-C ends the program within a second, whatever it waits for, with one line on how to go on.
func TestCreate_interrupted(t *testing.T) {
	w := newWorld(t)
	release, err := stackOf(t).HoldPods(t.Context(), "flux-system", "source-controller", "ContainerCreating")
	if err != nil {
		t.Fatal(err)
	}
	p := w.start("create", "cluster", "-f", "mgmt.yaml")
	waitUntilDeployment(t, "flux-system", "source-controller")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	signalled := time.Since(p.began)
	out := p.wait().exits(130)
	if took := out.took - signalled; took > time.Second {
		t.Errorf("stopped after %v, want at most 1s", took)
	}
	out.tells("interrupted", "continue with: eksa-gitops create cluster -f mgmt.yaml")
	if err := release(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
}

// A run whose output nobody reads any more ends where it is, and the next one finishes it.
func TestCreate_unread(t *testing.T) {
	w := newWorld(t)
	w.runUnread("Create repository alice/fleet", "create", "cluster", "-f", "mgmt.yaml").exits(141)
	if w.gh.Repo("alice/fleet") == nil {
		t.Error("there is no repository")
	}
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
}

// A spec that somebody changed in Git is not overwritten unless that is asked for.
func TestCreate_specChangedInGit(t *testing.T) {
	w := newWorldIn(t, managed())
	w.write("mgmt.yaml", spec(t, "mgmt.yaml", "count: 1   # scaled", "count: 2   # scaled"))
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(3).tells(
		"clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml", "--overwrite")
	before.writesNothing()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run", "--overwrite").exits(0).prints(
		"-      count: 1   # scaled", "+      count: 2   # scaled")
	before.writesNothing()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--overwrite").exits(0)
	if spec := w.gh.Repo("alice/fleet").Git().
		Files("main")["clusters/mgmt/mgmt/eksa-system/eksa-cluster.yaml"]; !strings.Contains(spec,
		"count: 2   # scaled") {
		t.Errorf("the file in Git was not replaced:\n%s", spec)
	}
}
