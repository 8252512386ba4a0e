package clusterspec

import (
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checkVSphereDatacenter: an absolute network is below the datacenter; failure domains have names of their own.
func (r *report) checkVSphereDatacenter() {
	root := r.object.root()
	datacenter, network := text(root, "spec", "datacenter"), text(root, "spec", "network")
	if datacenter != "" && strings.HasPrefix(network, "/") && !strings.HasPrefix(network, "/"+strings.TrimPrefix(datacenter, "/")+"/") {
		e := r.wrong("vsphere", "spec.network", "the network is not in the datacenter")
		e.Found, e.Expected = quote(network), fmt.Sprintf("a path that starts with /%s/network/", strings.TrimPrefix(datacenter, "/"))
	}
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
			e := r.wrong("duplicate-name", fmt.Sprintf("%s[%d].name", path, i), fmt.Sprintf("item %d has the name already", before+1))
			e.Found, e.Expected = quote(name), "a name of its own"
			continue
		}
		first[name] = i
	}
}

// checkVSphereMachine: Bottlerocket, which is the default, has one user, ec2-user; memory below the floor is raised in silence.
func (r *report) checkVSphereMachine() {
	root := r.object.root()
	family := orDefault(text(root, "spec", "osFamily"), "bottlerocket")
	r.checkBottlerocketUser(family)
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

// checkCloudStackDatacenter: zones are in availabilityZones; the older form is moved there and must then be gone.
func (r *report) checkCloudStackDatacenter() {
	root := r.object.root()
	if r.present("spec") && !r.present("spec", "availabilityZones") {
		if r.present("spec", "zones") {
			r.warn("deprecated", "spec.zones", "the form with spec.zones is deprecated").Expected = "spec.availabilityZones"
		} else {
			r.required("spec.availabilityZones", "", "a list of zones with name, credentialsRef, zone and managementApiEndpoint")
		}
		return
	}
	for _, name := range []string{"account", "domain", "managementApiEndpoint", "zones"} {
		if r.present("spec", name) {
			r.wrong("cloudstack", "spec."+name, "the older form and availabilityZones exclude each other").Expected = "the value in each of availabilityZones"
		}
	}
	r.uniqueNames("spec.availabilityZones")
	for i, zone := range items(root, "spec", "availabilityZones") {
		path := fmt.Sprintf("spec.availabilityZones[%d].zone", i)
		r.checkCloudStackResource(path, zone, "zone")
		r.checkCloudStackResource(path+".network", zone, "zone", "network")
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
	case id == "" && name == "" && !r.known(path+".id") && !r.known(path+".name"):
		e := r.add(SeverityError, "required", r.object.find(path), path, "the resource has neither id nor name")
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
	_, links := lookup(root, "spec", "symlinks")
	for _, e := range entries(links) {
		for _, path := range []string{e.key.Value, e.value.Value} {
			if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
				p := r.wrong("cloudstack", joinField("spec.symlinks", e.key.Value), "not the path of a link or its target")
				p.Found, p.Expected = quote(path), `a path that starts with "/" and does not end with it`
			}
		}
	}
}

func (r *report) checkNutanixDatacenter() {
	root := r.object.root()
	if bundle := text(root, "spec", "additionalTrustBundle"); bundle != "" {
		if block, _ := pem.Decode([]byte(bundle)); block == nil {
			e := r.wrong("nutanix", "spec.additionalTrustBundle", "not certificates in PEM form")
			e.Found, e.Expected = quote(bundle), "-----BEGIN CERTIFICATE-----"
		}
	}
	r.uniqueNames("spec.failureDomains")
	for i, domain := range items(root, "spec", "failureDomains") {
		r.checkNutanixResource(fmt.Sprintf("spec.failureDomains[%d].cluster", i), domain, "cluster")
		for j, subnet := range items(domain, "subnets") {
			r.checkNutanixResource(fmt.Sprintf("spec.failureDomains[%d].subnets[%d]", i, j), subnet)
		}
	}
}

// checkNutanixResource: the type says which of uuid and name counts.
func (r *report) checkNutanixResource(path string, parent *yaml.Node, at ...string) {
	resource := parent
	if len(at) > 0 {
		_, resource = lookup(parent, at...)
	}
	if resource == nil || kindOf(resource) != kindObject {
		return
	}
	kind := text(resource, "type")
	if (kind == "uuid" || kind == "name") && text(resource, kind) == "" {
		r.required(path+"."+kind, "with type "+kind, "")
	}
}

// checkNutanixMachine: resources by UUID or name, and the sizes below which no machine boots (Nutanix's own minimum).
func (r *report) checkNutanixMachine() {
	root := r.object.root()
	for _, name := range []string{"image", "cluster", "subnet", "project"} {
		r.checkNutanixResource("spec."+name, root, "spec", name)
	}
	for i, gpu := range items(root, "spec", "gpus") {
		if kind := text(gpu, "type"); kind == "deviceID" || kind == "name" {
			if _, value := lookup(gpu, kind); value == nil {
				r.required(fmt.Sprintf("spec.gpus[%d].%s", i, kind), "with type "+kind, "")
			}
		}
	}
	for _, size := range []struct {
		name  string
		least int64
	}{{"memorySize", 2}, {"systemDiskSize", 20}} {
		_, node := lookup(root, "spec", size.name)
		if node == nil || node.Kind != yaml.ScalarNode {
			continue
		}
		if bytes, ok := quantity(node.Value); ok && bytes < float64(size.least<<30) {
			e := r.wrong("nutanix", "spec."+size.name, "less than Nutanix gives a machine")
			e.Found, e.Expected = quote(node.Value), fmt.Sprintf("at least %dGi", size.least)
		}
	}
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

func (r *report) checkSnowMachine() {
	root := r.object.root()
	for i, device := range items(root, "spec", "devices") {
		r.checkAddress(fmt.Sprintf("spec.devices[%d]", i), device.Value)
	}
	primaries := 0
	interfaces := items(root, "spec", "network", "directNetworkInterfaces")
	for i, dni := range interfaces {
		path := fmt.Sprintf("spec.network.directNetworkInterfaces[%d]", i)
		if flag(dni, "primary") {
			primaries++
		}
		_, pool := lookup(dni, "ipPoolRef")
		switch dhcp := flag(dni, "dhcp"); {
		case dhcp && pool != nil:
			r.wrong("snow", path+".ipPoolRef", "dhcp and ipPoolRef exclude each other").Expected = "one of them"
		case !dhcp && pool == nil && kindOf(dni) == kindObject:
			r.wrong("snow", path, "the interface gets no address").Expected = "dhcp: true or an ipPoolRef"
		}
	}
	if primaries > 1 {
		e := r.wrong("snow", "spec.network.directNetworkInterfaces", "more than one interface is primary")
		e.Found, e.Expected = strconv.Itoa(primaries), "one"
	}
	if family := text(root, "spec", "osFamily"); family == "bottlerocket" && !r.present("spec", "containersVolume") {
		r.required("spec.containersVolume", "with Bottlerocket", "an object with size")
	}
}

// checkAddress makes sure that a value is an IP address.
func (r *report) checkAddress(path, value string) {
	if _, err := netip.ParseAddr(value); err != nil {
		e := r.wrong("invalid-value", path, "not an IP address")
		e.Found, e.Expected = quote(value), "an IP address"
	}
}

func (r *report) checkSnowPools() {
	for i, pool := range items(r.object.root(), "spec", "pools") {
		path := fmt.Sprintf("spec.pools[%d]", i)
		subnet, err := netip.ParsePrefix(text(pool, "subnet"))
		if err != nil && text(pool, "subnet") != "" {
			e := r.wrong("snow", path+".subnet", "not a block of addresses")
			e.Found, e.Expected = quote(text(pool, "subnet")), "CIDR notation such as 10.1.0.0/24"
		}
		addresses := map[string]netip.Addr{}
		for _, name := range []string{"ipStart", "ipEnd", "gateway"} {
			value := text(pool, name)
			if value == "" {
				continue
			}
			address, parseErr := netip.ParseAddr(value)
			if parseErr != nil {
				r.checkAddress(path+"."+name, value)
				continue
			}
			addresses[name] = address
			if err == nil && !subnet.Contains(address) {
				e := r.wrong("snow", path+"."+name, "the address is outside the subnet")
				e.Found, e.Expected = quote(value), "an address in "+subnet.String()
			}
		}
		start, end := addresses["ipStart"], addresses["ipEnd"]
		if start.IsValid() && end.IsValid() && end.Less(start) {
			e := r.wrong("snow", path+".ipEnd", "the end is before the start")
			e.Found, e.Expected = quote(end.String()), "at least "+start.String()
		}
	}
}

func (r *report) checkTinkerbellDatacenter() {
	if ip := text(r.object.root(), "spec", "tinkerbellIP"); ip != "" {
		r.checkAddress("spec.tinkerbellIP", ip)
	}
}

// checkTinkerbellMachine: machines are chosen by a selector or by an affinity.
func (r *report) checkTinkerbellMachine() {
	root := r.object.root()
	_, selector := lookup(root, "spec", "hardwareSelector")
	affinity := r.present("spec", "hardwareAffinity")
	switch {
	case selector != nil && len(entries(selector)) > 0 && affinity:
		r.wrong("tinkerbell", "spec.hardwareAffinity", "hardwareSelector and hardwareAffinity exclude each other").Expected = "one of them"
	case (selector == nil || len(entries(selector)) == 0) && !affinity && r.present("spec"):
		r.required("spec.hardwareSelector", "without hardwareAffinity", "labels of the hardware to use")
	}
	r.checkBottlerocketUser(text(root, "spec", "osFamily"))
}

// checkAWSIam: the backend MountedFile is not supported.
func (r *report) checkAWSIam() {
	for i, mode := range items(r.object.root(), "spec", "backendMode") {
		if mode.Value == "MountedFile" {
			e := r.wrong("invalid-value", fmt.Sprintf("spec.backendMode[%d]", i), "EKS Anywhere does not support this backend")
			e.Found, e.Expected = quote(mode.Value), "EKSConfigMap or CRD"
		}
	}
}

// checkInCluster runs the rules about an object that depend on the cluster it belongs to.
func (p *parser) checkInCluster(c *Cluster) {
	cluster := p.names[c.Name]
	for _, o := range c.Objects {
		index := slices.IndexFunc(p.objects[objectKey{o.Kind, o.Name}], func(r *report) bool { return r.object == o })
		if index < 0 {
			continue
		}
		r := p.objects[objectKey{o.Kind, o.Name}][index]
		switch o.Kind {
		case "VSphereMachineConfig":
			r.checkReadyForWebhook(c.Role())
		case "NutanixDatacenterConfig":
			if c.Role() == RoleWorkload && !r.present("spec", "credentialRef") {
				r.required("spec.credentialRef", "by the webhook, which checks what GitOps creates", "a reference to a Secret")
			}
		case "TinkerbellDatacenterConfig":
			host := text(cluster.object.root(), "spec", "controlPlaneConfiguration", "endpoint", "host")
			if ip := text(o.root(), "spec", "tinkerbellIP"); ip != "" && ip == host {
				e := r.wrong("tinkerbell", "spec.tinkerbellIP", "the address is that of the cluster's endpoint")
				e.Found, e.Expected = quote(ip), "an address of its own"
			}
		case "TinkerbellMachineConfig":
			inDatacenter := slices.ContainsFunc(c.Objects, func(other *Object) bool {
				return other.Kind == "TinkerbellDatacenterConfig" && text(other.root(), "spec", "osImageURL") != ""
			})
			if inDatacenter && text(o.root(), "spec", "osImageURL") != "" {
				r.wrong("tinkerbell", "spec.osImageURL", "osImageURL stands in the datacenter config too").Expected = "one of both"
			}
		}
	}
}

// checkReadyForWebhook: what the CLI fills in for a cluster it creates is missing when Git creates one. The webhook then wants a
// template and an SSH key in each machine config.
func (r *report) checkReadyForWebhook(role Role) {
	root := r.object.root()
	report := r.wrong
	if role == RoleManagement {
		report = r.warn
	}
	if text(root, "spec", "template") == "" {
		report("vsphere", "spec.template", "EKS Anywhere's webhook refuses a machine config without a template").Expected = "the path of a template"
	}
	users := items(root, "spec", "users")
	if len(users) == 0 {
		report("vsphere", "spec.users", "EKS Anywhere's webhook refuses a machine config without a user").Expected = "a user with an SSH key"
		return
	}
	if sshKeys := items(users[0], "sshAuthorizedKeys"); len(sshKeys) > 0 && sshKeys[0].Value == "" {
		report("vsphere", "spec.users[0].sshAuthorizedKeys[0]", "EKS Anywhere's webhook refuses a first user without an SSH key").Expected = "a public key"
	}
}
