package clusterspec

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// checkVSphereDatacenter: an absolute network is below the datacenter; failure domains have names of their
// own.
func (r *report) checkVSphereDatacenter() {
	r.checkVSpherePaths()
	r.uniqueNames("spec.failureDomains")
}

// uniqueNames makes sure that no two items of a list have the same name.
func (r *report) uniqueNames(path string) {
	first := map[string]int{}
	for i, item := range items(r.object.root(), keys(path)...) {
		name := text(item, "name")
		if name == "" {
			continue
		}
		if before, twice := first[name]; twice {
			e := r.wrong("duplicate-name", fmt.Sprintf("%s[%d].name", path, i),
				fmt.Sprintf("item %d has the name already", before+1))
			e.Found, e.Expected = quote(name), "a name of its own"
			continue
		}
		first[name] = i
	}
}

// checkVSphereMachine: Bottlerocket, which is the default, has one user, ec2-user; memory below the floor is
// raised in silence.
func (r *report) checkVSphereMachine() {
	root := r.object.root()
	family := orDefault(text(root, "spec", "osFamily"), "bottlerocket")
	if !r.known("spec.osFamily") {
		r.checkBottlerocketUser(family)
		r.checkHostOS(family)
	}
	if memory, ok := integer(root, "spec", "memoryMiB"); ok && memory > 0 && memory < 2048 {
		w := r.warn("vsphere", "spec.memoryMiB", "EKS Anywhere raises less than 2048 MiB to 2048")
		w.Found, w.Expected = strconv.FormatInt(memory, 10), "at least 2048; 8192 is recommended"
	}
}

func (r *report) checkBottlerocketUser(family string) {
	users := items(r.object.root(), "spec", "users")
	if family != "bottlerocket" || len(users) == 0 {
		return
	}
	if name := text(users[0], "name"); name != "" && name != "ec2-user" {
		e := r.wrong("bottlerocket", "spec.users[0].name", "Bottlerocket has one user only")
		e.Found, e.Expected = quote(name), `"ec2-user", or another osFamily`
		if text(r.object.root(), "spec", "osFamily") == "" {
			e.Expected = `"ec2-user", or an osFamily, which is bottlerocket when it is missing`
		}
	}
}

// checkCloudStackDatacenter: zones are in availabilityZones; the older form is moved there and must then be
// gone.
func (r *report) checkCloudStackDatacenter() {
	root := r.object.root()
	if r.present("spec") && !r.present("spec", "availabilityZones") {
		if r.known("spec.zones") && !r.present("spec", "zones") {
			return
		}
		if r.present("spec", "zones") {
			r.warn("deprecated", "spec.zones", "the form with spec.zones is deprecated").Expected =
				"spec.availabilityZones"
		} else {
			r.required("spec.availabilityZones", "",
				"a list of zones with name, credentialsRef, zone and managementApiEndpoint")
		}
		return
	}
	for _, name := range []string{"account", "domain", "managementApiEndpoint", "zones"} {
		if r.present("spec", name) {
			r.wrong("cloudstack", "spec."+name,
				"the older form and availabilityZones exclude each other").Expected =
				"the value in each of availabilityZones"
		}
	}
	r.uniqueNames("spec.availabilityZones")
	for i, zone := range items(root, "spec", "availabilityZones") {
		path := fmt.Sprintf("spec.availabilityZones[%d].zone", i)
		r.checkCloudStackResource(path, zone, "zone")
		r.checkCloudStackResource(path+".network", zone, "zone", "network")
		if name := text(zone, "name"); !isLabelValue(name) {
			e := r.wrong("cloudstack", fmt.Sprintf("spec.availabilityZones[%d].name", i),
				"the name becomes the value of a label, for which it is not valid")
			e.Found, e.Expected = quote(name), labelValueExpected
		}
		if api := text(zone, "managementApiEndpoint"); api != "" {
			if parsed, err := url.Parse(api); err != nil || parsed.Host == "" {
				e := r.wrong("cloudstack", fmt.Sprintf("spec.availabilityZones[%d].managementApiEndpoint", i),
					"not a URL")
				e.Found, e.Expected = quote(api), "a URL such as https://cloudstack.example.com/client/api"
			}
		}
	}
}

// checkCloudStackResource: a resource has an ID or a name.
func (r *report) checkCloudStackResource(path string, parent *yaml.Node, at ...string) {
	_, resource := lookup(parent, at...)
	if resource == nil || kindOf(resource) != kindObject {
		return
	}
	id, name := text(resource, "id"), text(resource, "name")
	switch {
	case id != "" && name != "":
		r.wrong("cloudstack", path+".id", "id and name exclude each other").Expected = "one of them"
	case id == "" && name == "" && !r.strayIn(path):
		e := r.wrong("required", path, "the resource has neither id nor name")
		e.Expected = "one of them"
	}
}

func (r *report) checkCloudStackMachine() {
	root := r.object.root()
	for _, name := range []string{"template", "computeOffering", "diskOffering"} {
		r.checkCloudStackResource("spec."+name, root, "spec", name)
	}
	if r.present("spec", "diskOffering") {
		for _, name := range []string{"mountPath", "device", "filesystem", "label"} {
			if text(root, "spec", "diskOffering", name) == "" {
				r.required("spec.diskOffering."+name, "with a disk offering", "")
			}
		}
	}
	if affinity := text(root, "spec", "affinity"); affinity != "" &&
		len(items(root, "spec", "affinityGroupIds")) > 0 {
		r.wrong("cloudstack", "spec.affinity", "affinity and affinityGroupIds exclude each other").Expected =
			"one of them"
	}
	_, details := lookup(root, "spec", "userCustomDetails")
	for _, e := range entries(details) {
		if path := joinField("spec.userCustomDetails",
			e.key.Value); slices.Contains(restrictedDetails, e.key.Value) && !r.known(path) {
			p := r.add(SeverityError, "cloudstack", e.key, path,
				"EKS Anywhere sets this detail of a machine itself")
			p.Found, p.Expected = quote(e.key.Value), "only keys that CloudStack leaves to users"
		}
	}
	_, links := lookup(root, "spec", "symlinks")
	for _, e := range entries(links) {
		for _, end := range []*yaml.Node{e.key, e.value} {
			path := joinField("spec.symlinks", e.key.Value)
			if kindOf(end) != kindString || symlinkForm.MatchString(end.Value) || r.known(path) {
				continue
			}
			p := r.add(SeverityError, "cloudstack", end, path, "not the path of a link or its target")
			p.Found, p.Expected = quote(end.Value),
				`a path of letters, digits, ".", "-" and "_" that starts with "/" and does not end with it`
		}
	}
}

var symlinkForm = regexp.MustCompile(`^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$`)

// restrictedDetails are the details of a machine that EKS Anywhere refuses in userCustomDetails.
var restrictedDetails = []string{
	"Encrypted.Password", "Message.ReservedCapacityFreed.Flag", "SSH.KeyPairNames",
	"SSH.PublicKey", "boot.mode", "configDriveLocation", "configurationId", "controlNodeLoginUser",
	"cpu.corespersocket", "cpuNumber", "cpuOvercommitRatio", "cpuSpeed", "dataDiskController", "deployvm",
	"disk", "diskOffering", "firmware", "hypervisortoolsversion", "ip4Address", "ip6Address", "keyboard",
	"keypairnames", "kvm.vnc.address", "kvm.vnc.port", "memory", "memoryOvercommitRatio", "nameonhypervisor",
	"nestedVirtualizationFlag", "network", "nic", "nicAdapter", "password", "platform", "ramReservation",
	"rootDiskController", "rootdisksize", "smc.present", "svga.vramSize", "timeoffset", "video.hardware",
	"video.ram",
}

var quantityUnits = map[string]float64{
	"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "m": 1e-3, "u": 1e-6, "n": 1e-9,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
}

// quantity gives the number behind a Kubernetes quantity, near enough for a comparison.
func quantity(value string) (float64, bool) {
	number := strings.TrimRight(value, "KMGTPEinumk")
	unit, ok := quantityUnits[value[len(number):]]
	parsed, err := strconv.ParseFloat(number, 64)
	return parsed * unit, ok && err == nil
}

// checkAWSIam: the backend MountedFile is not supported.
func (r *report) checkAWSIam() {
	for i, mode := range items(r.object.root(), "spec", "backendMode") {
		if mode.Value == "MountedFile" {
			e := r.wrong("invalid-value", fmt.Sprintf("spec.backendMode[%d]", i),
				"EKS Anywhere does not support this backend")
			e.Found, e.Expected = quote(mode.Value), "EKSConfigMap or CRD"
		}
	}
}

// checkInCluster runs the rules about an object that depend on the cluster it belongs to.
func (p *parser) checkInCluster(c *Cluster) {
	cluster := p.names[c.Name]
	for _, o := range c.Objects {
		index := slices.IndexFunc(p.objects[objectKey{o.Kind, o.Name}], func(r *report) bool {
			return r.object == o
		})
		if index < 0 {
			continue
		}
		r := p.objects[objectKey{o.Kind, o.Name}][index]
		switch o.Kind {
		case "VSphereDatacenterConfig":
			cluster.checkFailureDomains(r)
		case "VSphereMachineConfig":
			r.checkTemplate(c.Role())
			r.checkFirstUser(c.Role())
		case "NutanixMachineConfig":
			r.checkFirstUser(c.Role())
			if _, gpus := lookup(o.root(), "spec", "gpus"); gpus != nil && !cluster.refersFromWorkers(o) {
				r.wrong("nutanix", "spec.gpus", "GPUs are for workers only").Expected =
					"no gpus for control plane and etcd"
			}
		case "NutanixDatacenterConfig":
			r.checkWorkerGroups(cluster)
			if c.Role() == RoleWorkload && !r.present("spec", "credentialRef") {
				r.required("spec.credentialRef", "by the webhook, which checks what GitOps creates",
					"a reference to a Secret")
			}
		case "SnowDatacenterConfig":
			r.checkSnowIdentity(c.Role())
		case "SnowMachineConfig":
			r.checkSnowKey(c.Role())
		case "TinkerbellDatacenterConfig":
			host := text(cluster.object.root(), "spec", "controlPlaneConfiguration", "endpoint", "host")
			if ip := text(o.root(), "spec", "tinkerbellIP"); ip != "" && ip == host {
				e := r.wrong("tinkerbell", "spec.tinkerbellIP",
					"the address is that of the cluster's endpoint")
				e.Found, e.Expected = quote(ip), "an address of its own"
			}
		case "TinkerbellMachineConfig":
			r.checkFirstUser(c.Role())
			inDatacenter := slices.ContainsFunc(c.Objects, func(other *Object) bool {
				return other.Kind == "TinkerbellDatacenterConfig" &&
					text(other.root(), "spec", "osImageURL") != ""
			})
			if inDatacenter && text(o.root(), "spec", "osImageURL") != "" {
				r.wrong("tinkerbell", "spec.osImageURL",
					"osImageURL is set in the datacenter config too").Expected = "one of both"
			}
		}
	}
	p.checkMachines(c)
}

// checkTemplate: what the CLI fills in for a cluster it creates is missing when Git creates one, and the
// webhook wants a template.
func (r *report) checkTemplate(role Role) {
	if text(r.object.root(), "spec", "template") == "" {
		r.refusedByWebhook(role)("vsphere", "spec.template",
			"EKS Anywhere's webhook refuses a machine config without a template").Expected =
			"the path of a template"
	}
}

// checkFirstUser: EKS Anywhere's command makes an SSH key where there is none; its controller does not, and
// the webhook wants one.
func (r *report) checkFirstUser(role Role) {
	report := r.refusedByWebhook(role)
	users := items(r.object.root(), "spec", "users")
	if len(users) == 0 {
		report("users", "spec.users",
			"EKS Anywhere's webhook refuses a machine config without a user").Expected =
			"a user with an SSH key"
		return
	}
	if sshKeys := items(users[0], "sshAuthorizedKeys"); len(sshKeys) > 0 &&
		kindOf(sshKeys[0]) == kindString && strings.TrimSpace(sshKeys[0].Value) == "" {
		report("users", "spec.users[0].sshAuthorizedKeys[0]",
			"EKS Anywhere's webhook refuses a first user without an SSH key").Expected = "a public key"
	}
}

// refusedByWebhook gives the way to report what stops a cluster that Git creates, and every cluster that Flux
// applies; EKS Anywhere's command fills it in when it creates a management cluster.
func (r *report) refusedByWebhook(role Role) func(rule, path, message string) *Problem {
	if role == RoleManagement && !r.applied {
		return r.warn
	}
	return r.wrong
}

// checkFailureDomains: the workers' failure domains are among those of the datacenter.
func (r *report) checkFailureDomains(datacenter *report) {
	var names []string
	for _, domain := range items(datacenter.object.root(), "spec", "failureDomains") {
		names = append(names, text(domain, "name"))
	}
	for i, group := range items(r.object.root(), "spec", "workerNodeGroupConfigurations") {
		for j, domain := range items(group, "failureDomains") {
			if kindOf(domain) != kindString || slices.Contains(names, domain.Value) {
				continue
			}
			e := r.wrong("dangling-reference",
				fmt.Sprintf("spec.workerNodeGroupConfigurations[%d].failureDomains[%d]", i, j),
				datacenter.object.Label()+" has no such failure domain")
			e.Found, e.Suggestion = quote(domain.Value), spelling.Nearest(domain.Value, names)
			e.Expected = oneOf(names)
			if len(names) == 0 {
				e.Expected = "no failureDomains, or spec.failureDomains in the datacenter config"
			}
		}
	}
}

// refersFromWorkers says whether a worker group of the Cluster, and neither its control plane nor its etcd,
// uses a machine config.
func (r *report) refersFromWorkers(o *Object) bool {
	used := false
	for _, ref := range clusterReferences(r.object) {
		if ref.kind != o.Kind || ref.name != o.Name {
			continue
		}
		if !strings.HasPrefix(ref.path, "spec.workerNodeGroupConfigurations") {
			return false
		}
		used = true
	}
	return used
}
