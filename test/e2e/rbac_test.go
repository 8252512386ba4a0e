package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// role is a role of docs/rbac.md.
type role struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Metadata   map[string]string   `json:"metadata"`
	Rules      []rbacv1.PolicyRule `json:"rules"`
}

// documentedRoles are the roles of docs/rbac.md by their names.
func documentedRoles(t testing.TB) map[string]role {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "rbac.md"))
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]role{}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1) {
		var r role
		if err := yaml.UnmarshalStrict(block[1], &r); err != nil {
			t.Fatalf("%v:\n%s", err, block[1])
		}
		roles[r.Metadata["name"]] = r
	}
	return roles
}

// grant gives a user exactly these roles, in the place of those it had from an earlier call.
func (w *world) grant(user string, roles ...role) {
	w.t.Helper()
	var all strings.Builder
	for _, r := range roles {
		content, err := yaml.Marshal(r)
		if err != nil {
			w.t.Fatal(err)
		}
		namespace := ""
		if r.Kind == "Role" {
			namespace = "\n  namespace: " + r.Metadata["namespace"]
		}
		fmt.Fprintf(&all, "---\n%s---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\n"+
			"metadata:\n  name: %s-%s%s\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: %s\n"+
			"  name: %s\nsubjects:\n  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: %s\n",
			content, r.Kind, r.Metadata["name"], user, namespace, r.Kind, r.Metadata["name"], user)
	}
	if err := stackOf(w.t).Apply(w.t.Context(), []byte(all.String())); err != nil {
		w.t.Fatal(err)
	}
}

// right is one thing that a role allows.
type right struct {
	role                             string
	group, resource, verb, name, nsp string
}

func (r right) String() string {
	return fmt.Sprintf("%s %s.%s %s (%s)", r.verb, r.resource, r.group, r.name, r.role)
}

// rights takes a role apart.
func (r role) rights() []right {
	var all []right
	for _, rule := range r.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					name := ""
					if len(rule.ResourceNames) > 0 {
						name = rule.ResourceNames[0]
					}
					all = append(all,
						right{r.Metadata["name"], group, resource, verb, name, r.Metadata["namespace"]})
				}
			}
		}
	}
	return all
}

// without is the role less one right, wherever it is in it.
func (r role) without(missing right) role {
	less := r
	less.Rules = nil
	for _, rule := range r.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				one := rule
				one.APIGroups, one.Resources = []string{group}, []string{resource}
				if group == missing.group && resource == missing.resource {
					one.Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(v string) bool {
						return v == missing.verb
					})
				}
				if len(one.Verbs) > 0 &&
					!(missing.resource != "*" && resource == "*" && group == missing.group) {
					less.Rules = append(less.Rules, one)
				}
			}
		}
	}
	return less
}

// waitAllowed waits until the API server's authorizer has heard of a change.
func (w *world) waitAllowed(user string, r right, want bool) {
	w.t.Helper()
	namespace := r.nsp
	if namespace == "" {
		namespace = "default"
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: r.verb, Group: r.group, Resource: r.resource, Name: r.name,
			}}}
		if err := stackOf(w.t).Client().Create(w.t.Context(), review); err != nil {
			w.t.Fatal(err)
		}
		if review.Status.Allowed == want {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: allowed is %t, want %t: %s", r, review.Status.Allowed, want, review.Status.Reason)
		}
		time.Sleep(20 * time.Millisecond) // there is nothing to watch
	}
}

// as is the world of a user who has the given roles and nothing else.
func (w *world) as(user string, roles ...role) *world {
	w.t.Helper()
	path, err := stackOf(w.t).KubeconfigFor(user)
	if err != nil {
		w.t.Fatal(err)
	}
	w.grant(user, roles...)
	for _, r := range roles {
		all := r.rights()
		w.waitAllowed(user, all[len(all)-1], true)
	}
	return w.with(w.t, map[string]string{"KUBECONFIG": path})
}

// Each command does its work with exactly the rights that the documentation names.
func TestRBAC_documentedRolesSuffice(t *testing.T) {
	w := newWorld(t)
	roles := documentedRoles(t)
	view := roles["eksa-gitops-view"]
	installer := w.as("installer", view, roles["eksa-gitops-install"])
	installer.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints(
		"Cluster mgmt is managed through Git.")
	before := w.mark()
	installer.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	viewer := w.as("viewer", view)
	viewer.run("status").exits(0).prints("All that was looked at is well.")
	viewer.run("get", "clusters").exits(0).prints("mgmt")
	before.writesNothing()
	w.as("auditor", view, roles["eksa-gitops-view-details"]).run("status").exits(0).prints("All is well.")

	operator := w.as("workload-operator", view, roles["eksa-gitops-operate"], roles["eksa-gitops-kubeconfig"])
	operator.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev is managed through Git.")
	operator.run("status").exits(0)
	operator.run("get", "kubeconfig", "dev").exits(0)
	w.edit("dev.yaml", "count: 1   # scaled", "count: 2   # scaled")
	operator.run("upgrade", "cluster", "-f", "dev.yaml").exits(4).tells("anywhere.eks.amazonaws.com")
	w.as("upgrader", view, roles["eksa-gitops-operate"], roles["eksa-gitops-change"]).run("upgrade",
		"cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev matches the file.")
	operator.run("delete", "cluster", "dev", "--yes").exits(0)
	w.as("detacher", view, roles["eksa-gitops-detach"]).run("delete", "cluster", "mgmt", "--yes").exits(0)
}

// The same for what changes a Flux that is there: taking it over, and taking controllers out of it.
func TestRBAC_documentedRolesSufficeForFlux(t *testing.T) {
	w, _ := bootstrapped(t, "alice/infra", "clusters/prod")
	roles := documentedRoles(t)
	view, install, change := roles["eksa-gitops-view"], roles["eksa-gitops-install"],
		roles["eksa-gitops-change"]
	adopter := w.as("adopter", view, install, change)
	adopter.run("upgrade", "cluster", "-f", "mgmt.yaml", "--adopt").exits(0)
	kept(t, w)
	remove := []string{"upgrade", "cluster", "-f", "mgmt.yaml", "--components",
		"source-controller,kustomize-controller"}
	remover := w.needsEach("remover", []role{view, roles["eksa-gitops-operate"], change},
		[]role{roles["eksa-gitops-remove-controllers"]}, remove...)
	remover.run(remove...).exits(0).prints("helm-controller v1.6.3 (removed)")
}

// Take any single right away, and the run says which one it needs: before anything is written where Flux is
// installed or removed, and for whatever is read.
func TestRBAC_eachRightIsNeeded(t *testing.T) {
	w := newWorld(t)
	roles := documentedRoles(t)
	view, install, detach := roles["eksa-gitops-view"], roles["eksa-gitops-install"],
		roles["eksa-gitops-detach"]
	w.needsEach("installer", nil, []role{view, install}, "create", "cluster", "-f", "mgmt.yaml").run("create",
		"cluster", "-f", "mgmt.yaml").exits(0)
	w.needsEach("detacher", nil, []role{view, detach}, "delete", "cluster", "mgmt", "--yes")
}

// needsEach runs the program as a user with some roles, from which each right of those that are tried is
// taken away in turn, and gives the world of the user with all of them.
func (w *world) needsEach(user string, others, tried []role, args ...string) *world {
	w.t.Helper()
	path, err := stackOf(w.t).KubeconfigFor(user)
	if err != nil {
		w.t.Fatal(err)
	}
	theirs := w.with(w.t, map[string]string{"KUBECONFIG": path})
	roles := slices.Concat(others, tried)
	for _, r := range tried {
		for _, missing := range r.rights() {
			if missing.resource == "*" {
				continue // for what else people keep there
			}
			w.grant(user, roles...)
			w.waitAllowed(user, missing, true)
			var granted []role
			for _, other := range roles {
				granted = append(granted, other.without(missing))
			}
			w.grant(user, granted...)
			w.waitAllowed(user, missing, false)
			before := w.mark()
			out := theirs.run(args...)
			resource := fmt.Sprintf("resources [%q]", missing.resource)
			if out.code != 4 || !strings.Contains(out.stderr, resource) ||
				!strings.Contains(out.stderr, fmt.Sprintf("%q", missing.verb)) {
				w.t.Errorf("without %s: eksa-gitops %s: exit code %d\n%s%s",
					missing, strings.Join(args, " "), out.code, out.stdout, out.stderr)
			}
			before.writesNothing()
		}
	}
	w.grant(user, roles...)
	for _, r := range roles {
		for _, right := range r.rights() {
			w.waitAllowed(user, right, true)
		}
	}
	return theirs
}
