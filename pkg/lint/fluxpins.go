package lint

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eksa-gitops/eksa-gitops/internal/kustomize"
	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// Pin is where a kustomization gives one of Flux's controllers an image of its own.
type Pin struct {
	Controller string
	Image      string // or its tag alone, where only that is set
	File       string
	Line       int
}

// PinnedImages finds where the kustomization of Flux's directory sets images of Flux's controllers: in
// patches of any form, in files or in place, and in its images. files are those of the directory by their
// paths below it. It reads what is written and builds nothing: a patch of all Deployments at once is not
// found.
func PinnedImages(files map[string][]byte) []Pin {
	p := &pins{files: files}
	for _, name := range kustomize.FileNames {
		content, there := files[name]
		if !there {
			continue
		}
		if documents, problem := parseYAML(name, content); problem == nil && len(documents) > 0 {
			p.kustomization(name, documents[0])
		}
		break
	}
	slices.SortStableFunc(p.found, func(a, b Pin) int {
		return cmp.Or(strings.Compare(a.Controller, b.Controller), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(p.found)
}

type pins struct {
	files map[string][]byte
	found []Pin
}

func (p *pins) add(controller, image, file string, line int) {
	if image != "" && slices.Contains(fluxControllers, controller) {
		p.found = append(p.found, Pin{controller, image, file, line})
	}
}

// fluxControllers are all Deployments that Flux's components may have.
var fluxControllers = append(layout.Controllers(), "image-automation-controller",
	"image-reflector-controller", "source-watcher")

func (p *pins) kustomization(file string, root *yaml.Node) {
	items := func(field string) []*yaml.Node {
		list := yamlnode.At(root, field)
		if list == nil || list.Kind != yaml.SequenceNode {
			return nil
		}
		return list.Content
	}
	for _, item := range slices.Concat(items("patches"), items("patchesJson6902")) {
		target := ""
		if kind := yamlnode.Scalar(item, "target", "kind"); kind == "" || kind == "Deployment" {
			target = yamlnode.Scalar(item, "target", "name")
		}
		p.patch(file, yamlnode.At(item, "patch"), target)
		if name := yamlnode.Scalar(item, "path"); name != "" {
			p.patchFile(name, target)
		}
	}
	for _, item := range items("patchesStrategicMerge") {
		if item = yamlnode.Follow(item); item.Kind == yaml.ScalarNode &&
			p.files[path.Clean(item.Value)] != nil {
			p.patchFile(item.Value, "")
		} else {
			p.patch(file, item, "")
		}
	}
	for _, item := range items("images") {
		name := yamlnode.Scalar(item, "name")
		tag := yamlnode.Scalar(item, "newTag")
		value := yamlnode.At(item, "newTag")
		if tag == "" {
			value = yamlnode.At(item, "digest")
		}
		if value != nil {
			p.add(path.Base(name), cmp.Or(tag, yamlnode.Scalar(item, "digest")), file, value.Line)
		}
	}
}

// patch reads a patch that is written in place. A literal block begins on the line after its mark.
func (p *pins) patch(file string, text *yaml.Node, target string) {
	if text == nil || text.Kind != yaml.ScalarNode {
		return
	}
	line := func(inner int) int { return text.Line }
	if text.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		line = func(inner int) int { return text.Line + inner }
	}
	p.documents(file, []byte(text.Value), target, line)
}

func (p *pins) patchFile(name, target string) {
	name = path.Clean(name)
	if content, there := p.files[name]; there {
		p.documents(name, content, target, func(line int) int { return line })
	}
}

// documents finds images in merge patches and in lists of operations.
func (p *pins) documents(file string, content []byte, target string, line func(int) int) {
	documents, problem := parseYAML(file, content)
	if problem != nil {
		return
	}
	for _, document := range documents {
		if document.Kind == yaml.SequenceNode {
			for _, operation := range document.Content {
				value := yamlnode.At(operation, "value")
				if at := yamlnode.Scalar(operation, "path"); value != nil &&
					strings.HasPrefix(at, "/spec/template/spec/containers/") && path.Base(at) == "image" {
					p.add(target, value.Value, file, line(value.Line))
				}
			}
			continue
		}
		if yamlnode.Scalar(document, "kind") != "Deployment" {
			continue
		}
		name := cmp.Or(target, yamlnode.Scalar(document, "metadata", "name"))
		if image := managerImage(document); image != nil {
			p.add(name, image.Value, file, line(image.Line))
		}
	}
}

// managerImage is the image of the container that runs a controller; nil when a Deployment, or a patch of
// one, has none.
func managerImage(deployment *yaml.Node) *yaml.Node {
	list := yamlnode.At(deployment, "spec", "template", "spec", "containers")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	for _, container := range list.Content {
		if yamlnode.Scalar(container, "name") == "manager" {
			return yamlnode.At(container, "image")
		}
	}
	return nil
}

// imageRule is about controllers of another release than Flux's definitions.
const imageRule = "flux-image"

// release is how a version begins in an image's tag, whatever a builder has added.
var release = regexp.MustCompile(`^v?(\d{1,3})\.(\d{1,3})\.\d{1,3}(\D|$)`)

// minorRelease is the major and minor number of a version, or of an image's tag, as one that can be compared.
func minorRelease(image string) (int, bool) {
	name, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[colon+1:]
	}
	found := release.FindStringSubmatch(name)
	if found == nil {
		return 0, false
	}
	major, _ := strconv.Atoi(found[1])
	minor, _ := strconv.Atoi(found[2])
	return 1000*major + minor, true
}

// checkPins wants the controllers to be of the release that their definitions are of: gotk-components.yaml
// has both, and a patch may have kept an image from before.
func (f *fleet) checkPins() {
	for _, dir := range f.primarySystem() {
		components := path.Join(dir, layout.ComponentsFile)
		content, ok := f.contents[components]
		if !ok {
			continue
		}
		files := map[string][]byte{}
		for name, content := range f.contents {
			if inside(name, dir) && name != components {
				files[strings.TrimPrefix(name, dir+"/")] = content
			}
		}
		pinned := PinnedImages(files)
		for _, m := range f.shared.componentsOf(content).objects {
			image := managerImage(m.node)
			if m.kind != "Deployment" || image == nil {
				continue
			}
			wanted, given := image.Value,
				yamlnode.Scalar(m.node, "metadata", "labels", "app.kubernetes.io/version")
			if number, ok := minorRelease(given); ok && number/1000 == 2 &&
				slices.Contains([]string{"source-controller", "kustomize-controller"}, m.name) {
				wanted = "v1." + strconv.Itoa(number%1000) + ".0" // these two count as Flux itself does
			}
			has, at, node := image.Value, components, image
			for _, pin := range pinned {
				if pin.Controller == m.name {
					has, at, node = pin.Image, path.Join(dir, pin.File), &yaml.Node{Line: pin.Line, Column: 1}
				}
			}
			f.tellPin(at, node, m.name, has, wanted, given)
		}
	}
}

func (f *fleet) tellPin(file string, at *yaml.Node, controller, has, wanted, flux string) {
	is, known := minorRelease(has)
	want, wantKnown := minorRelease(wanted)
	if !known || !wantKnown || is == want {
		return
	}
	severity, message := clusterspec.SeverityError, "an older controller than the definitions in "+
		layout.ComponentsFile+", which it does not know: it may not start, or do nothing"
	if is > want {
		severity, message = clusterspec.SeverityNotice,
			"a newer controller than the definitions in "+layout.ComponentsFile
	}
	if flux != "" {
		message += " (Flux " + flux + ")"
	}
	if !slices.Contains(f.versioned, file) {
		f.versioned = append(f.versioned, file)
	}
	f.at(severity, imageRule, file, at, clusterspec.Problem{
		Object: "Deployment " + controller, Field: "image", Message: message, Found: quote(has),
		Expected: "v" + strconv.Itoa(want/1000) + "." + strconv.Itoa(want%1000) + ".x",
	})
}
