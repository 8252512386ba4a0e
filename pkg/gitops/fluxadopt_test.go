package gitops

import (
	"slices"
	"testing"
)

func TestUnmanagedObjects(t *testing.T) {
	t.Parallel()
	had := []string{"default_shop__ConfigMap", "_cellar__Namespace",
		"_system__a_rbac.authorization.k8s.io_ClusterRole", "c_b_apps_Deployment", "odd"}
	got := unmanagedObjects(had, []string{"c_b_apps_Deployment"})
	if want := []string{"ClusterRole system:a", "ConfigMap default/shop", "Namespace cellar",
		"odd"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := unmanagedObjects(nil, nil); got == nil || len(got) != 0 {
		t.Errorf("got %#v, want an empty list", got)
	}
}
