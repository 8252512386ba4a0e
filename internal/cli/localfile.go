package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// localSpecPath is where the local copy of a cluster's spec is, below the working directory, as EKS Anywhere
// has it.
func localSpecPath(name string) string { return filepath.Join(name, name+"-eks-a-cluster.yaml") }

// besideSuffix is added to the name of a file that is the user's for what Git has. The name is none that `-f
// DIRECTORY` reads.
const besideSuffix = ".from-git"

// localFiles are the files in the working directory, and those that the user has named.
type localFiles struct{ sources []clusterspec.Source }

// isSource says whether a path leads to a file that the user has named.
func (l localFiles) isSource(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, source := range l.sources {
		if own, err := os.Stat(source.Name); err == nil && os.SameFile(info, own) {
			return true
		}
	}
	return false
}

// CheckCopy implements [gitops.LocalFiles].
func (l localFiles) CheckCopy(cluster string, content []byte) error {
	path := localSpecPath(cluster)
	if l.isSource(path) {
		return nil
	}
	seen, err := localfile.Look(path, clusterspec.MaxTotalSize)
	if err != nil && !errors.As(err, new(*localfile.TooLargeError)) {
		return err
	}
	if seen.There() && bytes.Equal(seen.Content(), content) {
		return nil
	}
	return localfile.Check(path)
}

// SaveCopy implements [gitops.LocalFiles]. The file that the user has named is left to --update-file.
func (l localFiles) SaveCopy(cluster string, content []byte,
	written func([]byte) bool) (gitops.LocalCopy, error) {
	path := localSpecPath(cluster)
	if err := localfile.Directory(cluster, 0o755); err != nil {
		return gitops.LocalCopy{}, err
	}
	named := l.isSource(path)
	ours := func(there []byte) bool { return !named && written(there) }
	saved, err := saveOver(path, content, ours)
	if err != nil || saved {
		return gitops.LocalCopy{Path: path}, err
	}
	if named {
		return gitops.LocalCopy{Kept: path}, nil
	}
	beside := path + besideSuffix
	if saved, err = saveOver(beside, content, written); err != nil || !saved {
		return gitops.LocalCopy{Kept: path}, err
	}
	return gitops.LocalCopy{Path: beside, Kept: path}, nil
}

// saveOver writes a file unless it holds something that is not ours, and says whether it has the content
// then.
func saveOver(path string, content []byte, ours func([]byte) bool) (bool, error) {
	seen, err := localfile.Look(path, clusterspec.MaxTotalSize)
	if errors.As(err, new(*localfile.TooLargeError)) {
		return false, nil
	}
	switch {
	case err != nil:
		return false, err
	case seen.There() && bytes.Equal(seen.Content(), content):
		return true, nil
	case seen.There() && !ours(seen.Content()):
		return false, nil
	}
	err = localfile.Replace(path, seen, content, false)
	if errors.As(err, new(*localfile.ChangedError)) {
		return false, nil // somebody is writing it
	}
	return err == nil, err
}

// CheckUpdate implements [gitops.LocalFiles].
func (localFiles) CheckUpdate(name string) error { return localfile.Check(name) }

// Update implements [gitops.LocalFiles].
func (localFiles) Update(file clusterspec.Source, was []byte) (bool, error) {
	err := localfile.Replace(file.Name, localfile.Held(was), file.Data, false)
	if errors.As(err, new(*localfile.ChangedError)) {
		return false, nil
	}
	return err == nil, err
}

// seenByOthers says whether others than its owner can read a file. Windows has no such modes.
func seenByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
}

// checkKubeconfigFile makes sure that a kubeconfig can be written to the file that the user has named.
func checkKubeconfigFile(path string) error {
	if err := localfile.Check(path); err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	if seenByOthers(path) {
		return &exposedError{path: path}
	}
	return nil
}

// writeKubeconfig writes a kubeconfig to the file that the user has named, and says whether that changed
// anything.
func writeKubeconfig(path string, content []byte, overwrite bool) (bool, error) {
	seen, err := localfile.Look(path, fluxinstall.MaxKubeconfig)
	if err != nil && !errors.As(err, new(*localfile.TooLargeError)) {
		return false, err
	}
	switch {
	case err != nil, len(seen.Content()) > 0 && !bytes.Equal(seen.Content(), content) && !overwrite:
		return false, &takenError{path: path}
	case seen.There() && bytes.Equal(seen.Content(), content):
		return false, nil
	}
	return true, localfile.Replace(path, seen, content, true)
}

// takenError says that a file holds something that would be lost.
type takenError struct{ path string }

func (e *takenError) Error() string {
	return e.path + " already contains something else, and was left as it is"
}
func (e *takenError) Hint() string {
	return "name another file, or replace what is there with --overwrite"
}

// exposedError says that credentials would go where others can read them.
type exposedError struct{ path string }

func (e *exposedError) Error() string {
	return fmt.Sprintf("others can read %s, and whoever has the kubeconfig administers the cluster", e.path)
}
func (e *exposedError) Hint() string { return text.Command("chmod 600 %s", e.path) }

// isAboutFile says whether an error is that a file could not be written where it was asked for, and was left
// as it is.
func isAboutFile(err error) bool {
	return errors.As(err, new(*localfile.KindError)) || errors.As(err, new(*localfile.DirectoryError)) ||
		errors.As(err, new(*localfile.OwnerError)) || errors.As(err, new(*localfile.ChangedError)) ||
		errors.As(err, new(*localfile.TooLargeError)) || errors.As(err, new(*takenError)) ||
		errors.As(err, new(*exposedError))
}
