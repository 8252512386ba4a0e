package clusterspec

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// checkNutanixImages: the name of an image contains the Kubernetes version of the machines that are made of
// it.
func checkNutanixImages(uses []machineUse) {
	for _, use := range uses {
		root := use.config.object.root()
		name := text(root, "spec", "image", "name")
		if text(root, "spec", "image", "type") != "name" || name == "" || use.version == "" ||
			placeholderForm.MatchString(name) || versionInName(name, use.version) {
			continue
		}
		e := use.config.wrong("nutanix", "spec.image.name",
			fmt.Sprintf("the name of the image does not contain the Kubernetes version of %s", use.what))
		e.Found, e.Expected = quote(name),
			fmt.Sprintf("a name with %s in it, such as ubuntu-2204-%s", use.version, use.version)
	}
}

// spreadGroup finds the worker group that a failure domain names. EKS Anywhere looks a name up twice, and not
// alike: its validator among the machine configs of the worker groups, its template among the names of the
// groups. So both have to be the one name.
func (r *report) spreadGroup(name string) (group *yaml.Node, message string) {
	var byName, byConfig *yaml.Node
	for i, candidate := range items(r.object.root(), "spec", "workerNodeGroupConfigurations") {
		own := text(candidate, "name")
		if own == "" && i == 0 {
			own = "md-0"
		}
		if own == name {
			byName = candidate
		}
		if text(candidate, "machineGroupRef", "name") == name {
			byConfig = candidate
		}
	}
	switch {
	case byName == nil && byConfig == nil:
		return nil, ""
	case byName == nil:
		return nil, "EKS Anywhere looks for worker groups and for their machine configs of that name, and " +
			"finds only a machine config"
	case byConfig == nil:
		return nil, "EKS Anywhere looks for worker groups and for their machine configs of that name, and " +
			"finds only a worker group"
	}
	return byConfig, ""
}

func (r *report) checkNutanixDatacenter() {
	root := r.object.root()
	if bundle := text(root, "spec", "additionalTrustBundle"); bundle != "" {
		r.checkCertificates("spec.additionalTrustBundle", bundle)
	}
	for i, excluded := range items(root, "spec", "ccmExcludeNodeIPs") {
		if kindOf(excluded) == kindString && !isAddressRange(excluded.Value) {
			e := r.wrong("nutanix", fmt.Sprintf("spec.ccmExcludeNodeIPs[%d]", i),
				"not an address, a range of addresses or a block of them")
			e.Found, e.Expected = quote(excluded.Value), "10.0.0.5, 10.0.0.5-10.0.0.9 or 10.0.0.0/28"
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

// isAddressRange says whether a text is an IP address, two with "-" between them, the smaller first, or a
// block of addresses.
func isAddressRange(value string) bool {
	value = strings.TrimSpace(value)
	if strings.Contains(value, "/") {
		_, err := netip.ParsePrefix(value)
		return err == nil
	}
	first, last, isRange := strings.Cut(value, "-")
	start, err := netip.ParseAddr(strings.TrimSpace(first))
	if err != nil || !isRange {
		return err == nil
	}
	end, err := netip.ParseAddr(strings.TrimSpace(last))
	return err == nil && start.Is4() == end.Is4() && !end.Less(start)
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

// checkNutanixMachine: resources by UUID or name, and EKS Anywhere's minimal sizes.
func (r *report) checkNutanixMachine() {
	root := r.object.root()
	for _, name := range []string{"image", "cluster", "subnet", "project"} {
		r.checkNutanixResource("spec."+name, root, "spec", name)
	}
	for i, gpu := range items(root, "spec", "gpus") {
		if kind := text(gpu, "type"); kind == "deviceID" || kind == "name" {
			if _, value := lookup(gpu, kind); value == nil ||
				kind == "name" && text(gpu, kind) == "" && kindOf(value) == kindString {
				r.required(fmt.Sprintf("spec.gpus[%d].%s", i, kind), "with type "+kind, "")
			}
		}
	}
	for _, size := range []struct {
		name  string
		least int64
	}{{"memorySize", 4}, {"systemDiskSize", 40}} {
		_, node := lookup(root, "spec", size.name)
		if node == nil || node.Kind != yaml.ScalarNode {
			continue
		}
		if bytes, ok := quantity(node.Value); ok && bytes < float64(size.least<<30) {
			e := r.wrong("nutanix", "spec."+size.name, "less than EKS Anywhere accepts for a machine")
			e.Found, e.Expected = quote(node.Value), fmt.Sprintf("at least %dGi", size.least)
		}
	}
}

// checkWorkerGroups: the worker groups that a datacenter's failure domains name are there, and have no more
// machines than there are domains to spread them over.
func (r *report) checkWorkerGroups(cluster *report) {
	domains := items(r.object.root(), "spec", "failureDomains")
	var names []string
	for i, group := range items(cluster.object.root(), "spec", "workerNodeGroupConfigurations") {
		name := text(group, "name")
		if name == "" && i == 0 {
			name = "md-0"
		}
		names = append(names, name)
	}
	for i, domain := range domains {
		for j, name := range items(domain, "workerMachineGroups") {
			path := fmt.Sprintf("spec.failureDomains[%d].workerMachineGroups[%d]", i, j)
			group, message := cluster.spreadGroup(name.Value)
			if message != "" {
				e := r.wrong("nutanix", path, message)
				e.Found, e.Expected = quote(name.Value),
					"a worker group whose name and machineGroupRef.name are the same"
				continue
			}
			if group == nil {
				e := r.wrong("dangling-reference", path, cluster.object.Label()+" has no such worker group")
				e.Found, e.Expected, e.Suggestion = quote(name.Value), oneOf(names),
					spelling.Nearest(name.Value, names)
				continue
			}
			if count, ok := integer(group, "count"); ok && count > int64(len(domains)) {
				e := r.wrong("nutanix", path, "the group has more machines than there are failure domains")
				e.Found, e.Expected = fmt.Sprintf("count %d", count), fmt.Sprintf("at most %d", len(domains))
			}
		}
	}
}
