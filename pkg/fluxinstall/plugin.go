package fluxinstall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// CredentialsError says that the program which a kubeconfig names as the source of its user's credentials
// (users[].user.exec, a credential plugin) has given none:
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins.
type CredentialsError struct {
	Plugin, Origin string
	Waiting        bool   // it has not ended
	Missing        bool   // there is no such program
	Install        string // how to install it when it is missing, in the kubeconfig's words; may be empty
	Err            error  // of the plugin, or of the context while it is waited for
}

// Error names the plugin and what became of it.
func (e *CredentialsError) Error() string {
	if e.Waiting {
		return fmt.Sprintf("the credential plugin %s of the kubeconfig (from %s) has not given credentials "+
			"yet", e.Plugin, e.Origin)
	}
	return fmt.Sprintf("the credential plugin %s of the kubeconfig (from %s) returned no credentials: %v",
		e.Plugin, e.Origin, e.Err)
}

// Unwrap returns the cause.
func (e *CredentialsError) Unwrap() error { return e.Err }

// Hint says how to see what the plugin wants.
func (e *CredentialsError) Hint() string {
	switch {
	case e.Install != "":
		return e.Install
	case e.Missing:
		return "install " + e.Plugin + ", or put it on PATH"
	default:
		return "see what it needs with: kubectl get --raw /readyz, with the same kubeconfig; a login may " +
			"have expired"
	}
}

// pluginTransport is the outermost transport where a credential plugin is in use. The client library runs the
// plugin inside a request, and heeds neither the request's context nor any time limit until it has ended,
// which, when it waits for a person, it may never.
type pluginTransport struct {
	next    http.RoundTripper
	plugin  *clientcmdapi.ExecConfig
	origin  string
	contact *contact
}

// passedKey finds, in the context of a request, the mark that the request has its credentials.
type passedKey struct{}

// passed marks a request that has come past the credential plugin.
func passed(ctx context.Context) {
	if mark, ok := ctx.Value(passedKey{}).(*atomic.Bool); ok {
		mark.Store(true)
	}
}

// RoundTrip implements http.RoundTripper. A plugin that is left behind ends when it likes.
func (t *pluginTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	type answer struct {
		response *http.Response
		err      error
	}
	mark := &atomic.Bool{}
	request = request.WithContext(context.WithValue(request.Context(), passedKey{}, mark))
	answers := crash.Go(func() answer {
		response, err := t.next.RoundTrip(request) // whoever takes the answer closes it
		return answer{response, err}
	})
	slow := time.NewTimer(silentFor)
	defer slow.Stop()
	for {
		select {
		case given := <-answers:
			a := given.Value()
			if a.err != nil && !mark.Load() {
				return nil, t.failed(a.err)
			}
			return a.response, a.err
		case <-slow.C:
			if !mark.Load() {
				t.contact.tell(t.waiting(nil), silentFor)
			}
		case <-request.Context().Done():
			crash.Loose(request.Context(), func() {
				given := <-answers
				if a := given.Value(); a.err == nil {
					a.response.Body.Close()
				}
			})
			if mark.Load() {
				return nil, request.Context().Err()
			}
			return nil, t.waiting(request.Context().Err())
		}
	}
}

func (t *pluginTransport) waiting(err error) error {
	return &CredentialsError{Plugin: t.plugin.Command, Origin: t.origin, Waiting: true, Err: err}
}

// failed is the error of a plugin that has ended. Of the library's words, which tell what a plugin is, too,
// the first line is about it.
func (t *pluginTransport) failed(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	for _, prefix := range []string{"getting credentials: ", "exec: ",
		"executable " + t.plugin.Command + " "} {
		line = strings.TrimPrefix(line, prefix)
	}
	failed := &CredentialsError{Plugin: t.plugin.Command, Origin: t.origin, Err: errors.New(line)}
	if line == "not found" {
		failed.Missing, failed.Install, failed.Err = true, strings.TrimSpace(t.plugin.InstallHint),
			errors.New("there is no such program on PATH")
	}
	return failed
}
