package fluxinstall

import (
	"regexp"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// A meaning says in plain words what a message of Flux, Kubernetes or EKS Anywhere means.
type meaning struct {
	pattern *regexp.Regexp
	cause   string // $1 and so on are what the pattern found
	// the next command; empty leaves the one that shows more. NAMESPACE is that of the object in question
	next hint.Hint
}

// setUpAgain is what repairs the cluster's way to the repository.
var setUpAgain = hint.Text("%s, with the management cluster's file",
	hint.Run{Do: hint.Create, File: hint.AnyFile})

// lintClone says where an object in Git is that cannot be applied.
var lintClone = hint.Text("%s, in a clone of the repository: it names the file and the line", hint.Lint)

// meanings are tried in order; the first that fits counts. The messages are those of source-controller,
// kustomize-controller, the API server, and EKS Anywhere's webhooks.
var meanings = []meaning{
	{
		regexp.MustCompile(`knownhosts: key (is unknown|mismatch)`),
		"the Git server shows a host key that is not in the Secret's known_hosts: it has new keys, or " +
			"somebody is in between",
		"when the server's new keys are genuine: " + setUpAgain +
			", which writes them into the Secret (a generic Git server's come from EKSA_GIT_KNOWN_HOSTS)",
	},
	{
		regexp.MustCompile(`no supported methods remain|authentication required|unable to authenticate|Permission denied \(publickey\)`),
		"the Git server does not accept the cluster's credentials: most likely its public key is not " +
			"registered there (any more)",
		"on GitHub this registers it: " + setUpAgain + "; elsewhere, register the key that status shows",
	},
	{
		regexp.MustCompile(`(?i)repository not found|does not appear to be a git repository`),
		"the cluster's key does not open this repository, or the repository is gone", "",
	},
	{regexp.MustCompile(`couldn't find remote ref|reference not found|repository is empty`),
		"the branch is not in the repository", ""},
	{
		regexp.MustCompile(`failed calling webhook "([^"]*anywhere[^"]*)"`), "EKS Anywhere's webhook $1, " +
			"which has to agree to every change, does not answer: its controller is down",
		"kubectl -n eksa-system get pods",
	},
	{
		regexp.MustCompile(`failed calling webhook(?: "([^"]+)")?`),
		"a webhook that has to agree does not answer: look at the controller behind it",
		"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
	},
	{
		regexp.MustCompile(`failed to get secret`),
		"the Secret with the cluster's Git credentials is missing", "write it again: " + setUpAgain,
	},
	{regexp.MustCompile(`x509: `),
		"the server's certificate is not trusted: give Flux the certificate authority that signed it", ""},
	{
		regexp.MustCompile(`exceeded quota(?:: ([^,\s]+))?`), "a resource quota of the namespace is used up",
		"kubectl -n NAMESPACE describe resourcequotas",
	},
	{
		regexp.MustCompile(
			`i/o timeout|no such host|connection refused|no route to host|network is unreachable`),
		"the cluster cannot reach the Git server: look at DNS, firewalls (SSH needs port 22) and proxies", "",
	},
	{
		regexp.MustCompile(
			`(?s)anywhere\.(?:eks\.)?amazonaws\.com.*? (spec(?:\.[\w\[\]-]+)+): .* is immutable`),
		"EKS Anywhere does not allow $1 to change on a cluster that exists: put the old value back in Git",
		"",
	},
	{
		regexp.MustCompile(`(?s)anywhere\.(eks\.)?amazonaws\.com.* is immutable`), "EKS Anywhere does not " +
			"allow this field to change on a cluster that exists: put the old value back in Git", "",
	},
	{regexp.MustCompile(`is immutable`), "this field cannot change on an object that exists: put the old " +
		"value back, or delete the object so that it is created again", ""},
	{regexp.MustCompile(`admission webhook "[^"]+" denied`),
		"a webhook in the cluster refuses the object: correct it in Git", ""},
	{
		regexp.MustCompile(`([A-Z]\w+/[^/\s:]+) namespace not specified`), "$1 in Git names no namespace, " +
			"and Flux does not set one, so it applies nothing; write metadata.namespace into it",
		lintClone,
	},
	{regexp.MustCompile(`namespace not specified`),
		"an object in Git names no namespace, and Flux does not set one, so it applies nothing",
		lintClone},
	{
		regexp.MustCompile(`no matches for kind "[^"]*" in version "([^"/]+)/[^"]*"`),
		"the cluster has no such resource type (yet): its CRD is missing",
		"kubectl api-resources --api-group $1",
	},
	{regexp.MustCompile(`no matches for kind`),
		"the cluster has no such resource type (yet): its CRD is missing", "kubectl get crds"},
	{
		regexp.MustCompile(`kustomize build failed|accumulating resources|kustomization path not found|YAML`),
		"a file in the repository cannot be built, and that blocks every cluster below the path: correct " +
			"or remove it", "",
	},
	{regexp.MustCompile(`no space left on device`), "the disk of source-controller is full",
		"kubectl -n NAMESPACE rollout restart deployment/source-controller"},
	{
		regexp.MustCompile(`ValidatingAdmissionPolicy '([^']*)'`), "admission policy $1 of the cluster " +
			"refuses the object: correct it in Git, or ask whoever maintains the policy to allow it",
		"kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings",
	},
	{regexp.MustCompile(`violates PodSecurity`), "the pod security level of the namespace refuses the " +
		"pods: correct them in Git, or change the level of the namespace", ""},
	{regexp.MustCompile(`is forbidden: User "[^"]*" cannot `), "Flux's service account lacks a right", ""},
	{regexp.MustCompile(`attempting to grant RBAC permissions not currently held`),
		"Flux's service account lacks a right: it cannot give away rights that it does not have", ""},
	{regexp.MustCompile(`is forbidden`), "something in the cluster refuses the object, as its words say: a " +
		"policy, or a right that Flux's service account lacks", ""},
	{regexp.MustCompile(`ImagePullBackOff|ErrImagePull`),
		"the image cannot be pulled: look at the registry, its credentials and the network", ""},
	{regexp.MustCompile(`nodes are available`),
		"no node can take the pod: look at resources, taints and the cluster's workers", ""},
	{regexp.MustCompile(`CrashLoopBackOff`),
		"the controller ends right after it starts: look at its logs", ""},
	{
		regexp.MustCompile(`context deadline exceeded`), "Flux did not finish within its own time limit " +
			"(spec.timeout): what it waits for did not answer or did not become ready in time", "",
	},
}

// meaningOf is what a message means and the command that helps; both are "" when that is not known.
func meaningOf(message string) (cause string, next hint.Hint) {
	for _, m := range meanings {
		if found := m.pattern.FindStringSubmatchIndex(message); found != nil {
			expand := func(template string) string {
				return string(m.pattern.ExpandString(nil, template, message, found))
			}
			return expand(m.cause), hint.Hint(expand(string(m.next)))
		}
	}
	return "", ""
}

// explained adds to a problem what a message means: the cause, whom the message blames, and the next command
// where one is known.
func (e *NotReadyError) explained(message string) *NotReadyError {
	cause, next := meaningOf(message)
	e.Cause, e.Culprit = cause, culpritOf(message)
	if next != "" {
		e.Next = hint.Hint(strings.ReplaceAll(string(next), "NAMESPACE", e.namespace()))
	}
	return e
}

// namespace is that of the object that a problem is about: the one that is blamed, else the one that is not
// ready.
func (e *NotReadyError) namespace() string {
	if parts := strings.Split(e.Culprit, "/"); !e.CulpritIsFile() && len(parts) == 3 {
		return parts[1]
	}
	_, name, _ := strings.Cut(e.Object, " ")
	namespace, _, _ := strings.Cut(name, "/")
	return namespace
}
