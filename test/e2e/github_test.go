package e2e_test

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// The life of a fleet in a private repository of an account on GitHub Free, where every question about the
// rules of a branch is answered with 403 and the words of the plan.
func TestGitHub_freePlan(t *testing.T) {
	w := newWorld(t)
	w.gh.SetPlan("alice", githubtest.PlanFree)
	quiet := func(o outcome) {
		t.Helper()
		for _, wrong := range []string{"HTTP 403", "Contents: write", "Upgrade to GitHub", "GitOps is NOT"} {
			if strings.Contains(o.stderr+o.stdout, wrong) {
				t.Errorf("eksa-gitops %s speaks of %q:\n%s%s",
					strings.Join(o.args, " "), wrong, o.stdout, o.stderr)
			}
		}
	}
	quiet(w.run("create", "cluster", "-f", "mgmt.yaml").exits(0))
	before := w.mark()
	quiet(w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).
		prints("Nothing to do: cluster mgmt is managed through Git."))
	before.writesNothing()
	quiet(w.run("create", "cluster", "-f", "dev.yaml").exits(0))
	w.write("dev.yaml", spec(t, "dev.yaml", "count: 1   # scaled", "count: 2   # scaled"))
	quiet(w.run("upgrade", "cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev matches the file."))
	quiet(w.run("status").exits(0))
	quiet(w.run("delete", "cluster", "dev", "--yes").exits(0))
	quiet(w.run("delete", "cluster", "mgmt", "--yes").exits(0))
	asked := 0
	for _, request := range w.gh.Requests() {
		if strings.Contains(request.Path, "/rules/branches/") && request.Status == 403 {
			asked++
		}
	}
	if asked == 0 {
		t.Error("nobody was told that the plan has no rules")
	}
}

// A first creation into a private repository that somebody has made before, on the same plan.
func TestGitHub_existingPrivateRepository(t *testing.T) {
	w := newWorld(t)
	repo := w.gh.AddRepo("alice/fleet", withReadme("main")...)
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
	if log := repo.Git().Log("main"); len(log) != 2 || len(repo.DeployKeys()) != 1 {
		t.Errorf("%d commits and %d deploy keys", len(log), len(repo.DeployKeys()))
	}
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
}

// An enterprise server publishes no SSH host keys. They are given, and nothing is trusted without.
func TestGitHub_enterprise(t *testing.T) {
	w := newWorld(t)
	w.env["EKSA_GITOPS_GITHUB_API_URL"] = w.gh.APIURL()
	for name, file := range map[string]string{"none": "", "of another host": "known_hosts"} {
		w.write("known_hosts", strings.ReplaceAll(w.gh.KnownHosts(), "[127.0.0.1]", "[127.0.0.2]"))
		w.env["EKSA_GIT_KNOWN_HOSTS"] = file
		before := w.mark()
		o := w.run("create", "cluster", "-f", "mgmt.yaml").exits(4).tells("ssh-keyscan -p ",
			"export EKSA_GIT_KNOWN_HOSTS=known_hosts", "nothing has been changed")
		if name == "none" {
			o.tells("127.0.0.1 publishes no SSH host keys (GET /meta), as GitHub Enterprise servers do " +
				"not, and EKSA_GIT_KNOWN_HOSTS is not set")
		} else {
			o.tells("EKSA_GIT_KNOWN_HOSTS=known_hosts has no host key of 127.0.0.1 that Flux understands, " +
				"and the server publishes none (GET /meta)")
		}
		before.writesNothing()
	}
	w.env["EKSA_GIT_KNOWN_HOSTS"] = w.gh.KnownHostsFile()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--dry-run").exits(0)
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
	// A workload cluster needs no host keys.
	delete(w.env, "EKSA_GIT_KNOWN_HOSTS")
	w.run("create", "cluster", "-f", "dev.yaml").exits(0)
	// The end of the version of the API that is spoken is told, once a run, and is no problem.
	w.gh.AnnounceEnd("2022-11-28", time.Date(2099, 3, 10, 0, 0, 0, 0, time.UTC))
	for _, args := range [][]string{{"status"}, {"create", "cluster", "-f", "mgmt.yaml"}} {
		o := w.run(args...).exits(0)
		if told := strings.Count(o.stderr, "GitHub ends version 2022-11-28 of its API on 2099-03-10: have "+
			"a newer eksa-gitops by then"); told != 1 {
			t.Errorf("eksa-gitops %s tells of the end %d times:\n%s", strings.Join(args, " "), told, o.stderr)
		}
	}
}

// asMember has bob, a member of the organization acme and no owner, create the cluster in a repository of
// acme's. What acme allows is not shown to him.
func asMember(t *testing.T) *world {
	w := newWorld(t)
	w.gh.AddUser("bob")
	w.gh.AddOrg("acme", githubtest.OrgOwner("alice"), githubtest.OrgMember("bob"))
	w.env["EKSA_GITHUB_TOKEN"] = w.gh.AddClassicToken("bob", "repo")
	w.write("mgmt.yaml",
		spec(t, "mgmt.yaml", "owner: alice", "owner: acme", "personal: true", "personal: false"))
	return w
}

const unseenKeys = "can only be found out by trying: whether acme allows deploy keys, which GitHub does " +
	"not show to this token"

func TestGitHub_member(t *testing.T) {
	w := asMember(t)
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).tells(unseenKeys).prints(
		"Cluster mgmt is managed through Git.")
	before := w.mark()
	again := w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
	if strings.Contains(again.stderr, "can only be found out") {
		t.Errorf("what has been done is said to be unseen:\n%s", again.stderr)
	}
}

// nothingLeft makes sure that a refused run has left nothing at GitHub but an empty repository, and nothing
// in the cluster.
func (w *world) nothingLeft() {
	w.t.Helper()
	repo := w.gh.Repo("acme/fleet")
	if repo == nil || len(repo.Git().Branches()) > 0 || len(repo.DeployKeys()) > 0 {
		w.t.Errorf("the repository is not there and empty: %+v", repo)
	}
	namespace := reference("", "v1", "Namespace", "", "flux-system")
	err := stackOf(w.t).Client().Get(w.t.Context(), client.ObjectKeyFromObject(namespace), namespace)
	if !apierrors.IsNotFound(err) && namespace.GetDeletionTimestamp() == nil {
		w.t.Errorf("namespace flux-system is there (%v)", err)
	}
	for kind, version := range map[string]string{"CustomResourceDefinition": "apiextensions.k8s.io/v1",
		"ClusterRole": "rbac.authorization.k8s.io/v1", "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
		"Deployment": "apps/v1", "ServiceAccount": "v1", "NetworkPolicy": "networking.k8s.io/v1"} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(version)
		list.SetKind(kind + "List")
		err := stackOf(w.t).Client().List(w.t.Context(), list,
			client.MatchingLabels{"app.kubernetes.io/part-of": "flux"})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, item := range list.Items {
			if item.GetDeletionTimestamp() == nil {
				w.t.Errorf("%s %s of Flux is there", kind, item.GetName())
			}
		}
	}
}

// What an organization does not allow shows when it is tried. Nothing stays of it but the repository, and the
// same command does all of it once it is allowed.
func TestGitHub_refused(t *testing.T) {
	for name, tc := range map[string]struct {
		forbid, allow func(w *world)
		tells         []string
	}{
		"deploy keys": {
			func(w *world) { w.gh.AddOrg("acme", githubtest.DeployKeysDisabled()) },
			func(w *world) { w.gh.AddOrg("acme", githubtest.DeployKeysEnabled()) },
			[]string{unseenKeys, "Deploy keys are disabled for this repository",
				"an owner of the organization can allow deploy keys",
				"✓ Take back what this run has made (Flux's 31 objects, Secret flux-system/flux-system, " +
					"namespace flux-system)",
				"repository acme/fleet, which this run has created, stays and is empty; the next run " +
					"uses it"},
		},
		"push": {
			func(w *world) {
				w.gh.SetPlan("acme", githubtest.PlanPaid)
				w.gh.AddRepo("acme/fleet",
					githubtest.Grant("bob", githubtest.Admin)).AddRuleset(githubtest.Ruleset{Name: "messages",
					Branches: []string{"main"}, MessagePattern: "^JIRA-"})
			},
			func(w *world) { w.gh.Repo("acme/fleet").RemoveRulesets() },
			[]string{"GH013", "✓ Take back what this run has made (deploy key eksa-gitops " +
				"mgmt/flux-system, Flux's 31 objects, Secret flux-system/flux-system, namespace " +
				"flux-system)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := asMember(t)
			tc.forbid(w)
			w.run("create", "cluster", "-f", "mgmt.yaml", "--on-gitops-failure=fail").exits(4).tells(
				tc.tells...).tells("continue with: eksa-gitops create cluster -f mgmt.yaml")
			w.nothingLeft()
			tc.allow(w)
			w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints(
				"Cluster mgmt is managed through Git.")
		})
	}
}

// GitHub's copies of a new repository lag behind, for reads, for writes and for Git. All of it is waited for.
func TestGitHub_lag(t *testing.T) {
	for name, lag := range map[string]githubtest.Lag{"reads": {Reads: 3}, "writes": {Writes: 3},
		"Git": {Git: 3}, "all": {Reads: 2, Writes: 2, Git: 2}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.gh.SetCreationLag(lag)
			w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).tells("waiting ").prints(
				"Cluster mgmt is managed through Git.")
			if repo := w.gh.Repo("alice/fleet"); len(repo.DeployKeys()) != 1 ||
				len(repo.Git().Log("main")) != 1 {
				t.Errorf("%d deploy keys, %d commits", len(repo.DeployKeys()), len(repo.Git().Log("main")))
			}
		})
	}
}
