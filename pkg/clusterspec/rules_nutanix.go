package clusterspec

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// checkNutanixImages: the name of an image holds the Kubernetes version of the machines that are made of it.
func checkNutanixImages(uses []machineUse) {
	for _, use := range uses {
		root := use.config.object.root()
		name := text(root, "spec", "image", "name")
		if text(root, "spec", "image", "type") != "name" || name == "" || use.version == "" || placeholderForm.MatchString(name) || versionInName(name, use.version) {
			continue
		}
		e := use.config.wrong("nutanix", "spec.image.name", fmt.Sprintf("the name of the image does not hold the Kubernetes version of %s", use.what))
		e.Found, e.Expected = quote(name), fmt.Sprintf("a name with %s in it, such as ubuntu-2204-%s", use.version, use.version)
	}
}

// spreadGroup finds the worker group that a failure domain names. EKS Anywhere looks a name up twice, and not alike: its validator among the
// machine configs of the worker groups, its template among the names of the groups. So both have to be the one name.
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
		return nil, "EKS Anywhere looks for worker groups and for their machine configs of that name, and finds only a machine config"
	case byConfig == nil:
		return nil, "EKS Anywhere looks for worker groups and for their machine configs of that name, and finds only a worker group"
	}
	return byConfig, ""
}
