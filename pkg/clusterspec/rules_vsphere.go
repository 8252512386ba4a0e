package clusterspec

import (
	"fmt"
	"net/url"
	"strings"
)

// checkVSpherePaths: the server is a host alone, and an absolute network is below the datacenter's networks,
// in failure domains too.
func (r *report) checkVSpherePaths() {
	root := r.object.root()
	if server := text(root, "spec", "server"); strings.Contains(server, "://") {
		e := r.wrong("vsphere", "spec.server", "EKS Anywhere puts https:// before the server itself")
		e.Expected = "a host alone, such as vcenter.example.com"
		if parsed, err := url.Parse(server); err == nil && parsed.User == nil {
			e.Found, e.Suggestion = quote(server), parsed.Host
		}
	}
	datacenter := strings.Trim(text(root, "spec", "datacenter"), "/")
	networks := "/" + datacenter + "/network/"
	below := func(path, network string) {
		if datacenter == "" || !strings.HasPrefix(network, "/") || strings.HasPrefix(network, networks) {
			return
		}
		message := "the network is not in the datacenter"
		if strings.HasPrefix(network, "/"+datacenter+"/") {
			message = "the network is not among the networks of the datacenter"
		}
		e := r.wrong("vsphere", path, message)
		e.Found, e.Expected = quote(network), "a path that starts with "+networks
	}
	below("spec.network", text(root, "spec", "network"))
	for i, domain := range items(root, "spec", "failureDomains") {
		below(fmt.Sprintf("spec.failureDomains[%d].network", i), text(domain, "network"))
	}
}

// checkVSphereMachines: with external etcd all machines of a cluster have one osFamily.
func (r *report) checkVSphereMachines(uses []machineUse) {
	if !r.present("spec", "externalEtcdConfiguration") {
		return
	}
	oneFamily(uses, "vsphere", "with external etcd all machines of a cluster have the same osFamily")
}

// oneFamily reports each machine config whose osFamily is not that of the first use.
func oneFamily(uses []machineUse, rule, message string) {
	for _, use := range uses {
		first, mine := uses[0].osFamily(), use.osFamily()
		if first == "" || mine == "" || first == mine {
			continue
		}
		e := use.config.wrong(rule, "spec.osFamily", message)
		e.Found, e.Expected = fmt.Sprintf("%s for %s", quote(mine), use.what),
			fmt.Sprintf("%s, as for %s in %s", quote(first), uses[0].what, uses[0].config.object.Label())
	}
}
