package e2e_test

import "testing"

// Completion offers the clusters of the management cluster, each once, to every command that takes their
// names.
func TestCompletion_clusters(t *testing.T) {
	w := newWorldIn(t, withDev())
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"status", ""}, "dev\nmgmt\n:4\n"},
		{[]string{"status", "m"}, "mgmt\n:4\n"},
		{[]string{"status", "dev", ""}, ":4\n"},
		{[]string{"delete", "cluster", "dev", ""}, "mgmt\n:4\n"},
		{[]string{"pause", "cluster", ""}, "dev\nmgmt\n:4\n"},
		{[]string{"resume", "cluster", "d"}, "dev\n:4\n"},
		{[]string{"get", "clusters", ""}, "dev\nmgmt\n:4\n"},
		{[]string{"get", "kubeconfig", ""}, "dev\nmgmt\n:4\n"},
	} {
		if out := w.run(append([]string{"__complete"}, tc.args...)...).exits(0); out.stdout != tc.want {
			t.Errorf("%q: offered\n%s\nwant\n%s", tc.args, out.stdout, tc.want)
		}
	}
}
