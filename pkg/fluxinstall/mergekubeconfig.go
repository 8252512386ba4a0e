package fluxinstall

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// MergeOptions say how a kubeconfig is merged into another one.
type MergeOptions struct {
	// Context is the name of the context, and of the cluster in it; its user is called the same with -admin.
	Context string
	// Overwrite replaces a context of that name that leads to another server.
	Overwrite bool
	// SetCurrent makes it the current context. It becomes that anyway where there is none.
	SetCurrent bool
}

// Merged says what a merge did.
type Merged struct {
	Content []byte // the whole file
	Changed bool   // whether it says anything new
	Updated bool   // whether the context was there before
	Server  string // that the context leads to
	Current string // the current context afterwards
}

// ContextTakenError says that a name is in use for something else.
type ContextTakenError struct {
	Kind, Name string // context, cluster or user, and its name
	Server     string // that it leads to; empty when it leads nowhere
}

// Error says what is there.
func (e *ContextTakenError) Error() string {
	if e.Server == "" {
		return fmt.Sprintf("there is a %s %s already, which is for something else", e.Kind, e.Name)
	}
	return fmt.Sprintf("there is a %s %s already, which leads to another server, %s",
		e.Kind, e.Name, e.Server)
}

// MergeKubeconfig adds the current context of a kubeconfig, with its cluster and user, to another file, which
// may be empty. Everything else in that file stays, though not its comments and the order of its keys (as
// with kubectl config). A context of the same name that leads to the same server is brought up to date; one
// that leads elsewhere is a *ContextTakenError. No error holds what the files hold.
func MergeKubeconfig(file []byte, kubeconfig secret.Value, options MergeOptions) (*Merged, error) {
	before, err := clientcmd.Load(file)
	if err != nil {
		// What the library says may quote the file.
		return nil, errors.New("the file to merge into is not a kubeconfig")
	}
	cluster, user, err := onlyContext([]byte(kubeconfig.Reveal()))
	if err != nil {
		return nil, err
	}
	after := before.DeepCopy()
	name, userName := options.Context, options.Context+"-admin"
	if !options.Overwrite {
		if err := free(before, name, userName, cluster.Server); err != nil {
			return nil, err
		}
	}
	context, updated := after.Contexts[name]
	if !updated {
		context = api.NewContext()
	}
	context.Cluster, context.AuthInfo = name, userName
	after.Contexts[name], after.Clusters[name], after.AuthInfos[userName] = context, cluster, user
	if options.SetCurrent || after.CurrentContext == "" {
		after.CurrentContext = name
	}
	content, err := clientcmd.Write(*after)
	if err != nil {
		return nil, errors.New("the merged kubeconfig cannot be written down")
	}
	// Both through the same writer: what only the reader fills in is no change.
	same := false
	if old, err := clientcmd.Write(*before); err == nil {
		same = bytes.Equal(old, content)
	}
	return &Merged{Content: content, Changed: !same, Updated: updated, Server: cluster.Server,
		Current: after.CurrentContext}, nil
}

// onlyContext is the cluster and the user of the current context, or of the only one.
func onlyContext(content []byte) (*api.Cluster, *api.AuthInfo, error) {
	config, err := clientcmd.Load(content)
	if err != nil {
		return nil, nil, errors.New("what is in the Secret is not a kubeconfig")
	}
	name := config.CurrentContext
	if name == "" && len(config.Contexts) == 1 {
		name = slices.Collect(maps.Keys(config.Contexts))[0]
	}
	context := config.Contexts[name]
	if context == nil {
		return nil, nil, errors.New("the kubeconfig in the Secret has no current context")
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	switch {
	case cluster == nil || cluster.Server == "" || user == nil:
		return nil, nil, errors.New("the kubeconfig in the Secret has no server or no user")
	case user.Exec != nil || user.AuthProvider != nil:
		return nil, nil, errors.New("the kubeconfig in the Secret names a program to run, which EKS " +
			"Anywhere never does; it is not merged")
	case cluster.CertificateAuthority != "" || user.ClientCertificate != "" || user.ClientKey != "" ||
		user.TokenFile != "":
		// kubectl would send a token file's content to the server, whatever file it is.
		return nil, nil, errors.New("the kubeconfig in the Secret names files of this machine, which EKS " +
			"Anywhere never does; it is not merged")
	case cluster.InsecureSkipTLSVerify:
		return nil, nil, errors.New("the kubeconfig in the Secret turns the verification of the server " +
			"off, which EKS Anywhere never does; it is not merged")
	}
	return cluster, user, nil
}

// free makes sure that the names are unused, or used for the same server.
func free(config *api.Config, name, userName, server string) error {
	serverOf := func(context *api.Context) string {
		if cluster := config.Clusters[context.Cluster]; cluster != nil {
			return cluster.Server
		}
		return ""
	}
	if context, there := config.Contexts[name]; there && serverOf(context) != server {
		return &ContextTakenError{Kind: "context", Name: name, Server: serverOf(context)}
	}
	if cluster, there := config.Clusters[name]; there && cluster.Server != server {
		return &ContextTakenError{Kind: "cluster", Name: name, Server: cluster.Server}
	}
	if _, there := config.AuthInfos[userName]; !there {
		return nil
	}
	for _, context := range config.Contexts {
		if context.AuthInfo == userName && serverOf(context) != server {
			return &ContextTakenError{Kind: "user", Name: userName, Server: serverOf(context)}
		}
	}
	return nil
}
