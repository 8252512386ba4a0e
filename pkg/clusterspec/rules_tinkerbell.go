package clusterspec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// checkTinkerbellISO: the image that machines boot from is known by its ending.
func (r *report) checkTinkerbellISO() {
	if iso := text(r.object.root(), "spec", "hookIsoURL"); iso != "" && path.Ext(iso) != ".iso" {
		e := r.wrong("tinkerbell", "spec.hookIsoURL",
			"EKS Anywhere accepts only an image whose name ends with .iso")
		e.Found, e.Expected = quote(iso), "a URL that ends with .iso"
	}
}

// checkTinkerbellMachines holds the machines of a bare-metal cluster against each other and against the image
// that they boot.
func (p *parser) checkTinkerbellMachines(c *Cluster, uses []machineUse) {
	cluster, datacenter := p.names[c.Name], p.datacenterOf(c)
	oneFamily(uses, "tinkerbell", "all machines of a bare-metal cluster have the same osFamily")
	for _, use := range uses {
		if minor, ok := minorOf(use.version); ok && minor > 28 && use.osFamily() == "bottlerocket" {
			e := use.config.wrong("tinkerbell", "spec.osFamily",
				"EKS Anywhere has Bottlerocket for bare metal up to Kubernetes 1.28 only")
			e.Found, e.Expected =
				fmt.Sprintf("%s with Kubernetes %s for %s", quote("bottlerocket"), use.version, use.what),
				"ubuntu or redhat"
		}
	}
	if datacenter == nil {
		return
	}
	if cluster.present("spec", "proxyConfiguration") &&
		text(datacenter.object.root(), "spec", "hookImagesURLPath") == "" {
		datacenter.required("spec.hookImagesURLPath", "with a proxy",
			"a URL from which machines get the images that they boot, without a proxy")
	}
	checkOSImages(datacenter, uses)
}

// checkOSImages: machines get their operating system from an image that is named in the datacenter config or
// in every machine config, and whose name holds their Kubernetes version. EKS Anywhere has images of its own
// for Bottlerocket only.
func checkOSImages(datacenter *report, uses []machineUse) {
	const field = "spec.osImageURL"
	shared := text(datacenter.object.root(), "spec", "osImageURL")
	if shared != "" {
		for _, version := range versionsOf(uses) {
			if !versionInName(shared, version) {
				e := datacenter.wrong("tinkerbell", field,
					"the name of the image does not contain a Kubernetes version of the cluster")
				e.Found, e.Expected = quote(shared), imageWith(version)
				return
			}
		}
		return
	}
	without := slices.DeleteFunc(slices.Clone(uses), func(use machineUse) bool {
		return text(use.config.object.root(), "spec", "osImageURL") != "" ||
			use.osFamily() == "bottlerocket" || use.osFamily() == ""
	})
	if len(without) > 0 && len(without) == len(uses) {
		datacenter.required(field, "here or in every machine config",
			imageWith(strings.Join(versionsOf(uses), " and ")))
		return
	}
	for _, use := range without {
		use.config.required(field, "where the datacenter config has none", imageWith(use.version))
	}
	for _, use := range uses {
		if own := text(use.config.object.root(), "spec", "osImageURL"); own != "" && use.version != "" &&
			!versionInName(own, use.version) {
			e := use.config.wrong("tinkerbell", field,
				fmt.Sprintf("the name of the image does not contain the Kubernetes version of %s", use.what))
			e.Found, e.Expected = quote(own), imageWith(use.version)
		}
	}
}

func imageWith(version string) string {
	return fmt.Sprintf("a URL with %s in it, such as https://host/ubuntu-2204-%s.gz",
		version, strings.Fields(version + " 1.33")[0])
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

func (r *report) checkTinkerbellDatacenter() {
	if ip := text(r.object.root(), "spec", "tinkerbellIP"); ip != "" {
		r.checkAddress("spec.tinkerbellIP", ip)
	}
	for _, name := range []string{"osImageURL", "hookImagesURLPath", "hookIsoURL"} {
		r.checkURL("spec." + name)
	}
	r.checkTinkerbellISO()
	if text(r.object.root(), "spec", "hookIsoURL") != "" && !flag(r.object.root(), "spec", "isoBoot") {
		r.wrong("tinkerbell", "spec.hookIsoURL", "hookIsoURL works with isoBoot only").Expected =
			"isoBoot: true, or no hookIsoURL"
	}
}

// checkTinkerbellMachine: machines are chosen by a selector or by an affinity.
func (r *report) checkTinkerbellMachine() {
	root := r.object.root()
	_, selector := lookup(root, "spec", "hardwareSelector")
	affinity := r.present("spec", "hardwareAffinity")
	switch {
	case selector != nil && len(entries(selector)) > 0 && affinity:
		r.wrong("tinkerbell", "spec.hardwareAffinity",
			"hardwareSelector and hardwareAffinity exclude each other").Expected = "one of them"
	case (selector == nil || len(entries(selector)) == 0) && !affinity && r.present("spec"):
		r.required("spec.hardwareSelector", "without hardwareAffinity", "a label of the hardware to use")
	case len(entries(selector)) > 1:
		e := r.wrong("tinkerbell", "spec.hardwareSelector", "the selector has more than one label")
		e.Found, e.Expected = plural(len(entries(selector)), "label"), "one label, or hardwareAffinity"
	}
	for i, term := range items(root, "spec", "hardwareAffinity", "required") {
		r.checkSelector(fmt.Sprintf("spec.hardwareAffinity.required[%d].labelSelector", i), term,
			"labelSelector")
	}
	for i, term := range items(root, "spec", "hardwareAffinity", "preferred") {
		r.checkSelector(
			fmt.Sprintf("spec.hardwareAffinity.preferred[%d].hardwareAffinityTerm.labelSelector", i), term,
			"hardwareAffinityTerm", "labelSelector")
	}
	family := text(root, "spec", "osFamily")
	if !r.known("spec.osFamily") {
		r.checkBottlerocketUser(family)
		r.checkHostOS(family)
	}
	r.checkURL("spec.osImageURL")
}

// checkSelector: In and NotIn compare with values, Exists and DoesNotExist have none.
func (r *report) checkSelector(path string, term *yaml.Node, at ...string) {
	_, selector := lookup(term, at...)
	for i, expression := range items(selector, "matchExpressions") {
		path := fmt.Sprintf("%s.matchExpressions[%d]", path, i)
		values := len(items(expression, "values"))
		switch operator := text(expression, "operator"); operator {
		case "In", "NotIn":
			if values == 0 {
				r.required(path+".values", "with "+operator, "a list of values")
			}
		case "Exists", "DoesNotExist":
			if values > 0 {
				r.wrong("tinkerbell", path+".values", operator+" takes no values").Expected = "no values"
			}
		default:
			e := r.wrong("invalid-value", path+".operator", "not an operator of a label selector")
			e.Found, e.Expected = quote(operator), "one of In, NotIn, Exists, DoesNotExist"
			e.Suggestion = spelling.Nearest(operator, []string{"In", "NotIn", "Exists", "DoesNotExist"})
		}
	}
}
