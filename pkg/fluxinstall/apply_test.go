package fluxinstall

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestStagesOf(t *testing.T) {
	t.Parallel()
	object := func(apiVersion, kind, name string) *unstructured.Unstructured {
		return parse(t, "apiVersion: "+apiVersion+"\nkind: "+kind+"\nmetadata: {name: "+name+"}")
	}
	s := stagesOf([]*unstructured.Unstructured{
		object("apps/v1", "Deployment", "controller"), object("v1", "ServiceAccount", "account"),
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "crd"),
		object("rbac.authorization.k8s.io/v1", "ClusterRole", "role"), object("v1", "Namespace", "namespace"),
		object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "binding"),
	})
	for _, stage := range []struct {
		name    string
		objects []*unstructured.Unstructured
		want    []string
	}{
		{"namespaces", s.namespaces, []string{"namespace"}},
		{"definitions", s.definitions, []string{"crd"}},
		{"roles", s.roles, []string{"role"}},
		{"objects", s.objects, []string{"account", "binding"}},
		{"workloads", s.workloads, []string{"controller"}},
	} {
		var got []string
		for _, o := range stage.objects {
			got = append(got, o.GetName())
		}
		if !slices.Equal(got, stage.want) {
			t.Errorf("%s: %v, want %v", stage.name, got, stage.want)
		}
	}
	if !slices.Equal(s.crds, []string{"crd"}) {
		t.Errorf("crds %v", s.crds)
	}
}
