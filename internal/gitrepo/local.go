package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Local is a repository on this machine with its work tree. It is only read. Its methods may be called at the
// same time. Close it when it is not needed any more.
type Local struct {
	root    string // the work tree
	gitDir  string // what belongs to this work tree alone: HEAD, the index
	common  string // what all work trees share: objects, references, the configuration
	config  *config.Config
	mu      sync.Mutex // go-git's storage is not made for several users at a time
	storage *filesystem.Storage
	shallow map[plumbing.Hash]bool
}

// OpenLocal finds the repository whose work tree dir is, or is in, as git would: upwards from dir. Linked
// work trees and submodules are repositories of their own. The error is *NoRepositoryError when there is
// none, and *FormatError when it is of a kind that cannot be read.
func OpenLocal(dir string) (*Local, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for root := start; ; root = filepath.Dir(root) {
		gitDir, err := gitDirOf(root)
		if err != nil {
			return nil, fmt.Errorf("opening the Git repository in %s: %w", root, err)
		}
		if gitDir != "" {
			return openLocal(root, gitDir)
		}
		if filepath.Dir(root) == root {
			return nil, &NoRepositoryError{Dir: start}
		}
	}
}

// gitDirOf is the repository of a work tree with this root, or empty when it is not the root of one.
func gitDirOf(root string) (string, error) {
	path := filepath.Join(root, ".git")
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.IsDir():
		if _, err := os.Stat(filepath.Join(path, "HEAD")); err != nil {
			return "", nil // git, too, walks past a .git that holds no repository
		}
		return path, nil
	}
	content, err := localfile.ReadRegular(path, maxGitFile)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimRight(string(content), "\r\n"), "gitdir: ")
	if !ok {
		return "", errors.New(".git is a file that does not name a repository")
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(root, target)
	}
	if _, err := os.Stat(filepath.Join(target, "HEAD")); err != nil {
		return "", fmt.Errorf(".git names %s, which is not a repository", target)
	}
	return target, nil
}

func openLocal(root, gitDir string) (*Local, error) {
	l := &Local{root: root, gitDir: gitDir, common: gitDir, shallow: map[plumbing.Hash]bool{}}
	if content, err := localfile.ReadRegular(filepath.Join(gitDir, "commondir"), maxGitFile); err == nil {
		l.common = strings.TrimRight(string(content), "\r\n")
		if !filepath.IsAbs(l.common) {
			l.common = filepath.Join(gitDir, l.common)
		}
	}
	l.config = readConfig(filepath.Join(l.common, "config"))
	if err := l.checkFormat(); err != nil {
		return nil, err
	}
	var files billy.Filesystem = osfs.New(gitDir, osfs.WithBoundOS())
	if l.common != gitDir {
		files = dotgit.NewRepositoryFilesystem(files, osfs.New(l.common, osfs.WithBoundOS()))
	}
	l.storage = filesystem.NewStorageWithOptions(files, cache.NewObjectLRUDefault(), filesystem.Options{
		KeepDescriptors: true,
		// What git clone --shared and --reference leave with another repository.
		AlternatesFS: osfs.New("/", osfs.WithBoundOS()),
	})
	shallow, err := l.storage.Shallow()
	if err != nil {
		return nil, fmt.Errorf("opening the Git repository in %s: %w", root, err)
	}
	for _, hash := range shallow {
		l.shallow[hash] = true
	}
	return l, nil
}

// checkFormat refuses what would be misread. go-git's own check is stricter: it refuses partial clones and
// sparse work trees, too.
func (l *Local) checkFormat() error {
	extensions := l.config.Section("extensions")
	if format := extensions.Option("objectFormat"); format != "" && !strings.EqualFold(format, "sha1") {
		return &FormatError{Root: l.root, What: "it names its objects by " + format,
			next: "only SHA-1 repositories can be read"}
	}
	if format := extensions.Option("refStorage"); format != "" && !strings.EqualFold(format, "files") {
		return &FormatError{Root: l.root, What: "it keeps its references as " + format,
			next: "git refs migrate --ref-format=files makes them readable"}
	}
	return nil
}

// Root is the work tree's directory, absolute.
func (l *Local) Root() string { return l.root }

// IsShallow says whether the history ends before its beginning.
func (l *Local) IsShallow() bool { return len(l.shallow) > 0 }

// Close gives back what is open.
func (l *Local) Close() error { return l.storage.Close() }

// partial says whether git fetches objects only when it needs them.
func (l *Local) partial() bool {
	if l.config.Section("extensions").Option("partialClone") != "" {
		return true
	}
	for _, remote := range l.config.Section("remote").Subsections {
		if strings.EqualFold(remote.Option("promisor"), "true") {
			return true
		}
	}
	return false
}

// object reads an object. The error wraps plumbing.ErrObjectNotFound when it is not there.
func (l *Local) object(t plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	encoded, err := l.storage.EncodedObject(t, hash)
	if err != nil {
		return nil, err
	}
	if encoded.Size() > maxLocalFile {
		return nil, &git.LimitError{Remote: l.root, What: "object " + hash.String(), Limit: maxLocalFile}
	}
	reader, err := encoded.Reader()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(reader)
	return content, errors.Join(err, reader.Close())
}

// NoRepositoryError says that a directory is in no Git work tree.
type NoRepositoryError struct{ Dir string }

func (e *NoRepositoryError) Error() string { return e.Dir + " is not in a Git work tree" }

// Hint is the next action.
func (e *NoRepositoryError) Hint() string {
	return "go into a clone of the repository, or leave out the comparison with another revision"
}

// FormatError says that a repository on this machine is of a form that cannot be read.
type FormatError struct {
	Root string
	What string
	next string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("the Git repository in %s cannot be read: %s", e.Root, e.What)
}

// Hint is the next action.
func (e *FormatError) Hint() string { return e.next }

// RevisionError says that a name of a commit cannot be resolved.
type RevisionError struct {
	Revision string
	Reason   string
	next     string
}

func (e *RevisionError) Error() string { return fmt.Sprintf("revision %q: %s", e.Revision, e.Reason) }

// Hint is the next action.
func (e *RevisionError) Hint() string { return e.next }

// MissingObjectError says that a part of a commit is not on this machine.
type MissingObjectError struct {
	Revision string
	What     string
	next     string
}

func (e *MissingObjectError) Error() string {
	return fmt.Sprintf("revision %q: %s is not in this clone", e.Revision, e.What)
}

// Hint is the next action.
func (e *MissingObjectError) Hint() string { return e.next }
