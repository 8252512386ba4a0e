package clusterspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/spelling"
)

// providers are EKS Anywhere's, by the kind of their datacenter. Docker has no machine configs.
var providers = []struct{ name, datacenter, machine string }{
	{"vsphere", "VSphereDatacenterConfig", "VSphereMachineConfig"},
	{"cloudstack", "CloudStackDatacenterConfig", "CloudStackMachineConfig"},
	{"nutanix", "NutanixDatacenterConfig", "NutanixMachineConfig"},
	{"snow", "SnowDatacenterConfig", "SnowMachineConfig"},
	{"tinkerbell", "TinkerbellDatacenterConfig", "TinkerbellMachineConfig"},
	{"docker", "DockerDatacenterConfig", ""},
}

func providerOf(datacenter string) string {
	for _, provider := range providers {
		if provider.datacenter == datacenter {
			return provider.name
		}
	}
	return ""
}

func machineKindOf(provider string) string {
	for _, p := range providers {
		if p.name == provider {
			return p.machine
		}
	}
	return ""
}

// reference is a {kind, name} in an object.
type reference struct{ path, kind, name string }

func referenceAt(o *Object, path string) (reference, bool) {
	parts := keys(path)
	_, node := lookup(o.root(), parts...)
	if node == nil {
		return reference{}, false
	}
	return reference{path: path, kind: text(node, "kind"), name: text(node, "name")}, true
}

// clusterReferences lists what a Cluster refers to.
func clusterReferences(o *Object) []reference {
	var out []reference
	for _, path := range []string{
		"spec.datacenterRef", "spec.controlPlaneConfiguration.machineGroupRef",
		"spec.externalEtcdConfiguration.machineGroupRef", "spec.gitOpsRef",
	} {
		if ref, ok := referenceAt(o, path); ok {
			out = append(out, ref)
		}
	}
	for i, group := range items(o.root(), "spec", "workerNodeGroupConfigurations") {
		if _, ref := lookup(group, "machineGroupRef"); ref != nil {
			out = append(out, reference{
				path: fmt.Sprintf("spec.workerNodeGroupConfigurations[%d].machineGroupRef", i),
				kind: text(ref, "kind"), name: text(ref, "name"),
			})
		}
	}
	for i, ref := range items(o.root(), "spec", "identityProviderRefs") {
		out = append(out, reference{path: fmt.Sprintf("spec.identityProviderRefs[%d]", i),
			kind: text(ref, "kind"), name: text(ref, "name")})
	}
	return out
}

// childReferences lists what a machine config refers to.
func childReferences(o *Object) []reference {
	var out []reference
	switch o.Kind {
	case "TinkerbellMachineConfig":
		if ref, ok := referenceAt(o, "spec.templateRef"); ok && ref.name != "" {
			out = append(out, ref)
		}
	case "SnowMachineConfig":
		for i, dni := range items(o.root(), "spec", "network", "directNetworkInterfaces") {
			if _, ref := lookup(dni, "ipPoolRef"); ref != nil {
				out = append(out, reference{
					path: fmt.Sprintf("spec.network.directNetworkInterfaces[%d].ipPoolRef", i),
					kind: text(ref, "kind"), name: text(ref, "name"),
				})
			}
		}
	}
	return out
}

// resolveReferences follows the references of a cluster and of its machine configs and gathers the objects in
// c. EKS Anywhere looks objects up by kind and name alone, finds none that has another apiVersion or
// namespace, and does not mind when a FluxConfig, an OIDCConfig, a template or a pool is missing; its
// controller then does.
func (p *parser) resolveReferences(c *Cluster, r *report) {
	r.checkReferenceKinds(c.Provider)
	if ref, ok := referenceAt(r.object, "spec.datacenterRef"); ok &&
		len(p.objects[objectKey{ref.kind, ref.name}]) > 0 {
		r.checkMachineKinds(c.Provider)
	}
	for _, ref := range clusterReferences(r.object) {
		target := p.follow(c, r, ref)
		if target == nil {
			continue
		}
		if ref.path == "spec.gitOpsRef" &&
			(target.object.Kind == "FluxConfig" || target.object.Kind == "GitOpsConfig") {
			c.GitOps = readGitOps(target.object, c.ManagementCluster)
			if c.GitOps.SystemNamespace == c.Name {
				e := r.wrong("name", "metadata.name",
					"the cluster has the name of Flux's namespace, and so the same directory")
				e.Found = quote(c.Name)
			}
		}
		for _, inner := range childReferences(target.object) {
			p.follow(c, target, inner)
		}
	}
	p.checkNamespaces(c, r)
}

// checkNamespaces makes sure that all objects of a cluster are in its namespace. When none of several is, it
// is the Cluster that is in the wrong one.
func (p *parser) checkNamespaces(c *Cluster, r *report) {
	var elsewhere []*report
	alike := true
	for _, o := range c.Objects[1:] {
		if o.Namespace == c.Namespace {
			alike = false
			continue
		}
		for _, candidate := range p.objects[objectKey{o.Kind, o.Name}] {
			if candidate.object == o {
				elsewhere = append(elsewhere, candidate)
				alike = alike && o.Namespace == elsewhere[0].object.Namespace
			}
		}
	}
	if alike && len(elsewhere) > 1 {
		e := r.wrong("namespace", "metadata.namespace",
			fmt.Sprintf("the %d objects of the cluster are in another namespace", len(elsewhere)))
		e.Found, e.Expected = quote(c.Namespace),
			quote(elsewhere[0].object.Namespace)+", or the namespace in each of them"
		return
	}
	for _, target := range elsewhere {
		e := target.wrong("namespace", "metadata.namespace",
			fmt.Sprintf("the object is not in the namespace of Cluster %s, which refers to it", c.Name))
		e.Found, e.Expected = quote(target.object.Namespace), quote(c.Namespace)
	}
}

// follow looks one reference up, and makes the target part of the cluster.
func (p *parser) follow(c *Cluster, from *report, ref reference) *report {
	if ref.kind == "" || ref.name == "" {
		return nil // the field table says so
	}
	if _, ours := fields().kinds[ref.kind]; !ours {
		return nil
	}
	candidates := p.objects[objectKey{ref.kind, ref.name}]
	if len(candidates) == 0 {
		if !p.uncertain && !from.known(ref.path) {
			p.dangling(from, ref)
		}
		return nil
	}
	target := candidates[0]
	for _, candidate := range candidates {
		if candidate.object.Namespace == c.Namespace {
			target = candidate
		}
	}
	o := target.object
	if slices.Contains(c.Objects, o) {
		return target
	}
	if other := p.users[o]; other != nil {
		e := from.wrong("shared-object", ref.path+".name",
			fmt.Sprintf("%s belongs to Cluster %s already", o.Label(), other.Name))
		e.Found, e.Expected = quote(ref.name),
			fmt.Sprintf("an object of %s's own, with a name of its own", c.Name)
		c.Objects = append(c.Objects, o)
		return target
	}
	p.users[o] = c
	c.Objects = append(c.Objects, o)
	return target
}

// dangling reports a reference that points nowhere, with what is there.
func (p *parser) dangling(from *report, ref reference) {
	var names, others []string
	for _, r := range p.reports {
		switch o := r.object; {
		case o.Kind == ref.kind && o.Name != "":
			names = append(names, o.Name)
		case o.Name == ref.name && family(o.Kind) != "" && family(o.Kind) == family(ref.kind):
			others = append(others, o.Label())
		}
	}
	if p.repeated[ref.kind] {
		return // most likely one of the objects that are there twice was to have this name
	}
	if len(others) > 0 {
		e := from.wrong("dangling-reference", ref.path+".kind",
			fmt.Sprintf("there is no %s %s in the files", ref.kind, ref.name))
		e.Found, e.Expected = quote(ref.kind), "a reference to "+strings.Join(others, " or ")
		return
	}
	e := from.wrong("dangling-reference", ref.path+".name",
		fmt.Sprintf("there is no such %s in the files", ref.kind))
	e.Found = quote(ref.name)
	switch {
	case len(names) == 0:
		e.Expected = fmt.Sprintf("a document of kind %s and name %s", ref.kind, ref.name)
	default:
		e.Expected = oneOf(names)
		if len(names) > 8 {
			e.Expected = fmt.Sprintf("one of the %d objects of kind %s", len(names), ref.kind)
		}
		if len(names) > 1 {
			e.Suggestion = spelling.Nearest(ref.name, names)
		}
	}
}

// oneOf says that a value should be one of some names.
func oneOf(names []string) string {
	if len(names) == 1 {
		return quote(names[0])
	}
	return "one of " + strings.Join(names, ", ")
}

// family groups the kinds that are taken for each other.
func family(kind string) string {
	for _, suffix := range []string{"DatacenterConfig", "MachineConfig"} {
		if strings.HasSuffix(kind, suffix) {
			return suffix
		}
	}
	if kind == "FluxConfig" || kind == "GitOpsConfig" {
		return "gitops"
	}
	return ""
}

// checkReferenceKinds makes sure that the references of a Cluster are to kinds that go together.
func (r *report) checkReferenceKinds(provider string) {
	o := r.object
	if ref, ok := referenceAt(o, "spec.datacenterRef"); ok && provider == "" && ref.kind != "" {
		kinds := make([]string, len(providers))
		for i, p := range providers {
			kinds[i] = p.datacenter
		}
		e := r.wrong("invalid-value", "spec.datacenterRef.kind",
			"not a kind of datacenter that EKS Anywhere knows")
		e.Found, e.Expected, e.Suggestion = quote(ref.kind), "one of "+strings.Join(kinds, ", "),
			spelling.Nearest(ref.kind, kinds)
	}
}

// checkMachineKinds makes sure that the machine configs are of the datacenter's provider.
func (r *report) checkMachineKinds(provider string) {
	if provider == "" {
		return
	}
	machine := machineKindOf(provider)
	for _, ref := range clusterReferences(r.object) {
		if !strings.HasSuffix(ref.path, "machineGroupRef") || ref.kind == "" || ref.kind == machine {
			continue
		}
		if machine == "" {
			e := r.wrong("invalid-value", ref.path, "the Docker provider has no machine configs")
			e.Found, e.Expected = quote(ref.kind), "no machineGroupRef"
			continue
		}
		e := r.wrong("invalid-value", ref.path+".kind",
			"not the kind of machine config of the cluster's datacenter")
		e.Found, e.Expected = quote(ref.kind), machine
	}
}
