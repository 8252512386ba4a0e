package clusterspec

import (
	"fmt"
	"slices"
	"strings"
)

// FieldReference gives the field table as a Markdown page. It is the same to the byte every time.
func FieldReference() []byte {
	var b strings.Builder
	b.WriteString(`# Fields of EKS Anywhere cluster files

Generated from the program's field table, which its checks and ` + "`lint`" +
		` use too. All kinds have apiVersion ` + "`" + APIVersion + "`" + `.

- **Required**: EKS Anywhere refuses the spec without it. Below an optional object it counts when the object is there.
- **GitOps**: the clusters for which the user documentation lists the field as changed through Git or in an upgrade: *m*anagement, *w*orkload.
- **Change**: what happens to a change that Flux applies: *applied*, *rejected* by the webhook, *ignored*, or the object is
  *replaced*: it becomes another one, and Flux deletes the old one, a cluster with all its machines. The webhook says
  "` + immutable +
		`" when nothing else is given. Where the roles differ both are given. Some changes depend on their values; remarks say so.

Besides these there are rules about values that go together; ` + "`validate`" +
		` names the fields when one is broken.

`)
	table := fields()
	b.WriteString("- [Releases](#releases)\n- [All kinds](#all-kinds)\n")
	for _, kind := range table.order {
		fmt.Fprintf(&b, "- [%s](#%s)\n", kind, strings.ToLower(kind))
	}
	fmt.Fprintf(&b, "- [%s](#%s)\n", kubeletTitle, strings.ToLower(kubeletTitle))
	writeReleases(&b)
	section := func(title, kind string, mine func(path string) bool) {
		fmt.Fprintf(&b,
			"\n## %s\n\n| Field | Type | Required | Values | Default | GitOps | Change | Remarks |\n"+
				"|---|---|---|---|---|---|---|---|\n", title)
		table.kinds[kind].each(func(f *field) {
			if f.Type == "" || f.path == "" || !mine(f.path) || f.parent.isForeign() {
				return
			}
			required := ""
			if f.Required {
				required = "yes"
			}
			values := f.values()
			if f.path == "kind" {
				values = "one of those below"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", f.path, typeWord(f.Type),
				required,
				cell(values), cell(f.Default), f.gitOpsWord(), f.changeWord(), cell(f.remarks()))
		})
	}
	section("All kinds", table.order[0], func(path string) bool { return !within(path, "spec") })
	for _, kind := range table.order {
		section(kind, kind, func(path string) bool { return within(path, "spec") })
	}
	writeKubelet(&b, table)
	return []byte(b.String())
}

// writeReleases gives the table of EKS Anywhere's releases.
func writeReleases(b *strings.Builder) {
	fmt.Fprintf(b, `
## Releases

A Kubernetes version or a provider that the release does not have is warned of. The release is that of `+
		"`spec.eksaVersion`"+`, of the
management cluster's, or else v0.%d, of which the facts on this page are. Releases that are not listed are not checked.

| EKS Anywhere | Kubernetes | CloudStack | Flux |
|---|---|---|---|
`, ourRelease)
	for _, r := range releases {
		cloudStack := "yes"
		if r.noCloudStack {
			cloudStack = "no"
		}
		fmt.Fprintf(b, "| v0.%d | 1.%d to 1.%d | %s | %s |\n", r.minor, r.oldest, r.newest,
			cloudStack, r.flux)
	}
}

// kubeletTitle is the section of the fields that a Cluster has in two places.
const kubeletTitle = "KubeletConfiguration"

// writeKubelet gives the fields of a KubeletConfiguration, which Kubernetes describes.
func writeKubelet(b *strings.Builder, table *fieldTable) {
	const place = "spec.controlPlaneConfiguration.kubeletConfiguration"
	settings := table.kinds["VSphereMachineConfig"].at(
		"spec.hostOSConfiguration.bottlerocketConfiguration.kubernetes")
	fmt.Fprintf(b, "\n## %s\n\n"+
		"The fields below `kubeletConfiguration` of the control plane and of each worker group.\n\n",
		kubeletTitle)
	b.WriteString("| Field | Type | Required | With Bottlerocket | Remarks |\n|---|---|---|---|---|\n")
	table.kinds["Cluster"].at(place).each(func(f *field) {
		name, below := strings.CutPrefix(f.path, place+".")
		if !below || f.Type == "" {
			return
		}
		required, bottlerocket := "", ""
		if f.Required {
			required = "yes"
		}
		if top, _, _ := strings.Cut(name, "."); settings.children[top] != nil && top != "providerID" ||
			top == "kind" || top == "apiVersion" {
			bottlerocket = "yes"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", name, typeWord(f.Type), required, bottlerocket,
			cell(f.About))
	})
}

// remarks is what the table says about a field in words, with what its other columns mean.
func (f *field) remarks() string {
	var parts []string
	if f.Zero {
		parts = append(parts, "an empty object is the same as none")
	}
	if f.MayBlank {
		parts = append(parts, "may be an empty string")
	}
	if len(f.Also) > 0 {
		parts = append(parts, "elsewhere called "+strings.Join(f.Also, ", "))
	}
	if f.Stored != "" {
		parts = append(parts, "EKS Anywhere's webhook "+rewritings[f.Stored].about)
	}
	if f.Shape == "kubelet" {
		parts = append(parts, fmt.Sprintf("[fields](#%s)", strings.ToLower(kubeletTitle)))
	}
	switch f.Secret {
	case secretValue:
		parts = append(parts, "not shown in what the program prints")
	case secretAddress:
		parts = append(parts, "shown without what stands before an @")
	}
	if f.About != "" {
		parts = append([]string{f.About}, parts...)
	}
	return strings.Join(parts, "; ")
}

func typeWord(t string) string {
	return strings.NewReplacer("strings", "list of strings", "map", "map of strings", "-", " ").Replace(t)
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

func (f *field) values() string {
	var parts []string
	if len(f.Enum) > 0 {
		parts = append(parts, strings.Join(f.Enum, ", "))
	}
	if f.Expect != "" {
		parts = append(parts, f.Expect)
	}
	if f.NonEmpty {
		parts = append(parts, "not empty")
	}
	switch {
	case f.Min != nil && f.Max != nil:
		parts = append(parts, fmt.Sprintf("%d to %d", *f.Min, *f.Max))
	case f.Min != nil:
		parts = append(parts, fmt.Sprintf("at least %d", *f.Min))
	case f.Max != nil:
		parts = append(parts, fmt.Sprintf("at most %d", *f.Max))
	}
	switch {
	case f.MinItems > 0 && f.MinItems == f.MaxItems:
		parts = append(parts, fmt.Sprintf("exactly %s", plural(f.MinItems, "item")))
	case f.MinItems > 0 && f.MaxItems > 0:
		parts = append(parts, fmt.Sprintf("%d to %d items", f.MinItems, f.MaxItems))
	case f.MinItems > 0:
		parts = append(parts, "at least "+plural(f.MinItems, "item"))
	case f.MaxItems > 0:
		parts = append(parts, "at most "+plural(f.MaxItems, "item"))
	}
	return strings.Join(parts, "; ")
}

func (f *field) gitOpsWord() string {
	var words []string
	for _, role := range []Role{RoleManagement, RoleWorkload} {
		if slices.Contains(f.GitOps, role) || documented(f, role) {
			words = append(words, string(role[0]))
		}
	}
	return strings.Join(words, ", ")
}

func (f *field) changeWord() string {
	word := func(role Role) string {
		verdict, says := tableVerdict(f, role)
		if verdict == VerdictRejected && says != immutable {
			return fmt.Sprintf("%s: %s", verdict, says)
		}
		return string(verdict)
	}
	management, workload := word(RoleManagement), word(RoleWorkload)
	if management == workload {
		return management
	}
	return fmt.Sprintf("m: %s; w: %s", management, workload)
}
