package fluxmanifests

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// GeneratedFrom reads from gotk-components.yaml the options that it was generated with, whatever the release:
// generating the present release with them changes nothing but what is new in it, and what somebody has
// edited by hand. What cannot be told, such as a registry when the images come from several, has its default.
// The error says that the file is not Flux's.
func GeneratedFrom(components []byte) (ComponentsOptions, error) {
	r := &optionReader{registries: map[string]bool{}}
	r.options.NoNetworkPolicy = true
	err := EachDocument(components, func(document []byte) error {
		switch field(document, "kind") {
		case "NetworkPolicy":
			r.options.NoNetworkPolicy = false
			return nil
		case "Deployment", "Namespace":
			return r.read(document)
		}
		return nil
	})
	if err == nil && (r.options.Version == "" || len(r.options.Components) == 0) {
		err = errors.New("it contains no controllers of a release of Flux")
	}
	if err != nil {
		return ComponentsOptions{}, fmt.Errorf("reading Flux's components: %w", err)
	}
	if named := componentsLine.FindSubmatch(components[:min(len(components), 2000)]); named != nil {
		r.inOrder(strings.Split(string(named[1]), ","))
	}
	if len(r.registries) == 1 {
		for registry := range r.registries {
			r.options.Registry = registry
		}
	}
	return r.options, nil
}

// componentsLine is where Flux's generator says which components it took, in their order.
var componentsLine = regexp.MustCompile(`(?m)^# Components: (\S+)$`)

// optionReader collects the options from the objects.
type optionReader struct {
	options    ComponentsOptions
	registries map[string]bool
}

func (r *optionReader) read(document []byte) error {
	var object struct {
		Kind     string
		Metadata struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Name, Image string
						Args        []string
					}
					ImagePullSecrets []struct{ Name string }
					Tolerations      []struct{ Key, Operator string }
				}
			}
		}
	}
	if err := yaml.Unmarshal(document, &object); err != nil {
		return err
	}
	if object.Metadata.Labels[PartOfLabel] != "flux" {
		return nil
	}
	if r.options.Version == "" {
		r.options.Version = object.Metadata.Labels[VersionLabel]
	}
	if object.Kind != "Deployment" {
		return nil
	}
	r.options.Namespace = object.Metadata.Namespace
	r.options.Components = append(r.options.Components, object.Metadata.Name)
	pod := object.Spec.Template.Spec
	for _, container := range pod.Containers {
		if container.Name != ManagerContainer {
			continue
		}
		name, _ := splitImage(container.Image)
		if registry, ok := strings.CutSuffix(name, "/"+object.Metadata.Name); ok {
			r.registries[registry] = true
		}
		r.readArguments(container.Args)
	}
	if len(pod.ImagePullSecrets) == 1 {
		r.options.ImagePullSecret = pod.ImagePullSecrets[0].Name
	}
	for _, toleration := range pod.Tolerations {
		if toleration.Operator == "Exists" && toleration.Key != "" &&
			!slices.Contains(r.options.TolerationKeys, toleration.Key) {
			r.options.TolerationKeys = append(r.options.TolerationKeys, toleration.Key)
		}
	}
	return nil
}

func (r *optionReader) readArguments(arguments []string) {
	for _, argument := range arguments {
		name, value, _ := strings.Cut(argument, "=")
		switch name {
		case "--watch-all-namespaces":
			r.options.OwnNamespaceOnly = value == "false"
		case "--log-level":
			r.options.LogLevel = value
		case "--storage-adv-addr":
			if _, domain, ok := strings.Cut(value, ".svc."); ok {
				r.options.ClusterDomain = strings.TrimSuffix(domain, ".")
			}
		}
	}
}

// inOrder puts the components into a given order when that is of the same ones.
func (r *optionReader) inOrder(named []string) {
	if slices.Equal(slices.Sorted(slices.Values(named)), slices.Sorted(slices.Values(r.options.Components))) {
		r.options.Components = named
	}
}

// RemovedKinds are the kinds of Flux that one gotk-components.yaml defines and another does not, sorted. Flux
// deletes their definitions when it applies the other one, and Kubernetes all objects of the kinds with them.
func RemovedKinds(before, after []byte) ([]string, error) {
	old, err := definedKinds(before)
	if err != nil {
		return nil, err
	}
	current, err := definedKinds(after)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(old, func(kind string) bool { return slices.Contains(current, kind) }), nil
}

func definedKinds(components []byte) ([]string, error) {
	var kinds []string
	err := EachDocument(components, func(document []byte) error {
		if field(document, "kind") != crdKindName {
			return nil
		}
		// The name and kind of a definition stand before its schemas, which are long.
		head, _, _ := strings.Cut(string(document), "\n  versions:\n")
		var definition struct {
			Spec struct{ Names struct{ Kind string } }
		}
		if err := yaml.Unmarshal([]byte(head), &definition); err != nil {
			return err
		}
		kinds = append(kinds, definition.Spec.Names.Kind)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the kinds that Flux's components define: %w", err)
	}
	slices.Sort(kinds)
	return kinds, nil
}
