package clusterspec

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	texts "github.com/eksa-gitops/eksa-gitops/internal/text"
)

// checkKubelets: the field table has the fields of a KubeletConfiguration; EKS Anywhere sets one of them
// itself.
func (r *report) checkKubelets() {
	_, control := lookup(r.object.root(), "spec", "controlPlaneConfiguration")
	r.checkKubelet(control, "spec.controlPlaneConfiguration")
	for i, group := range items(r.object.root(), "spec", "workerNodeGroupConfigurations") {
		r.checkKubelet(group, fmt.Sprintf("spec.workerNodeGroupConfigurations[%d]", i))
	}
}

func (r *report) checkKubelet(part *yaml.Node, path string) {
	path += ".kubeletConfiguration"
	if key, _ := lookup(part, "kubeletConfiguration", "providerID"); key != nil {
		r.wrong("kubelet", path+".providerID",
			"EKS Anywhere sets the provider's ID of a machine itself").Expected = "no providerID"
	}
	if kind := text(part, "kubeletConfiguration", "kind"); kind != "" && kind != "KubeletConfiguration" {
		w := r.warn("kubelet", path+".kind",
			"the settings are read as a KubeletConfiguration, whatever their kind")
		w.Found, w.Expected = quote(kind), "KubeletConfiguration"
	}
}

// checkKubeletsOnBottlerocket: Bottlerocket has settings for some fields of a KubeletConfiguration, and EKS
// Anywhere refuses the others when it makes its machines. The names are those of
// hostOSConfiguration.bottlerocketConfiguration.kubernetes.
func (r *report) checkKubeletsOnBottlerocket(uses []machineUse) {
	settings := fields().kinds["VSphereMachineConfig"].at(
		"spec.hostOSConfiguration.bottlerocketConfiguration.kubernetes")
	for _, use := range uses {
		_, kubelet := lookup(use.part, "kubeletConfiguration")
		if use.osFamily() != "bottlerocket" || kubelet == nil {
			continue
		}
		for _, e := range entries(kubelet) {
			name := e.key.Value
			path := joinField(use.path+".kubeletConfiguration", name)
			if name == "kind" || name == "apiVersion" || settings.children[name] != nil || r.known(path) {
				continue
			}
			p := r.add(SeverityError, "bottlerocket", e.key, path,
				"Bottlerocket has no setting for this field of a KubeletConfiguration")
			p.Found, p.Expected = "osFamily bottlerocket in "+use.config.object.Label(),
				"no such field, or another osFamily"
		}
	}
}

// checkAuditPolicy: the audit policy is a text that holds YAML of its own.
func (r *report) checkAuditPolicy() {
	const path = "spec.controlPlaneConfiguration.auditPolicyContent"
	policy := text(r.object.root(), keys(path)...)
	if policy == "" {
		return
	}
	var parsed yaml.Node
	err := yaml.Unmarshal([]byte(policy), &parsed)
	if err == nil {
		return
	}
	e := r.wrong("invalid-value", path,
		"the text is not YAML: "+strings.TrimPrefix(texts.FirstLine(err.Error()), "yaml: "))
	e.Expected = "an audit policy, apiVersion audit.k8s.io/v1 and kind Policy"
}
