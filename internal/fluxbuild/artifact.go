package fluxbuild

import (
	"bytes"
	"path"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// IgnoreFile is what source-controller reads to leave files out.
const IgnoreFile = sourceignore.IgnoreFile

// Artifact is what Flux's source-controller makes of a repository: its files without those that the
// controller leaves out by itself (images, archives, files of continuous integration and of Git) and by
// .sourceignore files. ignore are further patterns, those of spec.ignore.
func Artifact(files Files, ignore string) Files {
	return &artifact{Files: files, own: sourceignore.ReadPatterns(strings.NewReader(ignore), nil),
		dirs: map[string]*ignoredDir{}}
}

type artifact struct {
	Files
	own  []gitignore.Pattern
	dirs map[string]*ignoredDir
}

// ignoredDir is what is left out of a directory.
type ignoredDir struct {
	whole    bool // it is left out itself
	patterns []gitignore.Pattern
	matcher  gitignore.Matcher
}

// dir reads the patterns that hold in a directory: its own and those above.
func (a *artifact) dir(name string) *ignoredDir {
	if known := a.dirs[name]; known != nil {
		return known
	}
	d := &ignoredDir{}
	var domain []string
	if name != "." {
		above := a.dir(path.Dir(name))
		domain = strings.Split(name, "/")
		d.whole = above.whole || above.matcher.Match(domain, true)
		d.patterns = above.patterns[:len(above.patterns):len(above.patterns)]
	}
	a.dirs[name] = d
	if file := path.Join(name, IgnoreFile); !d.whole && a.Files.IsFile(file) {
		if content, err := a.Files.Read(file); err == nil {
			d.patterns = append(d.patterns, sourceignore.ReadPatterns(bytes.NewReader(content), domain)...)
		}
	}
	d.matcher = sourceignore.NewDefaultMatcher(append(d.patterns[:len(d.patterns):len(d.patterns)], a.own...),
		nil)
	return d
}

// leavesOut says whether a path is not in the artifact.
func (a *artifact) leavesOut(name string, isDir bool) bool {
	if name == "." {
		return false
	}
	d := a.dir(path.Dir(name))
	return d.whole || d.matcher.Match(strings.Split(name, "/"), isDir)
}

// IsFile implements [kustomize.Source].
func (a *artifact) IsFile(name string) bool { return a.Files.IsFile(name) && !a.leavesOut(name, false) }

// IsDir implements [kustomize.Source].
func (a *artifact) IsDir(name string) bool { return a.Files.IsDir(name) && !a.leavesOut(name, true) }

// List implements [Files].
func (a *artifact) List(dir string) []string {
	var names []string
	for _, name := range a.Files.List(dir) {
		child := path.Join(dir, name)
		if !a.leavesOut(child, a.Files.IsDir(child)) {
			names = append(names, name)
		}
	}
	return names
}
