package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// How long another program may hold the lock of a kubeconfig.
const (
	lockWait  = 5 * time.Second
	lockRetry = 50 * time.Millisecond
)

// backupSuffix is added to the name of a kubeconfig for its state before the last merge.
const backupSuffix = ".eksa-gitops.bak"

// mergeKubeconfig merges a cluster's kubeconfig into the user's, in one step, and keeps what was there before in a file beside it.
func mergeKubeconfig(ctx context.Context, d *deps, o *getKubeconfigOptions, kubeconfig secret.Value) error {
	path, err := userKubeconfig(d)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("merging into the kubeconfig: %w", err)
	}
	// The file that a link leads to is changed, not the link.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the kubeconfig to merge into: %w", err)
	}
	name := o.contextName
	if name == "" {
		name = o.name
	}
	merged, err := fluxinstall.MergeKubeconfig(before, kubeconfig, fluxinstall.MergeOptions{Context: name, Overwrite: o.overwrite, SetCurrent: o.setCurrent})
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
		kept = "; what it was before is in " + path + backupSuffix
		if err := writeFile(path+backupSuffix, before, 0o600); err != nil {
			return fmt.Errorf("keeping a copy of the kubeconfig: %w", err)
		}
	}
	if err := writeFile(path, merged.Content, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	did := "added context " + name + " to"
	if merged.Updated {
		did = "updated context " + name + " in"
	}
	printLines(d.streams.Err, "info", fmt.Sprintf("%s %s%s; %s", did, path, kept, use))
	return nil
}

// userKubeconfig is the file that kubectl would write to: KUBECONFIG's first, else the one in the home directory.
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

// lockFile takes the lock that kubectl takes too: a file that exists while somebody writes.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	until := time.Now().Add(lockWait)
	for {
		lock, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			// What cannot be closed or removed is found by the next one to lock, who names it.
			_ = lock.Close()
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("locking the kubeconfig: %w", err)
		}
		if time.Now().After(until) {
			return nil, &lockedError{path: path}
		}
		timer := time.NewTimer(lockRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// lockedError says that another program writes the kubeconfig, or ended while it did.
type lockedError struct{ path string }

func (e *lockedError) Error() string { return "the kubeconfig is locked: " + e.path + " exists" }
func (e *lockedError) Hint() string {
	return text.Command("another kubectl or eksa-gitops is writing it; when none is, remove the lock: rm %s", e.path)
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
