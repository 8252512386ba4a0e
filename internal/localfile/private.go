package localfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Private is a directory of the run's own, among the system's temporary files, that nobody else can look
// into. What is in it goes with it.
type Private struct{ dir string }

// NewPrivate makes one. The caller removes it.
func NewPrivate() (*Private, error) {
	dir, err := os.MkdirTemp("", "eksa-gitops-")
	if err != nil {
		return nil, err
	}
	// A temporary directory may be reached through a link (as on macOS).
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Private{dir: resolved}, nil
}

// Keep puts content into a new file that only this user can read, and returns its path. dir is where, the
// system's place for such files when it is empty; of pattern the last * becomes what makes the name unique.
// The file stays.
func Keep(dir, pattern string, content []byte) (string, error) {
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	return file.Name(), errors.Join(err, file.Close())
}

// Dir is its path.
func (p *Private) Dir() string { return p.dir }

// Write makes a file in it and returns its path.
func (p *Private) Write(name string, content []byte) (string, error) {
	path := filepath.Join(p.dir, name)
	return path, os.WriteFile(path, content, 0o600)
}

// CopyFS copies files into it.
func (p *Private) CopyFS(files fs.FS) error { return os.CopyFS(p.dir, files) }

// Remove takes the directory away with all that is in it. It may be repeated.
func (p *Private) Remove() error { return os.RemoveAll(p.dir) }
