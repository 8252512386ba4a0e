package lint

import (
	"bytes"
	"fmt"
	"path"

	"github.com/eksa-gitops/eksa-gitops/internal/yamlnode"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// encryptedRule is about Secrets that Flux cannot decrypt.
const encryptedRule = "encrypted-secret"

// checkEncrypted tells of Secrets that are encrypted with SOPS where Flux's Kustomization does not decrypt:
// kustomize-controller refuses one, and with it all of the fleet.
func (f *fleet) checkEncrypted() {
	sync, decrypts := f.decryption()
	if sync == "" || decrypts {
		return
	}
	for _, file := range sortedKeys(f.applied.files) {
		content, ok := f.contents[file] // only YAML was read
		if !ok || !bytes.Contains(content, []byte("sops")) {
			continue
		}
		documents, problem := parseYAML(file, content)
		if problem != nil {
			continue // others say so
		}
		for _, object := range documents {
			sops := yamlnode.At(object, "sops")
			if sops == nil || yamlnode.Scalar(object, "kind") != "Secret" ||
				yamlnode.Scalar(object, "apiVersion") != "v1" {
				continue
			}
			f.at(clusterspec.SeverityError, encryptedRule, file, sops, clusterspec.Problem{
				Object: "Secret " + yamlnode.Scalar(object, "metadata", "name"), Field: "sops",
				Message: fmt.Sprintf("the Secret is encrypted with SOPS, and Flux's Kustomization in %s "+
					"does not say how to decrypt it; %s", sync, f.breaks()),
				Expected: "spec.decryption there, or the file in a directory that another Kustomization " +
					"applies",
			})
		}
	}
}

// decryption says where Flux's Kustomization is, and whether it decrypts. No file is not known.
func (f *fleet) decryption() (file string, decrypts bool) {
	for _, dir := range f.primarySystem() {
		file = path.Join(dir, layout.SyncFile)
		objects, _ := manifestsIn(file, f.contents[file])
		for _, m := range objects {
			if m.kind == "Kustomization" &&
				path.Join("/", yamlnode.Scalar(m.node, "spec", "path")) == path.Join("/", f.root) {
				return file, yamlnode.Scalar(m.node, "spec", "decryption", "provider") != ""
			}
		}
	}
	return "", false
}
