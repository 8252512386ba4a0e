package fluxinstall

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Purpose is what a run is going to do in the cluster; it decides which rights it needs.
type Purpose int

// The purposes. Only reading needs no rights beyond those that reading itself shows to be there.
const (
	ForReading Purpose = iota
	ForInstalling
	ForRemoving
	// ForFollowing is to have Flux look at a commit at once.
	ForFollowing
	// ForMarking is to pause and resume Clusters of a namespace: EKS Anywhere's work on them, and Flux's.
	ForMarking
	// ForDeleting is to delete Clusters of a namespace.
	ForDeleting
)

// MissingRight is what the user of the kubeconfig may not do and a run needs.
type MissingRight struct {
	Verbs           []string
	Group, Resource string
	Name            string // of the one object that it is about; empty for all
	Namespace       string // where it is missing; empty for the whole cluster
}

// Error says what may not be done where.
func (m *MissingRight) Error() string {
	text := "the user of the kubeconfig may not " + strings.Join(m.Verbs, ", ") + " " + m.resource()
	if m.Name != "" {
		text += " " + m.Name
	}
	if m.Namespace != "" {
		text += " in namespace " + m.Namespace
	}
	return text
}

func (m *MissingRight) resource() string {
	if m.Group == "" {
		return m.Resource
	}
	return m.Resource + "." + m.Group
}

// Hint is the rule that gives the right.
func (m *MissingRight) Hint() string {
	name := ""
	if m.Name != "" {
		name = fmt.Sprintf(", resourceNames [%q]", m.Name)
	}
	role := "a ClusterRole"
	if m.Namespace != "" {
		role = "a Role in namespace " + m.Namespace
	}
	return fmt.Sprintf("the user needs %s with the rule: apiGroups [%q], resources [%q]%s, verbs [%s]",
		role, m.Group, m.Resource, name, quoted(m.Verbs))
}

func quoted(words []string) string {
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = fmt.Sprintf("%q", word)
	}
	return strings.Join(list, ", ")
}

// need is a right that a purpose needs, with its verbs.
type need struct {
	group, resource, name string // resource may be one with a subresource: resource/subresource
	namespaced            bool   // in the namespace that is asked about; else in the whole cluster
	verbs                 []string
}

// needs are the rights that docs/rbac.md lists for a purpose beyond those for reading.
func (p Purpose) needs(namespace string) []need {
	const rbac = "rbac.authorization.k8s.io"
	written := []string{"get", "create", "patch"}
	remove := []string{"get", "list", "delete"}
	switch p {
	case ForInstalling:
		return []need{
			{crdGroup, "customresourcedefinitions", "", false, written},
			{"", "namespaces", "", false, written},
			{"", "secrets", "", true, written},
			{"", "serviceaccounts", "", true, written},
			{"", "services", "", true, written},
			{"", "resourcequotas", "", true, written},
			{"apps", "deployments", "", true, written},
			{"networking.k8s.io", "networkpolicies", "", true, written},
			{sourceGroup, "gitrepositories", "", true, written},
			{kustomizeGroup, "kustomizations", "", true, written},
			{eksaGroup, "clusters", "", false, []string{"get"}},
			{rbac, "clusterroles", "", false, append(slices.Clone(written), "escalate")},
			{rbac, "clusterroles", "cluster-admin", false, []string{"bind"}},
			{rbac, "clusterroles", "crd-controller-" + namespace, false, []string{"bind"}},
			{rbac, "clusterrolebindings", "", false, written},
		}
	case ForRemoving:
		return []need{
			{crdGroup, "customresourcedefinitions", "", false, remove},
			{sourceGroup, "gitrepositories", "", true, []string{"get", "patch"}},
			{kustomizeGroup, "kustomizations", "", true, []string{"get", "list", "patch"}},
			{"apps", "deployments", "", true, []string{"get", "patch", "delete"}},
			{"", "namespaces", "", false, []string{"get", "delete"}},
			{"", "secrets", "", true, remove},
			{"", "serviceaccounts", "", true, remove},
			{"", "services", "", true, remove},
			{"", "resourcequotas", "", true, remove},
			{"networking.k8s.io", "networkpolicies", "", true, remove},
			{rbac, "clusterroles", "", false, remove},
			{rbac, "clusterrolebindings", "", false, remove},
			{"", "pods", "", true, []string{"list"}},
			{"", "configmaps", "", true, []string{"list"}},
			{"", "persistentvolumeclaims", "", true, []string{"list"}},
			{"apps", "statefulsets", "", true, []string{"list"}},
			{"apps", "daemonsets", "", true, []string{"list"}},
			{"batch", "jobs", "", true, []string{"list"}},
			{"batch", "cronjobs", "", true, []string{"list"}},
			{"networking.k8s.io", "ingresses", "", true, []string{"list"}},
			{rbac, "roles", "", true, []string{"list"}},
			{rbac, "rolebindings", "", true, []string{"list"}},
			{eksaGroup, "clusters", "", false, []string{"get", "patch"}},
			{eksaGroup, "fluxconfigs", "", false, []string{"patch", "delete"}},
		}
	case ForFollowing:
		return []need{
			{sourceGroup, "gitrepositories", "", true, []string{"patch"}},
			{kustomizeGroup, "kustomizations", "", true, []string{"patch"}},
		}
	case ForMarking:
		return []need{{eksaGroup, "clusters", "", true, []string{"patch"}}}
	case ForDeleting:
		return []need{{eksaGroup, "clusters", "", true, []string{"delete"}}}
	}
	return nil
}

// MissingRights lists what the user may not do and the purpose needs, by resource, in a namespace and the
// whole cluster. One request answers for users who may do all of it; what its answer does not list is asked
// for one by one, as it may be incomplete. A server that does not answer such questions is no reason to stop:
// it will refuse what it refuses. It writes nothing and may be repeated.
func (c *Cluster) MissingRights(ctx context.Context, purpose Purpose, namespace string) []*MissingRight {
	return c.missing(ctx, purpose.needs(namespace), namespace)
}

// missing is missingRights for any rights.
func (c *Cluster) missing(ctx context.Context, needs []need, namespace string) []*MissingRight {
	if len(needs) == 0 {
		return nil
	}
	review := rulesReviewKind().object("", "")
	review.Object["spec"] = map[string]any{"namespace": namespace}
	if err := c.client.Create(ctx, review); err != nil {
		return nil
	}
	rules, _, _ := unstructured.NestedSlice(review.Object, "status", "resourceRules")
	denied := make([][]bool, len(needs)) // by need and verb
	var asks []func() error
	for i, n := range needs {
		denied[i] = make([]bool, len(n.verbs))
		for j, verb := range n.verbs {
			if !allowedBy(rules, n, verb) {
				asks = append(asks,
					func() error { denied[i][j] = c.denied(ctx, n, verb, namespace); return nil })
			}
		}
	}
	// The questions have no errors: what is not answered is not denied.
	_ = together(asks...)
	var missing []*MissingRight
	for i, n := range needs {
		m := &MissingRight{Group: n.group, Resource: n.resource, Name: n.name}
		if n.namespaced {
			m.Namespace = namespace
		}
		for j, verb := range n.verbs {
			if denied[i][j] {
				m.Verbs = append(m.Verbs, verb)
			}
		}
		if len(m.Verbs) > 0 {
			missing = append(missing, m)
		}
	}
	return missing
}

// denied asks the server about one right.
func (c *Cluster) denied(ctx context.Context, n need, verb, namespace string) bool {
	resource, subresource, _ := strings.Cut(n.resource, "/")
	attributes := map[string]any{"group": n.group, "resource": resource, "subresource": subresource,
		"verb": verb, "name": n.name}
	if n.namespaced {
		attributes["namespace"] = namespace
	}
	review := accessReviewKind().object("", "")
	review.Object["spec"] = map[string]any{"resourceAttributes": attributes}
	if err := c.client.Create(ctx, review); err != nil {
		return false
	}
	allowed, answered, err := unstructured.NestedBool(review.Object, "status", "allowed")
	return answered && err == nil && !allowed
}

// allowedBy says whether a rule of a SelfSubjectRulesReview's answer gives a right.
func allowedBy(rules []any, n need, verb string) bool {
	for _, rule := range rules {
		fields, _ := rule.(map[string]any)
		holds := func(field, value string) bool {
			list, _, _ := unstructured.NestedStringSlice(fields, field)
			return slices.Contains(list, value) || slices.Contains(list, "*")
		}
		names, _, _ := unstructured.NestedStringSlice(fields, "resourceNames")
		if holds("apiGroups", n.group) && holds("resources", n.resource) && holds("verbs", verb) &&
			(len(names) == 0 || slices.Contains(names, n.name) && n.name != "") {
			return true
		}
	}
	return false
}
