package clusterspec

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// The ways of a rollout.
const (
	rollingUpdate = "RollingUpdate"
	inPlace       = "InPlace"
)

// checkRollout holds the rollout strategies of a Cluster against what EKS Anywhere's validators take: in
// place on bare metal only, and there in the same way for all machines and without autoscaling.
func (r *report) checkRollout() {
	root := r.object.root()
	_, control := lookup(root, "spec", "controlPlaneConfiguration")
	r.checkStrategy(control, "spec.controlPlaneConfiguration")
	first := rolloutType(control)
	for i, group := range items(root, "spec", "workerNodeGroupConfigurations") {
		path := fmt.Sprintf("spec.workerNodeGroupConfigurations[%d]", i)
		r.checkStrategy(group, path)
		mine := rolloutType(group)
		_, update := lookup(group, "upgradeRolloutStrategy", "rollingUpdate")
		if mine == rollingUpdate && update != nil {
			surge, _ := integer(update, "maxSurge")
			unavailable, _ := integer(update, "maxUnavailable")
			if surge == 0 && unavailable == 0 {
				r.wrong("invalid-value", path+".upgradeRolloutStrategy.rollingUpdate",
					"maxSurge and maxUnavailable are both 0").Expected = "at least 1 in one of them"
			}
		}
		if r.provider() != "tinkerbell" || kindOf(group) != kindObject {
			continue
		}
		if mine != first && (mine == inPlace || first == inPlace) {
			at := path + ".upgradeRolloutStrategy.type"
			if _, strategy := lookup(group, "upgradeRolloutStrategy"); strategy == nil {
				at = path + ".upgradeRolloutStrategy"
			}
			e := r.wrong("rollout", at, "workers are upgraded in another way than the control plane, and "+
				"EKS Anywhere requires one way for all")
			e.Found, e.Expected = mine, "type "+first
		}
		if _, scaling := lookup(group, "autoscalingConfiguration"); scaling != nil && first == inPlace {
			e := r.wrong("rollout", path+".autoscalingConfiguration",
				"upgrades in place cannot be combined with autoscaling")
			e.Found, e.Expected = "upgradeRolloutStrategy.type InPlace",
				"no autoscalingConfiguration, or type RollingUpdate"
		}
	}
}

// rolloutType is the way in which a part of a cluster is upgraded.
func rolloutType(part *yaml.Node) string {
	return orDefault(text(part, "upgradeRolloutStrategy", "type"), rollingUpdate)
}

// checkStrategy: each type has its parameters, and only its own.
func (r *report) checkStrategy(part *yaml.Node, path string) {
	_, strategy := lookup(part, "upgradeRolloutStrategy")
	if strategy == nil || kindOf(strategy) != kindObject {
		return
	}
	path += ".upgradeRolloutStrategy"
	_, update := lookup(strategy, "rollingUpdate")
	switch text(strategy, "type") {
	case inPlace:
		if provider := r.provider(); provider != "" && provider != "tinkerbell" {
			e := r.wrong("rollout", path+".type", "machines are upgraded in place on bare metal only")
			e.Found, e.Expected = quote(inPlace), rollingUpdate
		}
		if update != nil {
			e := r.wrong("rollout", path+".rollingUpdate",
				"an upgrade in place has no parameters of a rolling upgrade")
			e.Found, e.Expected = "type InPlace with rollingUpdate", "no rollingUpdate, or type RollingUpdate"
		}
	case rollingUpdate:
		if update == nil {
			r.required(path+".rollingUpdate", "with type RollingUpdate",
				"an object with maxSurge, such as rollingUpdate: {maxSurge: 1}")
		}
	}
}

// checkInPlace: machines are upgraded in place on Ubuntu only.
func (r *report) checkInPlace(uses []machineUse) {
	for _, use := range uses {
		if family := use.osFamily(); rolloutType(use.part) == inPlace && family != "" && family != "ubuntu" &&
			r.provider() == "tinkerbell" {
			e := r.wrong("rollout", use.path+".upgradeRolloutStrategy.type",
				"machines are upgraded in place with Ubuntu only")
			e.Found, e.Expected = fmt.Sprintf("osFamily %s in %s", family, use.config.object.Label()),
				"type RollingUpdate, or osFamily ubuntu"
		}
	}
}
