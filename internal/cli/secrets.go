package cli

import (
	"context"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// environmentSecrets are the secrets in the variables that a run looks at: whatever quotes them, they are not
// shown.
func environmentSecrets(lookupEnv func(string) (string, bool)) []string {
	var found []string
	for _, name := range secretVariables {
		if value, ok := lookupEnv(name); ok {
			found = append(found, value)
		}
	}
	for _, kind := range proxyVariables {
		for _, name := range kind.names {
			if value, ok := lookupEnv(name); ok {
				found = append(found, redact.AddressSecrets(value)...)
			}
		}
	}
	return found
}

// readFiles reads cluster files, and remembers what in them is not to be shown.
func (d *deps) readFiles(ctx context.Context, files []string) ([]clusterspec.Source, error) {
	sources, err := clusterspec.ReadPaths(ctx, files, d.streams.In)
	for _, source := range sources {
		d.redactor.Know(clusterspec.Secrets(source.Data)...)
	}
	return sources, err
}

// diff is the difference of a file as it may be shown. That a secret changes is seen in it, the secret is
// not.
func (d *deps) diff(path string, before, after []byte) string {
	d.redactor.Know(clusterspec.Secrets(before)...)
	d.redactor.Know(clusterspec.Secrets(after)...)
	return d.redactor.Source(ui.Diff(path, before, after))
}
