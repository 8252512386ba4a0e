package clusterspec

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// checkSnowEtcd: machines of an external etcd have addresses that stay.
func checkSnowEtcd(uses []machineUse) {
	for _, use := range uses {
		if use.what != "etcd" {
			continue
		}
		for i, dni := range items(use.config.object.root(), "spec", "network", "directNetworkInterfaces") {
			if flag(dni, "dhcp") {
				e := use.config.wrong("snow", fmt.Sprintf("spec.network.directNetworkInterfaces[%d].dhcp", i),
					"machines of an external etcd need fixed addresses")
				e.Found, e.Expected = "true", "an ipPoolRef"
			}
		}
	}
}

// checkSnowIdentity: EKS Anywhere's command fills in the Secret with the credentials of a cluster that it
// creates; its controller does not, and the API server refuses an empty one.
func (r *report) checkSnowIdentity(role Role) {
	_, identity := lookup(r.object.root(), "spec", "identityRef")
	if identity != nil && !isZero(identity) || r.strayIn("") || r.strayIn("spec") {
		return
	}
	r.refusedByWebhook(role)("snow", "spec.identityRef", "only EKS Anywhere's command fills in the "+
		"reference to the credentials; what Flux applies is refused without it").Expected =
		fmt.Sprintf("kind: Secret and a name, such as %s-snow-credentials", r.object.Name)
}

// checkSnowKey: the same for the name of the SSH key.
func (r *report) checkSnowKey(role Role) {
	if text(r.object.root(), "spec", "sshKeyName") == "" && !r.strayIn("") && !r.strayIn("spec") {
		r.refusedByWebhook(role)("snow", "spec.sshKeyName", "only EKS Anywhere's command makes an SSH key "+
			"where none is named; what Flux applies is refused without one").Expected =
			"the name of a key on the devices"
	}
}

// checkSnowMachine: devices by address, one primary interface, an address for each, and volumes that are
// large enough.
func (r *report) checkSnowMachine() {
	root := r.object.root()
	family := text(root, "spec", "osFamily")
	if !r.known("spec.osFamily") {
		r.checkHostOS(family)
	}
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
			r.wrong("snow", path+".ipPoolRef", "dhcp and ipPoolRef exclude each other").Expected =
				"one of them"
		case !dhcp && pool == nil && kindOf(dni) == kindObject:
			r.wrong("snow", path, "the interface gets no address").Expected = "dhcp: true or an ipPoolRef"
		}
	}
	if primaries != 1 && len(interfaces) > 0 {
		e := r.wrong("snow", "spec.network.directNetworkInterfaces", "exactly one interface must be primary")
		e.Found, e.Expected = plural(primaries, "primary interface"), "primary: true in one of them"
	}
	if family == "bottlerocket" {
		if !r.present("spec", "containersVolume") {
			r.required("spec.containersVolume", "with Bottlerocket", "an object with size")
		} else if size, ok := integer(root, "spec", "containersVolume", "size"); ok && size < 25 {
			e := r.wrong("snow", "spec.containersVolume.size", "Bottlerocket needs more room for containers")
			e.Found, e.Expected = strconv.FormatInt(size, 10), "at least 25"
		}
	}
	for i, volume := range items(root, "spec", "nonRootVolumes") {
		path := fmt.Sprintf("spec.nonRootVolumes[%d].deviceName", i)
		switch name := text(volume, "deviceName"); {
		case kindOf(volume) != kindObject:
		case name == "":
			r.required(path, "for a volume beside the root's", "a device such as /dev/sdc")
		case strings.HasPrefix(name, "/dev/sda"):
			e := r.wrong("snow", path, "the device belongs to the root volume and the containers volume")
			e.Found, e.Expected = quote(name), "a device such as /dev/sdc"
		}
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
