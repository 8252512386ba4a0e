package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// backupSuffix is added to the name of a kubeconfig for its state before a merge, with a number when there is
// another backup already.
const backupSuffix = ".eksa-gitops.bak"

// mergeKubeconfig merges a cluster's kubeconfig into the user's, in one step, and keeps what was there before
// in a file beside it.
func mergeKubeconfig(ctx context.Context, d *deps, o *getKubeconfigOptions, path string,
	kubeconfig secret.Value) error {
	if err := localfile.Directory(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("merging into the kubeconfig: %w", err)
	}
	// The file that a link leads to is changed, not the link.
	path, err := localfile.Target(path)
	if err != nil {
		return fmt.Errorf("merging into the kubeconfig: %w", err)
	}
	unlock, err := localfile.Lock(ctx, path+".lock")
	if errors.As(err, new(*localfile.LockedError)) {
		return fmt.Errorf("the kubeconfig is %w", err)
	}
	if err != nil {
		return fmt.Errorf("locking the kubeconfig: %w", err)
	}
	defer unlock()
	seen, err := localfile.Look(path, fluxinstall.MaxKubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig to merge into: %w", err)
	}
	before := seen.Content()
	name := o.contextName
	if name == "" {
		name = o.name
	}
	merged, err := fluxinstall.MergeKubeconfig(before, kubeconfig,
		fluxinstall.MergeOptions{Context: name, Overwrite: o.overwrite, SetCurrent: o.setCurrent})
	if taken, ok := errors.AsType[*fluxinstall.ContextTakenError](err); ok {
		return &contextTakenError{file: path, cause: taken}
	}
	if err != nil {
		return fmt.Errorf("merging the kubeconfig of %s into %s: %w", o.name, path, err)
	}
	use := text.Command("use it with: kubectl --context %s get nodes", name)
	if merged.Current == name {
		use = "it is the current context"
	}
	if !merged.Changed {
		printLines(d.streams.Err, "info", fmt.Sprintf("context %s in %s is up to date; %s", name, path, use))
		return nil
	}
	kept := ""
	if len(before) > 0 {
		backup, err := localfile.Beside(path, backupSuffix, before)
		if err != nil {
			return fmt.Errorf("keeping a copy of the kubeconfig: %w", err)
		}
		kept = "; what it was before is in " + backup
	}
	if err := localfile.Replace(path, seen, merged.Content, true); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	did := "added context " + name + " to"
	if merged.Updated {
		did = "updated context " + name + " in"
	}
	printLines(d.streams.Err, "info", fmt.Sprintf("%s %s%s; %s", did, path, kept, use))
	if seenByOthers(path) {
		printLines(d.streams.Err, "warning",
			"others can read "+path+", as before; "+text.Command("for its owner alone: chmod 600 %s", path))
	}
	return nil
}

// userKubeconfig is the file that kubectl would write to: KUBECONFIG's first, else the one in the home
// directory.
func userKubeconfig(d *deps) (string, error) {
	for _, path := range filepath.SplitList(d.getenv("KUBECONFIG")) {
		if path != "" {
			return filepath.Abs(path)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usagef("--merge: neither KUBECONFIG nor a home directory is set: %w", err)
	}
	return filepath.Join(home, ".kube", "config"), nil
}

// contextTakenError says that a merge would replace something else.
type contextTakenError struct {
	file  string
	cause *fluxinstall.ContextTakenError
}

func (e *contextTakenError) Error() string { return e.file + ": " + e.cause.Error() }
func (e *contextTakenError) Unwrap() error { return e.cause }
func (e *contextTakenError) Hint() string {
	return "choose another name with --context-name, or replace what is there with --overwrite"
}
