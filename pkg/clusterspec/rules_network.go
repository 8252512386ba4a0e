package clusterspec

import (
	"fmt"
	"net/netip"
	"strings"
)

// checkNetwork: CIDR blocks, their sizes, and one CNI plugin, of which kindnetd is Docker's alone.
func (r *report) checkNetwork() {
	const at = "spec.clusterNetwork"
	root := r.object.root()
	pods, podsOK := r.checkCIDR(at+".pods.cidrBlocks", "pods")
	services, servicesOK := r.checkCIDR(at+".services.cidrBlocks", "services")
	if podsOK && servicesOK && pods.Overlaps(services) {
		e := r.wrong("network", at+".services.cidrBlocks[0]", "services and pods share addresses")
		e.Found, e.Expected = services.String(), "a block that does not overlap with "+pods.String()
	}
	if host, err := netip.ParseAddr(text(root, "spec", "controlPlaneConfiguration", "endpoint",
		"host")); err == nil {
		for _, block := range []struct {
			what   string
			prefix netip.Prefix
		}{{"pods", pods}, {"services", services}} {
			if block.prefix.Contains(host) {
				// EKS Anywhere looks at it with Snow only; elsewhere the endpoint is not reached from pods
				report := r.warn
				if r.provider() == "snow" {
					report = r.wrong
				}
				e := report("network", "spec.controlPlaneConfiguration.endpoint.host",
					"the endpoint is among the addresses of the "+block.what)
				e.Found, e.Expected = quote(host.String()), "an address outside "+block.prefix.String()
			}
		}
	}
	if podsOK {
		nodeMask := int64(24)
		field := at + ".pods.cidrBlocks[0]"
		if mask, ok := integer(root, "spec", "clusterNetwork", "nodes", "cidrMaskSize"); ok {
			nodeMask, field = mask, at+".nodes.cidrMaskSize"
		}
		switch bits := int64(pods.Bits()); {
		case bits >= nodeMask:
			e := r.wrong("network", field, "the pods' block is too small for the blocks of the nodes")
			e.Found, e.Expected = fmt.Sprintf("/%d for pods, /%d for each node", bits, nodeMask),
				"a block for pods that is larger than a node's"
		case nodeMask-bits > 16:
			e := r.wrong("network", field, "the pods' block is too large for the blocks of the nodes")
			e.Found, e.Expected = fmt.Sprintf("/%d for pods, /%d for each node", bits, nodeMask),
				"masks that differ by at most 16"
		}
	}
	cni := text(root, "spec", "clusterNetwork", "cni")
	_, config := lookup(root, "spec", "clusterNetwork", "cniConfig")
	kindnetd := cni == "kindnetd"
	switch {
	case cni != "" && config != nil:
		r.wrong("network", at+".cni", "cni and cniConfig exclude each other").Expected = "cniConfig"
	case cni != "" && r.applied:
		// The webhook stores cniConfig in its place; beside that the second apply brings cni again.
		r.wrong("network", at+".cni", "EKS Anywhere accepts cni once, and refuses it when Flux applies it "+
			"again").Expected = "cniConfig: {" + pluginOf(cni) + ": {}}"
	case cni != "":
		r.warn("deprecated", at+".cni",
			"cni is deprecated; cniConfig is written to Git in its place").Expected = "cniConfig"
	case config == nil && r.present("spec", "clusterNetwork"):
		r.required(at+".cniConfig", "", "cilium: {}, or kindnetd: {} with Docker")
	case config != nil && kindOf(config) == kindObject:
		count := 0
		for _, e := range entries(config) {
			if kindOf(e.value) != kindNull {
				count++
				kindnetd = kindnetd || e.key.Value == "kindnetd"
			}
		}
		if count != 1 {
			r.wrong("network", at+".cniConfig", "there must be exactly one CNI plugin").Expected =
				"cilium, or kindnetd with Docker"
			return
		}
	}
	if provider := r.provider(); kindnetd && provider != "" && provider != "docker" {
		r.wrong("network", at, "kindnetd works with Docker only").Expected = "cilium"
	}
}

// checkCilium: whoever maintains Cilium alone configures it alone; native routing goes by blocks of
// addresses.
func (r *report) checkCilium() {
	const at = "spec.clusterNetwork.cniConfig.cilium"
	_, cilium := lookup(r.object.root(), keys(at)...)
	if cilium == nil {
		return
	}
	if flag(cilium, "skipUpgrade") && text(cilium, "policyEnforcementMode") != "" {
		r.wrong("network", at+".policyEnforcementMode",
			"with skipUpgrade the other settings of Cilium are left to its own installation").Expected =
			"skipUpgrade alone"
	}
	if text(cilium, "routingMode") == "direct" && text(cilium, "ipv4NativeRoutingCIDR") == "" {
		r.required(at+".ipv4NativeRoutingCIDR", "with routingMode direct",
			"the block within which packets go without masquerading, such as 10.0.0.0/8")
	}
	for _, name := range []string{"ipv4NativeRoutingCIDR", "ipv6NativeRoutingCIDR"} {
		value := text(cilium, name)
		if value == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(value); err != nil ||
			prefix.Addr().Is4() != (name == "ipv4NativeRoutingCIDR") {
			e := r.wrong("network", at+"."+name, "not a block of "+name[2:4]+" addresses")
			e.Found, e.Expected = quote(value), "CIDR notation such as 10.0.0.0/8"
			e.Message = strings.Replace(e.Message, " v", " IPv", 1)
			if name == "ipv6NativeRoutingCIDR" {
				e.Expected = "CIDR notation such as fd00::/8"
			}
		}
	}
}

func (r *report) checkCIDR(path, what string) (netip.Prefix, bool) {
	blocks := items(r.object.root(), keys(path)...)
	if len(blocks) != 1 || kindOf(blocks[0]) != kindString {
		return netip.Prefix{}, false
	}
	prefix, err := netip.ParsePrefix(blocks[0].Value)
	if err != nil {
		e := r.wrong("network", path+"[0]", "not a block of addresses for "+what)
		e.Found, e.Expected = quote(blocks[0].Value), "CIDR notation such as 192.168.0.0/16"
		return netip.Prefix{}, false
	}
	return prefix, true
}
