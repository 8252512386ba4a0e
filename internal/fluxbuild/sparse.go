package fluxbuild

import (
	"path"
	"slices"
	"strings"
)

// Checkout is which part of a repository Flux's source-controller checks out: the spec.sparseCheckout of a
// GitRepository. Each entry is how the paths of files begin, and not a directory: clusters/dev is also the
// beginning of clusters/dev2 (go-git, Index.SkipUnless). Without an entry it is everything.
type Checkout []string

// prefix is an entry as source-controller gives it to go-git.
func prefix(entry string) string { return strings.TrimPrefix(entry, "./") }

// HasFile says whether a file is checked out.
func (c Checkout) HasFile(name string) bool {
	return len(c) == 0 || slices.ContainsFunc(c, func(entry string) bool {
		return strings.HasPrefix(name, prefix(entry))
	})
}

// HasDir says whether all of a directory is checked out.
func (c Checkout) HasDir(dir string) bool {
	if dir = path.Clean(dir); dir == "." {
		return c.HasFile("")
	}
	return c.HasFile(dir + "/")
}

// leadsTo says whether an entry is below a directory, so that a part of that is checked out.
func (c Checkout) leadsTo(dir string) bool {
	dir = path.Clean(dir)
	return slices.ContainsFunc(c, func(entry string) bool {
		return dir == "." || strings.HasPrefix(prefix(entry), dir+"/")
	})
}

// Of gives the files of a repository that are checked out.
func (c Checkout) Of(files Files) Files {
	if len(c) == 0 {
		return files
	}
	return sparse{files, c}
}

type sparse struct {
	Files
	checkout Checkout
}

// IsFile implements [kustomize.Source].
func (s sparse) IsFile(name string) bool { return s.checkout.HasFile(name) && s.Files.IsFile(name) }

// IsDir implements [kustomize.Source]. A directory of which nothing is checked out is not there.
func (s sparse) IsDir(name string) bool {
	switch {
	case s.checkout.HasDir(name):
		return s.Files.IsDir(name)
	case s.checkout.leadsTo(name):
		return len(s.List(name)) > 0
	}
	return false
}

// List implements [Files].
func (s sparse) List(dir string) []string {
	if s.checkout.HasDir(dir) {
		return s.Files.List(dir)
	}
	if !s.checkout.leadsTo(dir) {
		return nil
	}
	var names []string
	for _, name := range s.Files.List(dir) {
		child := path.Join(dir, name)
		// What is neither, a link or a submodule, is left to whoever lists it.
		if s.checkout.HasFile(child) || s.checkout.leadsTo(child) && s.IsDir(child) {
			names = append(names, name)
		}
	}
	return names
}
