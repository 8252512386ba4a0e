package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// saveLocalSpec writes NAME/NAME-eks-a-cluster.yaml below the working directory, where EKS Anywhere keeps it, and says whether that
// changed anything.
func saveLocalSpec(name string, content []byte) (path string, changed bool, err error) {
	root, err := os.OpenRoot(".")
	if err != nil {
		return "", false, err
	}
	defer root.Close()
	path = localSpecPath(name)
	if before, err := root.ReadFile(path); err == nil && bytes.Equal(before, content) {
		return path, false, nil
	}
	if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", false, err
	}
	return path, true, replaceFile(root, path, content, 0o644)
}

// localSpecPath is where the local copy of a cluster's spec is.
func localSpecPath(name string) string { return filepath.Join(name, name+"-eks-a-cluster.yaml") }

// writeFile replaces the file at path, which may be anywhere, in one step.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	return replaceFile(root, filepath.Base(path), content, mode)
}

// replaceFile writes content beside path and renames it into place, so that no reader and no crash ever sees half a file. A symbolic
// link at path is replaced, not followed.
func replaceFile(root *os.Root, path string, content []byte, mode fs.FileMode) error {
	temporary := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = root.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temporary))
	}
	return nil
}
