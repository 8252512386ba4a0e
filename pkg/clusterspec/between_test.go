package clusterspec_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// TestParse_release: a Kubernetes version or a provider that the release of EKS Anywhere does not have is
// warned of, and never refused.
func TestParse_release(t *testing.T) {
	t.Parallel()
	const field = "warning: 6:22: Cluster dev: spec.kubernetesVersion: "
	version := func(kubernetes, more string) []string {
		return []string{`"1.33"`, `"` + kubernetes + `"`, "  clusterNetwork:", more + "  clusterNetwork:"}
	}
	const workers = "    count: 2 # scaled through Git\n"
	for name, test := range map[string]struct {
		spec  string
		edits []string
		want  string
	}{
		"oldest of v0.26":   {"vsphere-workload-github", version("1.30", ""), ""},
		"newest of v0.26":   {"vsphere-workload-github", version("1.36", ""), ""},
		"older than any":    {"vsphere-workload-github", version("1.18", ""), field + `EKS Anywhere v0.26 does not come with this Kubernetes version (no eksaVersion says which release it is); found "1.18"; expected 1.30 to 1.36`},
		"newer than any":    {"vsphere-workload-github", version("1.99", ""), field + `EKS Anywhere v0.26 does not come with this Kubernetes version (no eksaVersion says which release it is); found "1.99"; expected 1.30 to 1.36`},
		"of a later one":    {"vsphere-workload-github", version("1.37", ""), field + `EKS Anywhere v0.26 does not come with this Kubernetes version (no eksaVersion says which release it is); found "1.37"; expected 1.30 to 1.36, or eksaVersion v0.27`},
		"release named":     {"vsphere-workload-github", version("1.37", "  eksaVersion: v0.27.0\n"), ""},
		"left in v0.27":     {"vsphere-workload-github", version("1.30", "  eksaVersion: v0.27.0\n"), field + `EKS Anywhere v0.27 does not come with this Kubernetes version (spec.eksaVersion); found "1.30"; expected 1.31 to 1.37, or eksaVersion v0.26`},
		"release not known": {"vsphere-workload-github", version("1.18", "  eksaVersion: v0.4.0\n"), ""},
		"oldest of v0.20":   {"vsphere-workload-github", version("1.26", "  eksaVersion: v0.20.0\n"), ""},
		"newest of v0.20":   {"vsphere-workload-github", version("1.30", "  eksaVersion: v0.20.11\n"), ""},
		"not yet in v0.20":  {"vsphere-workload-github", version("1.31", "  eksaVersion: v0.20.0\n"), field + `EKS Anywhere v0.20 does not come with this Kubernetes version (spec.eksaVersion); found "1.31"; expected 1.26 to 1.30, or eksaVersion v0.21`},
		"left in v0.21":     {"vsphere-workload-github", version("1.26", "  eksaVersion: v0.21.0\n"), field + `EKS Anywhere v0.21 does not come with this Kubernetes version (spec.eksaVersion); found "1.26"; expected 1.27 to 1.31, or eksaVersion v0.20`},
		"left in v0.22":     {"vsphere-workload-github", version("1.27", "  eksaVersion: v0.22.0\n"), field + `EKS Anywhere v0.22 does not come with this Kubernetes version (spec.eksaVersion); found "1.27"; expected 1.28 to 1.32, or eksaVersion v0.21`},
		"not yet in v0.23":  {"vsphere-workload-github", version("1.34", "  eksaVersion: v0.23.2\n"), field + `EKS Anywhere v0.23 does not come with this Kubernetes version (spec.eksaVersion); found "1.34"; expected 1.28 to 1.33, or eksaVersion v0.24`},
		"newest of v0.24":   {"vsphere-workload-github", version("1.34", "  eksaVersion: v0.24.4\n"), ""},
		"oldest of v0.24":   {"vsphere-workload-github", version("1.28", "  eksaVersion: v0.24.0\n"), ""},
		"build of a day": {"vsphere-workload-github",
			version("1.18", "  eksaVersion: v0.0.0-dev+build.1\n"), ""},
		"release newer than the table": {"vsphere-workload-github",
			version("1.99", "  eksaVersion: v0.99.0\n"),
			`warning: 20:16: Cluster dev: spec.eksaVersion: the release is newer than those that this version of eksa-gitops knows, so its rules may differ; found "v0.99.0"; expected at most v0.27`},
		"workers": {"vsphere-workload-github",
			[]string{`"1.33"`, `"1.30"`, workers, workers + "    kubernetesVersion: \"1.29\"\n"},
			`warning: 17:24: Cluster dev: spec.workerNodeGroupConfigurations[0].kubernetesVersion: EKS Anywhere v0.26 does not come with this Kubernetes version (no eksaVersion says which release it is); found "1.29"; expected 1.30 to 1.36, or eksaVersion v0.25`},
		"CloudStack": {"cloudstack-workload-github", nil,
			`warning: 30:11: Cluster dev: spec.datacenterRef.kind: EKS Anywhere v0.26 no longer supports CloudStack (no eksaVersion says which release it is); expected a release up to v0.25, or another provider`},
		"CloudStack while it was there": {"cloudstack-workload-github",
			[]string{"  clusterNetwork:", "  eksaVersion: v0.25.4\n  clusterNetwork:"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := told(edited(t, test.spec, test.edits...)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// twoClusters puts a management cluster mgmt and the workload cluster dev of another file into one.
func twoClusters(t *testing.T, provider string, management, workload []string) string {
	t.Helper()
	own := strings.NewReplacer("name: dev", "name: mgmt", "10.20.0.10", "10.20.0.20").Replace(readSpec(t,
		provider+"-management-github"))
	for i := 0; i+1 < len(management); i += 2 {
		if !strings.Contains(own, management[i]) {
			t.Fatalf("the management cluster has no %q", management[i])
		}
		own = strings.Replace(own, management[i], management[i+1], 1)
	}
	return own + "---\n" + edited(t, provider+"-workload-github", workload...)
}

// TestParse_betweenClusters holds the clusters of a fleet against each other.
func TestParse_betweenClusters(t *testing.T) {
	t.Parallel()
	const network = "  clusterNetwork:"
	with := func(field string) []string { return []string{network, "  " + field + "\n" + network} }
	for name, test := range map[string]struct {
		provider             string
		management, workload []string
		want                 string
	}{
		"apart": {"tinkerbell", nil, nil, ""},
		"one endpoint": {
			"vsphere",
			[]string{"10.20.0.20",
				"10.20.0.10"},
			nil,
			`102:13: Cluster dev: spec.controlPlaneConfiguration.endpoint.host: the endpoint is that of Cluster mgmt in spec.yaml:1; found "10.20.0.10"; expected an address of its own`},
		"one endpoint, written in two ways": {"tinkerbell", []string{"10.20.0.20", "CP.example.com"},
			[]string{"10.20.0.10", "cp.example.com."},
			`89:13: Cluster dev: spec.controlPlaneConfiguration.endpoint.host: the endpoint is that of Cluster mgmt in spec.yaml:1; found "cp.example.com."; expected an address of its own`},
		"no endpoint with Docker": {"docker", nil, nil, ""},
		"eksaVersion alike": {"vsphere", with("eksaVersion: v0.26.1"),
			with("eksaVersion: v0.26.1"), ""},
		"eksaVersion one behind": {"vsphere", with("eksaVersion: v0.26.1"),
			with("eksaVersion: v0.25.4"), ""},
		"eksaVersion patch above": {"vsphere", with("eksaVersion: v0.26.1"), with("eksaVersion: v0.26.2"), `113:16: Cluster dev: spec.eksaVersion: the cluster would be above its management cluster mgmt in spec.yaml:1; found "v0.26.2"; expected at most v0.26.1, or the management cluster first`},
		"eksaVersion minor above": {"vsphere", with("eksaVersion: v0.9.1"), with("eksaVersion: v0.10.0"), `113:16: Cluster dev: spec.eksaVersion: the cluster would be above its management cluster mgmt in spec.yaml:1; found "v0.10.0"; expected at most v0.9.1, or the management cluster first
warning: 6:22: Cluster mgmt: spec.kubernetesVersion: EKS Anywhere v0.9 does not come with this Kubernetes version (spec.eksaVersion); found "1.33"; expected 1.20 to 1.22, or eksaVersion v0.23
warning: 99:22: Cluster dev: spec.kubernetesVersion: EKS Anywhere v0.10 does not come with this Kubernetes version (spec.eksaVersion); found "1.33"; expected 1.20 to 1.22, or eksaVersion v0.23`},
		"eksaVersion two behind": {"vsphere", append(with("eksaVersion: v0.26.1"), `"1.33"`, `"1.34"`),
			with("eksaVersion: v0.24.0"),
			`warning: 113:16: Cluster dev: spec.eksaVersion: the management cluster mgmt is more than one minor version above the cluster, which EKS Anywhere does not support; found "v0.24.0"; expected v0.25 or v0.26`},
		"release of the management": {"vsphere",
			append(with("eksaVersion: v0.25.1"), `"1.33"`, `"1.29"`), []string{`"1.33"`, `"1.36"`},
			`warning: 99:22: Cluster dev: spec.kubernetesVersion: EKS Anywhere v0.25 does not come with this Kubernetes version (spec.eksaVersion of Cluster mgmt); found "1.36"; expected 1.29 to 1.35, or eksaVersion v0.26`},
		"another Tinkerbell": {"tinkerbell", nil, []string{"10.20.0.11", "10.20.0.12"}, `122:17: TinkerbellDatacenterConfig dev: spec.tinkerbellIP: the address is not that of the management cluster mgmt, whose Tinkerbell provides the machines; found "10.20.0.12"; expected "10.20.0.11"`},
		"two licenses": {"vsphere", with("licenseToken: a"), with("licenseToken: b"),
			`warning: 20:17: Cluster mgmt: spec.licenseToken: the license token will be in Git in plain text
warning: 113:17: Cluster dev: spec.licenseToken: the license token will be in Git in plain text`},
		"one license": {"vsphere", with("licenseToken: a"), with("licenseToken: a"), `113:17: Cluster dev: spec.licenseToken: the license token is that of Cluster mgmt in spec.yaml:1, and EKS Anywhere refuses it for a second one in extended support; expected a license token of its own
warning: 20:17: Cluster mgmt: spec.licenseToken: the license token will be in Git in plain text
warning: 113:17: Cluster dev: spec.licenseToken: the license token will be in Git in plain text`},
		"one license, not needed": {"vsphere", with("licenseToken: a"),
			append(with("licenseToken: a"), `"1.33"`, `"1.36"`),
			`warning: 20:17: Cluster mgmt: spec.licenseToken: the license token will be in Git in plain text
warning: 113:17: Cluster dev: spec.licenseToken: the license token is that of Cluster mgmt in spec.yaml:1; EKS Anywhere refuses it as soon as the Kubernetes version is in extended support; expected a license token of its own
warning: 113:17: Cluster dev: spec.licenseToken: the license token will be in Git in plain text`},
		"one license, before v0.22": {"vsphere",
			append(with("licenseToken: a\n  eksaVersion: v0.19.1"), `"1.33"`, `"1.29"`),
			append(with("licenseToken: a"), `"1.33"`, `"1.28"`),
			`warning: 20:17: Cluster mgmt: spec.licenseToken: the license token will be in Git in plain text
warning: 114:17: Cluster dev: spec.licenseToken: the license token is that of Cluster mgmt in spec.yaml:1; EKS Anywhere refuses it as soon as the Kubernetes version is in extended support; expected a license token of its own
warning: 114:17: Cluster dev: spec.licenseToken: the license token will be in Git in plain text`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := told(twoClusters(t, test.provider, test.management, test.workload)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestCheckBetween tells what is wrong with the clusters of a run beside others, and nothing of the others
// themselves.
func TestCheckBetween(t *testing.T) {
	t.Parallel()
	in := func(name, text string) clusterspec.Source {
		return clusterspec.Source{Name: name, Data: []byte(text)}
	}
	other := strings.NewReplacer("name: dev", "name: green").Replace(readSpec(t, "vsphere-workload-github"))
	dev := parseText(edited(t, "vsphere-workload-github")).Clusters
	for name, test := range map[string]struct {
		others []clusterspec.Source
		want   string
	}{
		"none":              {nil, ""},
		"with the endpoint": {[]clusterspec.Source{in("green.yaml", other)}, `10:13: Cluster dev: spec.controlPlaneConfiguration.endpoint.host: the endpoint is that of Cluster green in green.yaml:1; found "10.20.0.10"; expected an address of its own`},
		"with another": {
			[]clusterspec.Source{in("green.yaml", strings.Replace(other, "10.20.0.10", "10.20.0.20", 1))},
			""},
		"two of one endpoint": {[]clusterspec.Source{
			in("a.yaml", strings.Replace(other, "10.20.0.10", "10.20.0.20", 1)),
			in("b.yaml", strings.NewReplacer("green", "blue", "10.20.0.10", "10.20.0.20").Replace(other))},
			""},
		"itself":     {[]clusterspec.Source{in("dev.yaml", readSpec(t, "vsphere-workload-github"))}, ""},
		"unreadable": {[]clusterspec.Source{in("a.yaml", "a: ["), in("b.yaml", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, position, _ := strings.Cut(clusterspec.CheckBetween(dev, test.others).Error(), ":")
			if position != test.want {
				t.Errorf("got %s, want %s", position, test.want)
			}
		})
	}
}
