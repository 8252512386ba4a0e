package fluxinstall

import "regexp"

// meanings say in plain words what a message of Flux, Kubernetes or EKS Anywhere means. The first that fits counts. The messages are
// those of source-controller, kustomize-controller, the API server, and EKS Anywhere's webhooks.
var meanings = []struct {
	pattern *regexp.Regexp
	meaning string
}{
	{regexp.MustCompile(`knownhosts: key (is unknown|mismatch)`), "the Git server shows a host key that is not in the Secret's known_hosts: it has new keys, or somebody is in between"},
	{regexp.MustCompile(`no supported methods remain|authentication required|unable to authenticate|Permission denied \(publickey\)`), "the Git server does not accept the cluster's credentials: most likely its public key is not registered (on GitHub, running the same command again does that)"},
	{regexp.MustCompile(`(?i)repository not found|does not appear to be a git repository`), "the cluster's key does not open this repository, or the repository is gone"},
	{regexp.MustCompile(`couldn't find remote ref|reference not found|repository is empty`), "the branch is not in the repository"},
	{regexp.MustCompile(`failed calling webhook`), "a webhook that has to agree does not answer: look at the controller behind it"},
	{regexp.MustCompile(`failed to get secret`), "the Secret with the cluster's Git credentials is missing; run the same command again to write it"},
	{regexp.MustCompile(`x509: `), "the server's certificate is not trusted: give Flux the certificate authority that signed it"},
	{regexp.MustCompile(`i/o timeout|no such host|connection refused|no route to host|network is unreachable`), "the cluster cannot reach the Git server: look at DNS, firewalls (SSH needs port 22) and proxies"},
	{regexp.MustCompile(`(?s)anywhere\.(eks\.)?amazonaws\.com.* is immutable`), "EKS Anywhere does not allow this field to change on a cluster that exists: put the old value back in Git"},
	{regexp.MustCompile(`is immutable`), "this field cannot change on an object that exists: put the old value back, or delete the object so that it is made anew"},
	{regexp.MustCompile(`admission webhook "[^"]+" denied`), "a webhook in the cluster refuses the object: correct it in Git"},
	{regexp.MustCompile(`no matches for kind`), "the cluster has no such resource type (yet): its CRD is missing"},
	{regexp.MustCompile(`exceeded quota`), "a resource quota of the namespace is used up"},
	{regexp.MustCompile(`kustomize build failed|accumulating resources|kustomization path not found|YAML`), "a file in the repository cannot be built, and that blocks every cluster below the path: correct or remove it"},
	{regexp.MustCompile(`no space left on device`), "the disk of source-controller is full"},
	{regexp.MustCompile(`is forbidden`), "Flux's service account lacks a right"},
	{regexp.MustCompile(`ImagePullBackOff|ErrImagePull`), "the image cannot be pulled: look at the registry, its credentials and the network"},
	{regexp.MustCompile(`nodes are available`), "no node can take the pod: look at resources, taints and the cluster's workers"},
	{regexp.MustCompile(`CrashLoopBackOff`), "the controller ends right after it starts: look at its logs"},
}

// meaningOf is what a message means, or "" when that is not known.
func meaningOf(message string) string {
	for _, m := range meanings {
		if m.pattern.MatchString(message) {
			return m.meaning
		}
	}
	return ""
}
