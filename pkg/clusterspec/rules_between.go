package clusterspec

import (
	"bytes"
	"fmt"
	"slices"
)

// lastInExtendedSupport is the newest Kubernetes version that was in extended support when EKS Anywhere v0.26
// was current (its release notes: standard support of 1.33 ended on 2026-08-31). It only grows, so that what
// is up to it stays.
const lastInExtendedSupport = 33

// firstWithExtendedSupport is the release of EKS Anywhere that knows license tokens for extended support.
const firstWithExtendedSupport = 22

// checkBetween holds clusters against each other in what EKS Anywhere and the network allow once only, or
// alike.
func (p *parser) checkBetween() {
	endpoints := map[string]*Cluster{}
	tokens := map[string]*Cluster{}
	for _, c := range p.set.Clusters {
		p.checkEndpointOnce(c, endpoints)
		p.checkTokenOnce(c, tokens)
	}
	for _, c := range p.set.Clusters {
		management := p.names[c.ManagementCluster]
		if c.Role() != RoleWorkload || management == nil {
			continue
		}
		p.checkReleaseBelow(c, management)
		p.checkTinkerbellIP(c)
	}
}

// CheckBetween holds clusters that Parse has read against others of the same fleet, such as those in Git, in
// what EKS Anywhere and the network allow once only, or alike. The result are errors of the clusters alone,
// sorted; what is wrong with the others, and others that cannot be read, or have the name of one of the
// clusters, do not count.
func CheckBetween(clusters []*Cluster, others []Source) Problems {
	p := &parser{set: &Set{}, objects: map[objectKey][]*report{}, repeated: map[string]bool{}}
	p.read(others)
	p.assemble()
	p.set.Clusters = slices.DeleteFunc(p.set.Clusters, func(other *Cluster) bool {
		return slices.ContainsFunc(clusters, func(c *Cluster) bool { return c.Name == other.Name })
	})
	var ours []*report
	for _, c := range clusters {
		p.set.Clusters = append(p.set.Clusters, c)
		for _, o := range c.Objects {
			r := &report{object: o}
			if o == c.Objects[0] {
				p.names[c.Name] = r
			}
			key := objectKey{o.Kind, o.Name}
			p.objects[key] = append(p.objects[key], r)
			ours = append(ours, r)
		}
	}
	p.checkBetween()
	var wrong Problems
	for _, r := range ours {
		wrong = append(wrong, slices.DeleteFunc(r.problems, func(found Problem) bool {
			return found.Severity != SeverityError
		})...)
	}
	return wrong.sorted().bounded()
}

// MayShare says whether a file may hold what two clusters may not share, an endpoint or a license token of
// one of the clusters. It is quick, and lets pass what only looks like one.
func MayShare(clusters []*Cluster, content []byte) bool {
	return slices.ContainsFunc(clusters, func(c *Cluster) bool {
		root := c.Objects[0].root()
		for _, value := range []string{
			canonicalHost(text(root, keys("spec.controlPlaneConfiguration.endpoint.host")...)),
			text(root, keys("spec.licenseToken")...)} {
			if value != "" && bytes.Contains(content, []byte(value)) {
				return true
			}
		}
		return false
	})
}

// checkEndpointOnce: two clusters cannot answer at one address. It is most often a copy of a cluster that
// kept the original's.
func (p *parser) checkEndpointOnce(c *Cluster, endpoints map[string]*Cluster) {
	const path = "spec.controlPlaneConfiguration.endpoint.host"
	r := p.names[c.Name]
	host := canonicalHost(text(r.object.root(), keys(path)...))
	if host == "" || c.Provider == "docker" {
		return
	}
	other := endpoints[host]
	if other == nil {
		endpoints[host] = c
		return
	}
	o := p.names[other.Name].object
	e := r.wrong("endpoint-twice", path,
		fmt.Sprintf("the endpoint is that of Cluster %s in %s:%d", other.Name, o.File, o.Line))
	e.Found, e.Expected = quote(text(r.object.root(), keys(path)...)), "an address of its own"
}

// checkTokenOnce: a workload cluster whose Kubernetes version is in extended support needs a license of its
// own.
func (p *parser) checkTokenOnce(c *Cluster, tokens map[string]*Cluster) {
	const path = "spec.licenseToken"
	r := p.names[c.Name]
	token := text(r.object.root(), keys(path)...)
	if token == "" {
		return
	}
	other := tokens[token]
	if other == nil {
		tokens[token] = c
		return
	}
	if c.Role() != RoleWorkload {
		return
	}
	o := p.names[other.Name].object
	message := fmt.Sprintf("the license token is that of Cluster %s in %s:%d", other.Name, o.File, o.Line)
	minor, known := minorOf(c.KubernetesVersion)
	if release, _ := p.releaseOf(c); known && minor <= lastInExtendedSupport &&
		(release == 0 || release >= firstWithExtendedSupport) {
		r.wrong("license-twice", path,
			message+", and EKS Anywhere refuses it for a second one in extended support").Expected =
			"a license token of its own"
		return
	}
	r.warn("license-twice", path, message+"; EKS Anywhere refuses it as soon as the Kubernetes version is "+
		"in extended support").Expected = "a license token of its own"
}

// checkReleaseBelow: a workload cluster is not above its management cluster, whose controller looks after it.
func (p *parser) checkReleaseBelow(c *Cluster, management *report) {
	const path = "spec.eksaVersion"
	r := p.names[c.Name]
	mine, theirs := text(r.object.root(), keys(path)...), text(management.object.root(), keys(path)...)
	if order, ok := compareVersions(mine, theirs); ok && order > 0 {
		e := r.wrong("versions", path,
			fmt.Sprintf("the cluster would be above its management cluster %s in %s:%d",
				c.ManagementCluster, management.object.File, management.object.Line))
		e.Found, e.Expected = quote(mine), fmt.Sprintf("at most %s, or the management cluster first", theirs)
		return
	}
	myMinor, ok := releaseMinor(mine)
	theirMinor, theirsOK := releaseMinor(theirs)
	if ok && theirsOK && theirMinor-myMinor > 1 {
		w := r.warn("versions", path, fmt.Sprintf("the management cluster %s is more than one minor "+
			"version above the cluster, which EKS Anywhere does not support", c.ManagementCluster))
		w.Found, w.Expected = quote(mine), fmt.Sprintf("v0.%d or v0.%d", theirMinor-1, theirMinor)
	}
}

// checkTinkerbellIP: one Tinkerbell, which is the management cluster's, provides the machines of all its
// clusters.
func (p *parser) checkTinkerbellIP(c *Cluster) {
	const path = "spec.tinkerbellIP"
	var management *Cluster
	for _, candidate := range p.set.Clusters {
		if candidate.Name == c.ManagementCluster {
			management = candidate
		}
	}
	if management == nil || c.Provider != "tinkerbell" || management.Provider != "tinkerbell" {
		return
	}
	ours, theirs := p.datacenterOf(c), p.datacenterOf(management)
	if ours == nil || theirs == nil {
		return
	}
	mine, wanted := text(ours.object.root(), keys(path)...), text(theirs.object.root(), keys(path)...)
	if mine == "" || wanted == "" || canonicalHost(mine) == canonicalHost(wanted) {
		return
	}
	e := ours.wrong("tinkerbell", path, fmt.Sprintf("the address is not that of the management cluster %s, "+
		"whose Tinkerbell provides the machines", management.Name))
	e.Found, e.Expected = quote(mine), quote(wanted)
}
