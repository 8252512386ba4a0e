package clusterspec

import "fmt"

// checkSnowEtcd: machines of an external etcd have addresses that stay.
func checkSnowEtcd(uses []machineUse) {
	for _, use := range uses {
		if use.what != "etcd" {
			continue
		}
		for i, dni := range items(use.config.object.root(), "spec", "network", "directNetworkInterfaces") {
			if flag(dni, "dhcp") {
				e := use.config.wrong("snow", fmt.Sprintf("spec.network.directNetworkInterfaces[%d].dhcp", i), "machines of an external etcd need fixed addresses")
				e.Found, e.Expected = "true", "an ipPoolRef"
			}
		}
	}
}

// checkSnowIdentity: EKS Anywhere's command fills in the Secret with the credentials of a cluster that it creates; its controller does not,
// and the API server refuses an empty one.
func (r *report) checkSnowIdentity(role Role) {
	_, identity := lookup(r.object.root(), "spec", "identityRef")
	if identity != nil && !isZero(identity) || r.strayIn("") || r.strayIn("spec") {
		return
	}
	r.refusedByWebhook(role)("snow", "spec.identityRef", "only EKS Anywhere's command fills in the reference to the credentials; what Flux applies is refused without it").Expected =
		fmt.Sprintf("kind: Secret and a name, such as %s-snow-credentials", r.object.Name)
}

// checkSnowKey: the same for the name of the SSH key.
func (r *report) checkSnowKey(role Role) {
	if text(r.object.root(), "spec", "sshKeyName") == "" && !r.strayIn("") && !r.strayIn("spec") {
		r.refusedByWebhook(role)("snow", "spec.sshKeyName", "only EKS Anywhere's command makes an SSH key where none is named; what Flux applies is refused without one").Expected =
			"the name of a key on the devices"
	}
}
