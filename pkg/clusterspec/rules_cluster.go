package clusterspec

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checkRules runs the rules that the field table cannot hold and that need nothing but the object, kind by
// kind.
func (r *report) checkRules() {
	r.checkMetadata()
	r.checkAnnotations()
	switch r.object.Kind {
	case "Cluster":
		r.checkControlPlane()
		r.checkEtcd()
		r.checkWorkers()
		r.checkRollout()
		r.checkNetwork()
		r.checkCilium()
		r.checkKubelets()
		r.checkAuditPolicy()
		r.checkProxy()
		r.checkRegistryMirror()
		r.checkVersions()
		r.checkIdentityProviders()
		r.checkPackages()
		r.checkSecretsInGit()
	case "VSphereDatacenterConfig":
		r.checkVSphereDatacenter()
	case "VSphereMachineConfig":
		r.checkVSphereMachine()
	case "CloudStackDatacenterConfig":
		r.checkCloudStackDatacenter()
	case "CloudStackMachineConfig":
		r.checkCloudStackMachine()
	case "NutanixDatacenterConfig":
		r.checkNutanixDatacenter()
	case "NutanixMachineConfig":
		r.checkNutanixMachine()
	case "SnowMachineConfig":
		r.checkSnowMachine()
	case "SnowIPPool":
		r.checkSnowPools()
	case "TinkerbellDatacenterConfig":
		r.checkTinkerbellDatacenter()
	case "TinkerbellMachineConfig":
		r.checkTinkerbellMachine()
	case "AWSIamConfig":
		r.checkAWSIam()
	}
}

// provider is the provider of a Cluster object.
func (r *report) provider() string {
	return providerOf(text(r.object.root(), "spec", "datacenterRef", "kind"))
}

func (r *report) managed() bool {
	management := text(r.object.root(), "spec", "managementCluster", "name")
	return management != "" && management != r.object.Name
}

// required reports a field that is missing for a reason the table does not know.
func (r *report) required(path, why, expected string) {
	parent := path[:max(strings.LastIndexByte(path, '.'), 0)]
	if r.strayIn(parent) {
		return // most likely the field itself, misspelled beyond recognition
	}
	r.wrong("required", path, strings.TrimSpace("the field is required "+why)).Expected = expected
}

// strayIn says whether a mapping has a field that does not exist and that nobody knows the meaning of.
func (r *report) strayIn(mapping string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool {
		return p.Rule == "unknown-field" && p.Suggestion == "" &&
			p.Field[:max(strings.LastIndexAny(p.Field, ".["), 0)] == mapping
	})
}

func (r *report) present(path ...string) bool {
	_, value := lookup(r.object.root(), path...)
	return value != nil
}

// addressedByIP are the providers whose control plane is reached by an IP address only (their validators in
// EKS Anywhere); a name is fine with the others.
var addressedByIP = []string{"vsphere", "nutanix", "snow"}

// checkControlPlane: endpoint and machines are needed except with Docker, whose provider refuses an endpoint.
func (r *report) checkControlPlane() {
	const at = "spec.controlPlaneConfiguration"
	root := r.object.root()
	provider := r.provider()
	if provider == "" || !r.present("spec", "controlPlaneConfiguration") {
		return
	}
	host := text(root, "spec", "controlPlaneConfiguration", "endpoint", "host")
	switch {
	case provider == "docker":
		if host != "" {
			e := r.wrong("docker", at+".endpoint", "the Docker provider chooses the endpoint itself")
			e.Found, e.Expected = quote(host), "no endpoint"
		}
	case !r.present("spec", "controlPlaneConfiguration", "endpoint"):
		r.required(at+".endpoint", "except with Docker", "an object with host")
	case strings.Contains(host, "/") || strings.ContainsAny(host, " \t"):
		e := r.wrong("invalid-value", at+".endpoint.host", "not an IP address or host name")
		e.Found, e.Expected = quote(host), "an IP address or host name alone"
		if parsed, err := url.Parse(host); err == nil {
			e.Suggestion = parsed.Hostname()
		}
	case slices.Contains(addressedByIP, provider) && host != "":
		if address, err := netip.ParseAddr(host); err != nil || address.Zone() != "" {
			e := r.wrong("invalid-value", at+".endpoint.host", providerTitle(provider)+" needs an IP address")
			e.Found, e.Expected = quote(host), "an IP address"
		}
	}
	if provider != "docker" && !r.present("spec", "controlPlaneConfiguration", "machineGroupRef") {
		r.required(at+".machineGroupRef", "except with Docker", "a reference to a "+machineKindOf(provider))
	}
	_, labels := lookup(root, "spec", "controlPlaneConfiguration", "labels")
	r.checkLabels(at+".labels", labels, false)
	for i, san := range items(root, "spec", "controlPlaneConfiguration", "certSans") {
		if _, err := netip.ParseAddr(san.Value); err != nil && kindOf(san) == kindString &&
			!domainForm.MatchString(san.Value) {
			e := r.wrong("invalid-value", fmt.Sprintf("%s.certSans[%d]", at, i),
				"neither an IP address nor a domain name")
			e.Found, e.Expected = quote(san.Value), "a name such as api.example.com"
		}
	}
	if r.present("spec", "controlPlaneConfiguration", "apiServerExtraArgs") {
		r.warn("feature-gate", at+".apiServerExtraArgs",
			"EKS Anywhere accepts this only where it runs with API_SERVER_EXTRA_ARGS_ENABLED=true")
	}
	// The user documentation's limit; it needs kubeadm's v1beta4 configuration.
	if minor, ok := minorVersion(root, "spec", "kubernetesVersion"); ok && minor < 31 &&
		flag(root, "spec", "controlPlaneConfiguration", "skipAdmissionForSystemResources") {
		r.warn("versions", at+".skipAdmissionForSystemResources",
			"this works from Kubernetes 1.31 on").Found = fmt.Sprintf("kubernetesVersion 1.%d", minor)
	}
}

// checkEtcd: members of etcd, on the control plane or outside, must be an odd number; Tinkerbell has no
// external etcd.
func (r *report) checkEtcd() {
	root := r.object.root()
	provider := r.provider()
	if !r.present("spec", "externalEtcdConfiguration") {
		if count, ok := integer(root, "spec", "controlPlaneConfiguration", "count"); ok && count > 0 &&
			count%2 == 0 {
			e := r.wrong("even-count", "spec.controlPlaneConfiguration.count",
				"etcd runs on the control plane and needs an odd number of members")
			e.Found, e.Expected = strconv.FormatInt(count, 10), fmt.Sprintf("%d or %d", count-1, count+1)
		}
		return
	}
	if provider == "tinkerbell" {
		r.wrong("tinkerbell", "spec.externalEtcdConfiguration", "Tinkerbell has no external etcd").Expected =
			"etcd on the control plane"
		return
	}
	if count, ok := integer(root, "spec", "externalEtcdConfiguration", "count"); ok && count > 0 &&
		count%2 == 0 {
		e := r.wrong("even-count", "spec.externalEtcdConfiguration.count",
			"etcd needs an odd number of members")
		e.Found, e.Expected = strconv.FormatInt(count, 10), fmt.Sprintf("%d or %d", count-1, count+1)
	}
	if provider != "docker" && provider != "" &&
		!r.present("spec", "externalEtcdConfiguration", "machineGroupRef") {
		r.required("spec.externalEtcdConfiguration.machineGroupRef", "except with Docker",
			"a reference to a "+machineKindOf(provider))
	}
}

// checkWorkers: groups, their names, sizes and taints.
func (r *report) checkWorkers() {
	const at = "spec.workerNodeGroupConfigurations"
	root := r.object.root()
	provider := r.provider()
	groups := items(root, "spec", "workerNodeGroupConfigurations")
	if len(groups) == 0 && provider != "" {
		r.checkNoWorkers(provider)
		return
	}
	names := map[string]int{}
	schedulable := false
	for i, group := range groups {
		path := fmt.Sprintf("%s[%d]", at, i)
		name := text(group, "name")
		switch first, twice := names[name]; {
		case name == "" && i > 0 && kindOf(group) == kindObject:
			r.required(path+".name", "from the second group on", "a name of its own")
		case twice:
			e := r.wrong("duplicate-name", path+".name",
				fmt.Sprintf("the group has the name of group %d", first+1))
			e.Found, e.Expected = quote(name), "a name of its own"
		}
		if name == "" && i == 0 {
			name = "md-0"
		}
		if name != "" {
			names[name] = i
		}
		if provider != "docker" && provider != "" && kindOf(group) == kindObject {
			if _, ref := lookup(group, "machineGroupRef"); ref == nil {
				r.required(path+".machineGroupRef", "except with Docker",
					"a reference to a "+machineKindOf(provider))
			}
		}
		r.checkAutoscaling(group, path)
		_, labels := lookup(group, "labels")
		r.checkLabels(path+".labels", labels, false)
		schedulable = schedulable || !keepsPodsOut(group)
	}
	if !r.managed() && !schedulable && len(groups) > 0 {
		r.wrong("taints", at, "every group has a NoSchedule or NoExecute taint, so EKS Anywhere's own pods "+
			"have nowhere to run").Expected = "one group without such a taint in a management cluster"
	}
}

// checkNoWorkers: only Tinkerbell can do without workers, from Kubernetes 1.22 on and when the control plane
// takes pods.
func (r *report) checkNoWorkers(provider string) {
	const at = "spec.workerNodeGroupConfigurations"
	root := r.object.root()
	if provider != "tinkerbell" {
		r.required(at, "except with Tinkerbell", "a list of worker groups")
		return
	}
	if minor, ok := minorVersion(root, "spec", "kubernetesVersion"); ok && minor <= 21 {
		r.required(at, "up to Kubernetes 1.21", "a list of worker groups")
	}
	if len(items(root, "spec", "controlPlaneConfiguration", "taints")) > 0 {
		r.wrong("taints", "spec.controlPlaneConfiguration.taints", "a cluster without workers runs its "+
			"pods on the control plane, which a taint keeps out").Expected = "no taints, or a worker group"
	}
}

func keepsPodsOut(group *yaml.Node) bool {
	return slices.ContainsFunc(items(group, "taints"), func(taint *yaml.Node) bool {
		effect := text(taint, "effect")
		return effect == "NoSchedule" || effect == "NoExecute"
	})
}

// checkAutoscaling: 0 ≤ minCount ≤ count ≤ maxCount.
func (r *report) checkAutoscaling(group *yaml.Node, path string) {
	_, scaling := lookup(group, "autoscalingConfiguration")
	if scaling == nil {
		return
	}
	if at := path + ".autoscalingConfiguration"; r.known(at+".minCount") || r.known(at+".maxCount") {
		return
	}
	least, _ := integer(scaling, "minCount")
	most, _ := integer(scaling, "maxCount")
	if least > most {
		e := r.wrong("autoscaling", path+".autoscalingConfiguration.minCount",
			"the minimum is above the maximum")
		e.Found, e.Expected = strconv.FormatInt(least, 10), fmt.Sprintf("at most %d", most)
		return
	}
	if count, ok := integer(group, "count"); ok && (count < least || count > most) {
		e := r.wrong("autoscaling", path+".count", "the count is outside the bounds of the autoscaling")
		e.Found, e.Expected = strconv.FormatInt(count, 10), fmt.Sprintf("%d to %d", least, most)
	}
}

// checkProxy: EKS Anywhere wants host and port of both proxies. It looks the host up, too; nothing here does.
func (r *report) checkProxy() {
	for _, name := range []string{"httpProxy", "httpsProxy"} {
		value := text(r.object.root(), "spec", "proxyConfiguration", name)
		if value == "" {
			continue
		}
		host, path := value, "spec.proxyConfiguration."+name
		if strings.HasPrefix(value, "http") {
			parsed, err := url.ParseRequestURI(value)
			if err != nil {
				// it may hold a password
				r.wrong("invalid-value", path, "not a URL").Expected = "host:port, or a URL with a port"
				continue
			}
			host = parsed.Host
		}
		name, port, err := net.SplitHostPort(host)
		if number, bad := strconv.Atoi(port); err != nil || name == "" || bad != nil || number < 1 ||
			number > 65535 {
			e := r.wrong("invalid-value", path, "the proxy has no host or no port")
			e.Expected = "host:port, or a URL with a port"
			if !strings.Contains(value, "@") {
				e.Found = quote(value)
			}
		}
	}
}

// curatedPackages are the registries of EKS Anywhere's curated packages.
var curatedPackages = regexp.MustCompile(`783794618700\.dkr\.ecr\..*\.amazonaws\.com`)

// checkRegistryMirror: a port is a number; one mirror only for the curated packages, whose controller could
// not tell several apart.
func (r *report) checkRegistryMirror() {
	const at = "spec.registryMirrorConfiguration"
	_, mirror := lookup(r.object.root(), keys(at)...)
	if port := text(mirror, "port"); port != "" {
		r.checkPort(at+".port", port)
	}
	first := -1
	for i, namespace := range items(mirror, "ociNamespaces") {
		if registry := text(namespace, "registry"); curatedPackages.MatchString(registry) {
			if first >= 0 {
				e := r.wrong("invalid-value", fmt.Sprintf("%s.ociNamespaces[%d].registry", at, i),
					fmt.Sprintf("item %d is a registry of curated packages already", first+1))
				e.Found, e.Expected = quote(registry), "one mirror for curated packages"
				continue
			}
			first = i
		}
	}
}

// minorVersion gives 33 for "1.33".
func minorVersion(node *yaml.Node, path ...string) (int, bool) {
	_, value := lookup(node, path...)
	if value == nil {
		return 0, false
	}
	minor, ok := strings.CutPrefix(value.Value, "1.")
	if !ok {
		return 0, false
	}
	number, err := strconv.Atoi(minor)
	return number, err == nil
}

// checkVersions: bundlesRef and eksaVersion exclude each other; workers are neither newer than the control
// plane nor more than two minor versions older (the webhook's rule).
func (r *report) checkVersions() {
	root := r.object.root()
	if r.present("spec", "bundlesRef") {
		if r.present("spec", "eksaVersion") {
			r.wrong("versions", "spec.bundlesRef", "bundlesRef and eksaVersion exclude each other").Expected =
				"eksaVersion"
		} else {
			r.warn("deprecated", "spec.bundlesRef", "bundlesRef is deprecated").Expected = "eksaVersion"
		}
	}
	control, ok := minorVersion(root, "spec", "kubernetesVersion")
	if !ok {
		return
	}
	for i, group := range items(root, "spec", "workerNodeGroupConfigurations") {
		worker, ok := minorVersion(group, "kubernetesVersion")
		if !ok {
			continue
		}
		path := fmt.Sprintf("spec.workerNodeGroupConfigurations[%d].kubernetesVersion", i)
		switch {
		case worker > control:
			e := r.wrong("versions", path, "workers cannot be newer than the control plane")
			e.Found, e.Expected = fmt.Sprintf("1.%d", worker), fmt.Sprintf("at most 1.%d", control)
		case control-worker > 2:
			e := r.wrong("versions", path,
				"workers are more than two minor versions older than the control plane")
			e.Found, e.Expected = fmt.Sprintf("1.%d", worker), fmt.Sprintf("1.%d to 1.%d", control-2, control)
		}
	}
}

// checkIdentityProviders: EKS Anywhere takes several references of one kind and then uses one of them.
func (r *report) checkIdentityProviders() {
	first := map[string]int{}
	for i, ref := range items(r.object.root(), "spec", "identityProviderRefs") {
		kind := text(ref, "kind")
		if kind == "" {
			continue
		}
		if before, twice := first[kind]; twice {
			path := fmt.Sprintf("spec.identityProviderRefs[%d]", i)
			e := r.wrong("duplicate-name", path,
				fmt.Sprintf("reference %d is to the same kind already, and EKS Anywhere uses only one",
					before+1))
			e.Found, e.Expected = kind+" twice", "one "+kind
			continue
		}
		first[kind] = i
	}
}

// checkPackages: the package controller runs on the management cluster; encryption of etcd depends on the
// provider.
func (r *report) checkPackages() {
	for _, name := range []string{"controller", "cronjob"} {
		if r.managed() && r.present("spec", "packages", name) {
			r.wrong("packages", "spec.packages."+name, "packages."+name+
				" belongs to the management cluster").Expected = "no such setting in a workload cluster"
		}
	}
	provider := r.provider()
	if !r.present("spec", "etcdEncryption") || provider == "" {
		return
	}
	if !slices.Contains([]string{"cloudstack", "vsphere", "nutanix"}, provider) {
		r.wrong("etcd-encryption", "spec.etcdEncryption", "the provider has no encryption of etcd").Expected =
			"CloudStack, vSphere or Nutanix"
		return
	}
	r.warn("etcd-encryption", "spec.etcdEncryption",
		"EKS Anywhere accepts this for an existing cluster and refuses it when one is created")
}

// checkSecretsInGit warns of what everybody who can read the repository will be able to read.
func (r *report) checkSecretsInGit() {
	root := r.object.root()
	if text(root, "spec", "licenseToken") != "" {
		r.warn("secret", "spec.licenseToken", "the license token will be in Git in plain text")
	}
	for _, name := range []string{"httpProxy", "httpsProxy"} {
		value := text(root, "spec", "proxyConfiguration", name)
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		if proxy, err := url.Parse(value); err == nil && proxy.User != nil {
			if _, has := proxy.User.Password(); has {
				r.warn("secret", "spec.proxyConfiguration."+name,
					"the password of the proxy will be in Git in plain text")
			}
		}
	}
}
