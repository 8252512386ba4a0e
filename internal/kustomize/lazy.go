package kustomize

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Source gives the files of a repository one by one, by their slash paths from its root; the root itself is
// ".".
type Source interface {
	// IsDir and IsFile say what is at a path; links and submodules are neither.
	IsDir(name string) bool
	IsFile(name string) bool
	Read(name string) ([]byte, error)
}

// RemoteError says that a kustomization names something outside the repository, which is not fetched.
type RemoteError struct {
	File  string // the kustomization
	Entry string
}

// Error names the file and the entry.
func (e *RemoteError) Error() string {
	return e.File + " takes " + e.Entry + " from elsewhere, which is not looked at"
}

// BuildFrom builds the directory dir of a source, of which it reads what it needs, under the bounds AllFiles.
// With edit, the kustomization of dir is what edit makes of it. Nothing is fetched: what a kustomization
// takes from elsewhere is a *RemoteError. With a kustomization that has deprecated fields it does as [Build].
//
// The objects carry where they are from; see resource.GetOrigin.
func BuildFrom(source Source, dir string, edit func(*types.Kustomization)) (resmap.ResMap, error) {
	lazy := &lazyFiles{FileSystem: filesys.MakeFsInMemory(), source: source, dir: path.Clean(dir), edit: edit}
	renewed := &renewing{FileSystem: lazy}
	built, err := build(renewed, "/"+dir, AllFiles)
	switch {
	case lazy.failed != nil:
		return nil, lazy.failed
	case renewed.unsupported != nil:
		return nil, renewed.unsupported
	}
	return built, err
}

// lazyFiles brings files into memory when kustomize asks for them.
type lazyFiles struct {
	filesys.FileSystem
	source Source
	dir    string
	edit   func(*types.Kustomization)
	failed error // why a file could not be had
}

// bring has what is at a path in memory, if there is something.
func (l *lazyFiles) bring(name string) {
	if l.FileSystem.Exists(name) {
		return
	}
	inRepository := path.Clean(strings.TrimPrefix(name, "/"))
	switch {
	case inRepository == "." || l.source.IsDir(inRepository):
		_ = l.MkdirAll(name) // in memory nothing fails
	case l.source.IsFile(inRepository):
		content, err := l.source.Read(inRepository)
		if err != nil {
			l.fail(err)
			return
		}
		_ = l.WriteFile(name, l.prepared(inRepository, content))
	}
}

func (l *lazyFiles) fail(err error) {
	if l.failed == nil {
		l.failed = err
	}
}

// prepared is a file as kustomize gets to see it.
func (l *lazyFiles) prepared(name string, content []byte) []byte {
	if !slices.Contains(FileNames, path.Base(name)) {
		return content
	}
	var k types.Kustomization
	if k.Unmarshal(content) != nil {
		return content // kustomize says what is wrong
	}
	for _, entry := range remoteEntries(&k) {
		l.fail(&RemoteError{File: name, Entry: entry})
	}
	if path.Dir(name) != l.dir {
		return content
	}
	if l.edit != nil {
		l.edit(&k)
	}
	k.BuildMetadata = append(k.BuildMetadata, types.OriginAnnotations)
	edited, err := yaml.Marshal(k)
	if err != nil {
		return content
	}
	return edited
}

// remoteEntries are what a kustomization takes from elsewhere.
func remoteEntries(k *types.Kustomization) []string {
	//lint:ignore SA1019 still in repositories
	bases := k.Bases
	var found []string
	for _, lists := range [][]string{k.Resources, k.Components, bases, k.Crds, k.Generators, k.Transformers,
		k.Validators} {
		for _, entry := range lists {
			// generators may be written out in the list
			if inPlace := strings.ContainsAny(entry, "\n{"); !inPlace && IsRemote(entry) {
				found = append(found, entry)
			}
		}
	}
	for range k.HelmCharts {
		found = append(found, "a Helm chart")
	}
	return found
}

// IsRemote says whether kustomize would fetch an entry from elsewhere.
func IsRemote(entry string) bool {
	if strings.Contains(entry, "://") || strings.HasPrefix(entry, "git@") ||
		strings.HasPrefix(entry, "git::") || strings.Contains(entry, "?ref=") ||
		strings.Contains(entry, ".git//") {
		return true
	}
	host, _, _ := strings.Cut(entry, "/")
	return host == "github.com" || host == "gitlab.com" || host == "bitbucket.org" ||
		strings.HasPrefix(entry, "github.com:")
}

// Exists implements filesys.FileSystem.
func (l *lazyFiles) Exists(name string) bool {
	l.bring(name)
	return l.FileSystem.Exists(name)
}

// IsDir implements filesys.FileSystem.
func (l *lazyFiles) IsDir(name string) bool {
	l.bring(name)
	return l.FileSystem.IsDir(name)
}

// ReadFile implements filesys.FileSystem.
func (l *lazyFiles) ReadFile(name string) ([]byte, error) {
	l.bring(name)
	return l.FileSystem.ReadFile(name)
}

// CleanedAbs implements filesys.FileSystem.
func (l *lazyFiles) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	l.bring(name)
	return l.FileSystem.CleanedAbs(name)
}
