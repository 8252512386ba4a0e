package fluxbuild

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	"sigs.k8s.io/yaml"
)

// PostBuild are the variables that Flux puts into what kustomize has built.
type PostBuild struct {
	Substitute     map[string]string `json:"substitute"`
	SubstituteFrom []VariableSource  `json:"substituteFrom"`
}

// VariableSource is a ConfigMap or a Secret with variables. They are in the cluster, and not known here.
type VariableSource struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Metadata are labels and annotations that Flux gives all objects.
type Metadata struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// UnknownVariablesError says that variables have values that are not known here, so that what is built of a
// file may be something else.
type UnknownVariablesError struct {
	File      string
	Variables []string
	Sources   []VariableSource
}

// Error names the file, the variables and where they are from.
func (e *UnknownVariablesError) Error() string {
	var sources []string
	for _, s := range e.Sources {
		sources = append(sources, s.Kind+" "+s.Name)
	}
	return fmt.Sprintf("%s uses %s of %s in the cluster",
		e.File, strings.Join(e.Variables, ", "), strings.Join(sources, ", "))
}

// substituteMark is by what an object says that it has no variables.
const substituteMark = "kustomize.toolkit.fluxcd.io/substitute"

var variableName = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// finish does with the objects what Flux does after the build.
func (b *build) finish(settings Settings) error {
	for i := range b.built.Objects {
		o := &b.built.Objects[i]
		if err := b.substitute(o, settings.PostBuild); err != nil {
			return err
		}
		if settings.CommonMetadata != nil {
			if err := o.addMetadata(settings.CommonMetadata); err != nil {
				return err
			}
		}
	}
	return nil
}

// substitute puts values in the place of variables. Without any variable Flux leaves everything as it is.
func (b *build) substitute(o *Object, post *PostBuild) error {
	if post == nil || len(post.Substitute)+len(post.SubstituteFrom) == 0 ||
		!bytes.Contains(o.Text(), []byte("$")) {
		return nil
	}
	metadata, _ := o.Fields()["metadata"].(map[string]any)
	for _, part := range []string{"annotations", "labels"} {
		if marks, _ := metadata[part].(map[string]any); marks[substituteMark] == "disabled" {
			return nil
		}
	}
	for name := range post.Substitute {
		if !variableName.MatchString(name) {
			return fmt.Errorf("%q is not a variable name", name)
		}
	}
	var unknown []string
	text, err := envsubst.Eval(string(o.Text()), func(name string) (string, bool) {
		value, known := post.Substitute[name]
		if !known && len(post.SubstituteFrom) > 0 {
			unknown = append(unknown, "${"+name+"}")
			return "${" + name + "}", true
		}
		return strings.ReplaceAll(value, "\n", ""), true
	})
	if err != nil {
		return fmt.Errorf("%s: putting in variables: %w", o.File, err)
	}
	if len(unknown) > 0 {
		b.built.Unseen = append(b.built.Unseen,
			&UnknownVariablesError{File: o.File, Variables: unknown, Sources: post.SubstituteFrom})
	}
	return o.become([]byte(text))
}

// addMetadata gives an object labels and annotations; they win over its own.
func (o *Object) addMetadata(common *Metadata) error {
	fields := o.Fields()
	metadata, _ := fields["metadata"].(map[string]any)
	if metadata == nil {
		return nil
	}
	for part, values := range map[string]map[string]string{"labels": common.Labels,
		"annotations": common.Annotations} {
		if len(values) == 0 {
			continue
		}
		own, _ := metadata[part].(map[string]any)
		if own == nil {
			own = map[string]any{}
		}
		for name, value := range values {
			own[name] = value
		}
		metadata[part] = own
	}
	text, err := yaml.Marshal(fields)
	if err != nil {
		return err
	}
	return o.become(text)
}

// become gives an object another text, and the identity that it says.
func (o *Object) become(text []byte) error {
	var identity struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(text, &identity); err != nil {
		return fmt.Errorf("%s: with its variables put in, it is not valid YAML: %w", o.File, err)
	}
	o.text, o.APIVersion = text, identity.APIVersion
	o.Name = Name{Group: groupOf(identity.APIVersion), Kind: identity.Kind,
		Namespace: identity.Metadata.Namespace, Name: identity.Metadata.Name}
	return nil
}
