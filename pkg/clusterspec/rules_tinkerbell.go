package clusterspec

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkTinkerbellISO: the image that machines boot from is known by its ending.
func (r *report) checkTinkerbellISO() {
	if iso := text(r.object.root(), "spec", "hookIsoURL"); iso != "" && path.Ext(iso) != ".iso" {
		e := r.wrong("tinkerbell", "spec.hookIsoURL", "EKS Anywhere takes an image whose name ends with .iso only")
		e.Found, e.Expected = quote(iso), "a URL that ends with .iso"
	}
}

// checkTinkerbellMachines holds the machines of a bare-metal cluster against each other and against the image that they boot.
func (p *parser) checkTinkerbellMachines(c *Cluster, uses []machineUse) {
	cluster, datacenter := p.names[c.Name], p.datacenterOf(c)
	oneFamily(uses, "tinkerbell", "all machines of a bare-metal cluster have the same osFamily")
	for _, use := range uses {
		if minor, ok := minorOf(use.version); ok && minor > 28 && use.osFamily() == "bottlerocket" {
			e := use.config.wrong("tinkerbell", "spec.osFamily", "EKS Anywhere has Bottlerocket for bare metal up to Kubernetes 1.28 only")
			e.Found, e.Expected = fmt.Sprintf("%s with Kubernetes %s for %s", quote("bottlerocket"), use.version, use.what), "ubuntu or redhat"
		}
	}
	if datacenter == nil {
		return
	}
	if cluster.present("spec", "proxyConfiguration") && text(datacenter.object.root(), "spec", "hookImagesURLPath") == "" {
		datacenter.required("spec.hookImagesURLPath", "with a proxy", "a URL from which machines get the images that they boot, without a proxy")
	}
	checkOSImages(datacenter, uses)
}

// checkOSImages: machines get their operating system from an image that is named in the datacenter config or in every machine config, and
// whose name holds their Kubernetes version. EKS Anywhere has images of its own for Bottlerocket only.
func checkOSImages(datacenter *report, uses []machineUse) {
	const field = "spec.osImageURL"
	shared := text(datacenter.object.root(), "spec", "osImageURL")
	if shared != "" {
		for _, version := range versionsOf(uses) {
			if !versionInName(shared, version) {
				e := datacenter.wrong("tinkerbell", field, "the name of the image does not hold a Kubernetes version of the cluster")
				e.Found, e.Expected = quote(shared), imageWith(version)
				return
			}
		}
		return
	}
	without := slices.DeleteFunc(slices.Clone(uses), func(use machineUse) bool {
		return text(use.config.object.root(), "spec", "osImageURL") != "" || use.osFamily() == "bottlerocket" || use.osFamily() == ""
	})
	if len(without) > 0 && len(without) == len(uses) {
		datacenter.required(field, "here or in every machine config", imageWith(strings.Join(versionsOf(uses), " and ")))
		return
	}
	for _, use := range without {
		use.config.required(field, "where the datacenter config has none", imageWith(use.version))
	}
	for _, use := range uses {
		if own := text(use.config.object.root(), "spec", "osImageURL"); own != "" && use.version != "" && !versionInName(own, use.version) {
			e := use.config.wrong("tinkerbell", field, fmt.Sprintf("the name of the image does not hold the Kubernetes version of %s", use.what))
			e.Found, e.Expected = quote(own), imageWith(use.version)
		}
	}
}

func imageWith(version string) string {
	return fmt.Sprintf("a URL with %s in it, such as https://host/ubuntu-2204-%s.gz", version, strings.Fields(version + " 1.33")[0])
}

// versionsOf lists the Kubernetes versions of machines, each once.
func versionsOf(uses []machineUse) []string {
	var versions []string
	for _, use := range uses {
		if use.version != "" && !slices.Contains(versions, use.version) {
			versions = append(versions, use.version)
		}
	}
	return versions
}
