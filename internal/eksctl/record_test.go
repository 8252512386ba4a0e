package eksctl_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/eksctl"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// A deletion is on record when it came to its end, nothing was done to the cluster after it, and no
// kubeconfig is here.
func TestHasDeleted(t *testing.T) {
	c := newChild(t)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	good := c.provisioner("", eksctl.Options{Now: clock})
	bad := c.provisioner("fail", eksctl.Options{Now: clock})
	job := func(verb gitops.Verb, cluster string) gitops.ProvisionJob {
		return gitops.ProvisionJob{Verb: verb, Cluster: cluster, ManagementCluster: cluster}
	}
	holds := func(when string, want bool) {
		t.Helper()
		for name, want := range map[string]bool{"mgmt": want, "mgmt-eksctl": false, "other": false} {
			if got := good.HasDeleted(name); got != want {
				t.Errorf("%s: HasDeleted(%s) is %v", when, name, got)
			}
		}
	}
	holds("nothing was done", false)
	for _, step := range []struct {
		name string
		p    *eksctl.Provisioner
		verb gitops.Verb
		late time.Duration
		want bool
	}{
		{name: "created", p: good, verb: gitops.VerbCreate},
		{name: "not deleted", p: bad, verb: gitops.VerbDelete, late: time.Second},
		{name: "deleted within the same second", p: good, verb: gitops.VerbDelete, want: true},
		{name: "created anew", p: good, verb: gitops.VerbCreate, late: time.Hour},
		{name: "deleted again", p: good, verb: gitops.VerbDelete, late: time.Hour, want: true},
		{name: "a creation that failed", p: bad, verb: gitops.VerbCreate, late: time.Second},
		{name: "and the last deletion", p: good, verb: gitops.VerbDelete, late: time.Second, want: true},
	} {
		now = now.Add(step.late)
		if _, err := step.p.Run(t.Context(), job(step.verb, "mgmt")); (err != nil) != (step.p == bad) {
			t.Fatalf("%s: %v", step.name, err)
		}
		holds(step.name, step.want)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "mgmt", "mgmt-eks-a-cluster.kubeconfig"), []byte("x"),
		0o600); err != nil {
		t.Fatal(err)
	}
	holds("there is a kubeconfig", false)
}
