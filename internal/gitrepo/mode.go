package gitrepo

import (
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// modeOf maps git's modes, old forms included.
func modeOf(m filemode.FileMode) (git.Mode, bool) {
	switch m {
	case filemode.Regular, filemode.Deprecated:
		return git.File, true
	case filemode.Executable:
		return git.Executable, true
	case filemode.Dir:
		return git.Dir, true
	case filemode.Symlink:
		return git.Symlink, true
	case filemode.Submodule:
		return git.Submodule, true
	}
	return 0, false
}
