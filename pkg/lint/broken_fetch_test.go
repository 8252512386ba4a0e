package lint_test

import "strings"

// encrypted is a Secret as SOPS writes it.
const encrypted = "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: default}\n" +
	"stringData: {token: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: 'ENC[AES256_GCM,data:y]', version: 3.9.0}\n"

// brokenFetches are the ways to break a repository by what Flux leaves out of it, or cannot decrypt.
func brokenFetches() map[string]func(repository) {
	list := w01 + "/kustomization.yaml"
	configMap := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: default\n"
	return map[string]func(repository){
		"spec left out by Flux's spec.ignore":    func(r repository) { r.leaveOut("# not yet", "w01/") },
		"cluster left out by Flux's spec.ignore": func(r repository) { r.leaveOut("/clusters/dev/w01") },
		"Flux left out by itself":                func(r repository) { r.leaveOut("/clusters/dev/flux-system/") },
		"what is broken left out by Flux's spec.ignore": func(r repository) {
			r.put(root+"/notes/values.yaml", "a: 1\n")
			r.put(root+"/notes/more/broken.yaml", "a: [\n")
			r.leaveOut("/clusters/dev/notes/*.yaml", "broken.yaml")
		},
		"all but the fleet left out": func(r repository) {
			r.put("elsewhere/values.yaml", "a: 1\n")
			r.leaveOut("/*", "!/clusters")
		},
		"left out and needed": func(r repository) {
			r.put("base/kustomization.yaml", "resources: [x.yaml]\n")
			r.put("base/x.yaml", configMap)
			r.put(list, listing+"- ../../../../base\n")
			r.leaveOut("/*", "!/clusters")
		},
		"taken in by Flux's spec.ignore": func(r repository) {
			r.put(root+"/.sops.yaml", "creation_rules: []\n")
			r.leaveOut("!.sops.yaml")
		},
		"what others leave out": func(r repository) {
			r.put(root+"/.sops.yaml", "creation_rules: []\n")
		},
		"Secret that Flux does not decrypt": func(r repository) {
			r.put(root+"/secret.yaml", encrypted)
		},
		"encrypted Secret among others": func(r repository) {
			r.put(w01+"/secret.yaml", configMap+"---\n"+encrypted)
			r.put(list, listing+"- secret.yaml\n")
		},
		"Secret that Flux decrypts": func(r repository) {
			r.put(root+"/secret.yaml", encrypted)
			r.replace(flux+"/gotk-sync.yaml", "  prune: true\n",
				"  prune: true\n  decryption:\n    provider: sops\n    secretRef: {name: sops-age}\n")
		},
		"Secret that is not encrypted": func(r repository) {
			r.put(root+"/secret.yaml", strings.Replace(encrypted, "\nsops:", "\n# sops:", 1))
		},
		"what is no Secret with the mark of SOPS": func(r repository) {
			r.put(root+"/secret.yaml", strings.Replace(encrypted, "kind: Secret", "kind: ConfigMap", 1))
		},
	}
}
