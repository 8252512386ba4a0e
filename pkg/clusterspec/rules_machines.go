package clusterspec

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// machineUse is a part of a cluster with the machine config that its machines are made of.
type machineUse struct {
	what    string     // "the control plane"
	path    string     // of the part in the Cluster
	part    *yaml.Node // of the Cluster
	config  *report    // the machine config; never nil
	version string     // the Kubernetes version of the machines, "" when it cannot be told
}

// osFamily is what the machines run; "" when that cannot be told.
func (u machineUse) osFamily() string {
	if u.config.known("spec.osFamily") {
		return ""
	}
	family := text(u.config.object.root(), "spec", "osFamily")
	if family == "" && u.config.object.Kind == "VSphereMachineConfig" {
		return "bottlerocket"
	}
	return family
}

// machineUses lists the parts of a cluster whose machine config is there: the control plane first.
func (p *parser) machineUses(c *Cluster) []machineUse {
	cluster := p.names[c.Name]
	root := cluster.object.root()
	version := func(part *yaml.Node, path string) string {
		if cluster.known("spec.kubernetesVersion") || cluster.known(path+".kubernetesVersion") {
			return ""
		}
		if own := text(part, "kubernetesVersion"); own != "" {
			return own
		}
		return text(root, "spec", "kubernetesVersion")
	}
	var uses []machineUse
	for _, ref := range clusterReferences(cluster.object) {
		path, isMachine := strings.CutSuffix(ref.path, ".machineGroupRef")
		if !isMachine {
			continue
		}
		part := cluster.object.valueAt(path)
		what := "the control plane"
		switch {
		case path == "spec.externalEtcdConfiguration":
			what = "etcd"
		case path != "spec.controlPlaneConfiguration":
			what = "worker group " + orDefault(text(part, "name"), "md-0")
		}
		for _, candidate := range p.objects[objectKey{ref.kind, ref.name}] {
			if slices.Contains(c.Objects, candidate.object) {
				uses = append(uses, machineUse{what: what, path: path, part: part, config: candidate,
					version: version(part, path)})
				break
			}
		}
	}
	return uses
}

// checkMachines runs the rules about what a cluster and its machine configs say together.
func (p *parser) checkMachines(c *Cluster) {
	cluster := p.names[c.Name]
	uses := p.machineUses(c)
	cluster.checkInPlace(uses)
	cluster.checkMirrorOnBottlerocket(uses)
	cluster.checkKubeletsOnBottlerocket(uses)
	switch c.Provider {
	case "vsphere":
		cluster.checkVSphereMachines(uses)
	case "nutanix":
		checkNutanixImages(uses)
	case "tinkerbell":
		p.checkTinkerbellMachines(c, uses)
	case "snow":
		checkSnowEtcd(uses)
	}
}

// datacenterOf gives the report of a cluster's datacenter config; nil when it is not there.
func (p *parser) datacenterOf(c *Cluster) *report {
	for _, o := range c.Objects {
		if !strings.HasSuffix(o.Kind, "DatacenterConfig") {
			continue
		}
		for _, candidate := range p.objects[objectKey{o.Kind, o.Name}] {
			if candidate.object == o {
				return candidate
			}
		}
	}
	return nil
}

// checkMirrorOnBottlerocket: Bottlerocket verifies the certificate of a registry in any case.
func (r *report) checkMirrorOnBottlerocket(uses []machineUse) {
	if !flag(r.object.root(), "spec", "registryMirrorConfiguration", "insecureSkipVerify") {
		return
	}
	for _, use := range uses {
		if use.osFamily() == "bottlerocket" {
			e := r.wrong("bottlerocket", "spec.registryMirrorConfiguration.insecureSkipVerify",
				"Bottlerocket does not leave the certificate of a registry unverified")
			e.Found, e.Expected = "osFamily bottlerocket in "+use.config.object.Label(),
				"the certificate in caCertContent, or another osFamily"
			return
		}
	}
}

// versionInName says whether the name of an image holds a Kubernetes version, in any of the ways to write it:
// 1.33, 1-33, 1_33, 133.
func versionInName(name, version string) bool {
	plain := strings.NewReplacer("-", "", ".", "", "_", "")
	return strings.Contains(plain.Replace(name), plain.Replace(version))
}

// providerTitle is the name of a provider for people.
func providerTitle(provider string) string {
	switch provider {
	case "vsphere":
		return "vSphere"
	case "cloudstack":
		return "CloudStack"
	case "":
		return ""
	}
	return strings.ToUpper(provider[:1]) + provider[1:]
}
