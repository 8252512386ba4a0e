package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/format/index"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// LocalTree is a state of a local repository: what is in it, by slash path relative to the root, without
// directories.
type LocalTree map[string]*LocalFile

// LocalFile is a file of a local repository, or a symbolic link or submodule in the place of one.
type LocalFile struct {
	Mode git.Mode
	// Ignored is set for what lies in the work tree and git leaves out: a file, or a whole directory, which
	// is then one entry.
	Ignored bool
	// Filter is the git filter, such as lfs, that makes what is committed of a file of the work tree another
	// content; empty for none.
	Filter string

	disk     string // the path on disk, for the work tree
	local    *Local
	path     string // in the repository
	revision string // the commit that it is of, for errors
	hash     plumbing.Hash
}

// maxLocalFile is more than any file that is read for what is in it has.
const maxLocalFile = 64 << 20

// Read returns the file's content; a *LimitError for one of more than 64 MB.
func (f *LocalFile) Read() ([]byte, error) {
	if f.disk != "" {
		content, err := localfile.ReadRegular(f.disk, maxLocalFile)
		if errors.As(err, new(*localfile.TooLargeError)) {
			return nil, &git.LimitError{Remote: f.disk, What: "the file", Limit: maxLocalFile}
		}
		return content, err
	}
	content, err := f.local.object(plumbing.BlobObject, f.hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, f.local.missing(f.revision, "file "+f.path)
	}
	return content, err
}

// Holds says whether the file has exactly this content. For a file of a commit names of objects are compared
// and nothing is read.
func (f *LocalFile) Holds(content []byte) bool {
	if f.disk != "" {
		there, err := localfile.ReadRegular(f.disk, maxLocalFile)
		return err == nil && bytes.Equal(there, content)
	}
	return pack.HashObject(pack.NewHash(), plumbing.BlobObject, content) == f.hash
}

// missing explains an object that should be there.
func (l *Local) missing(revision, what string) error {
	e := &MissingObjectError{Revision: revision, What: what, next: "the repository is damaged; see git fsck"}
	if l.partial() {
		e.next = text.Command("the clone is a partial one; git diff %s fetches what is missing", revision)
	}
	return e
}

// Tree lists the files of a commit. Their contents are read when they are asked for.
func (l *Local) Tree(ctx context.Context, revision LocalCommit) (LocalTree, error) {
	c, err := l.commit(revision.hash)
	if err != nil {
		return nil, l.absent(revision.Name, revision.hash, err)
	}
	out := LocalTree{}
	w := &treeWalk{ctx: ctx, sizes: map[plumbing.Hash]measured{},
		read: func(dir plumbing.Hash, path string) ([]byte, error) {
			return l.directory(revision, dir, path)
		}}
	if err := w.check(c.TreeHash, ""); err != nil {
		return nil, l.walkError(revision, err)
	}
	err = w.each(c.TreeHash, "", func(e treeEntry, path string) error {
		if mode, known := modeOf(e.mode); known && mode != git.Dir {
			out[path] = &LocalFile{Mode: mode, local: l, path: path, revision: revision.Name, hash: e.hash}
		}
		return nil
	})
	return out, l.walkError(revision, err)
}

// walkError names the commit in what is wrong with its directories.
func (l *Local) walkError(revision LocalCommit, err error) error {
	if errors.Is(err, pack.ErrDamaged) {
		return fmt.Errorf("reading the directories of %s: %w", revision.Name, err)
	}
	return err
}

// directory reads a directory of a commit.
func (l *Local) directory(revision LocalCommit, dir plumbing.Hash, path string) ([]byte, error) {
	tree, err := l.object(plumbing.TreeObject, dir)
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound) && dir.String() == emptyTree:
		return nil, nil
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, l.missing(revision.Name, "directory "+orRoot(path))
	case err != nil:
		return nil, fmt.Errorf("reading directory %s of %s: %w", orRoot(path), revision.Name, err)
	}
	return tree, nil
}

func orRoot(prefix string) string {
	if prefix == "" {
		return "/"
	}
	return strings.TrimSuffix(prefix, "/")
}

// WorkTree lists the files of the work tree as they are on disk: those that `git add --all` would put into
// the next commit, in other words without what git ignores and does not track; that is marked as ignored.
// What a sparse work tree leaves out comes from the index.
func (l *Local) WorkTree(ctx context.Context) (LocalTree, error) {
	l.mu.Lock()
	staged, err := l.storage.Index()
	l.mu.Unlock()
	if err != nil {
		return nil,
			&FormatError{Root: l.root, What: "the form of its index is not understood (" + err.Error() + ")",
				next: "git sparse-checkout reapply --no-sparse-index, or git update-index --index-version 2"}
	}
	w := workTreeWalk{local: l, tracked: make(map[string]*index.Entry, len(staged.Entries)),
		dirs: map[string]bool{}, out: LocalTree{}}
	w.attributes = readAttributes(filepath.Join(l.common, "info", "attributes"), "")
	for _, entry := range staged.Entries {
		w.tracked[entry.Name] = entry
		for dir := path.Dir(entry.Name); dir != "." && !w.dirs[dir]; dir = path.Dir(dir) {
			w.dirs[dir] = true
		}
	}
	if err := w.walk(ctx, "", inherited{patterns: l.excludes()}); err != nil {
		return nil, fmt.Errorf("reading the work tree: %w", err)
	}
	for name, entry := range w.tracked {
		if mode, known := modeOf(entry.Mode); known && entry.SkipWorktree && w.out[name] == nil {
			w.out[name] = &LocalFile{Mode: mode, local: l, path: name, revision: "HEAD", hash: entry.Hash}
		}
	}
	return w.out, nil
}

// ReadDirectory lists the files below a directory that is in no repository, with the same modes.
func ReadDirectory(ctx context.Context, dir string) (LocalTree, error) {
	w := workTreeWalk{local: &Local{root: dir}, out: LocalTree{}}
	if err := w.walk(ctx, "", inherited{}); err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	return w.out, nil
}

type workTreeWalk struct {
	local   *Local
	tracked map[string]*index.Entry // what is in the index
	dirs    map[string]bool         // the directories of that
	// attributes are those of the clone itself, which come before all others.
	attributes attributes
	out        LocalTree
	seen       int
}

// inherited is what holds in a directory because of those above it.
type inherited struct {
	patterns   []gitignore.Pattern
	ignored    bool // the directory is
	attributes attributes
}

// walk lists a directory. In an ignored one only what is tracked counts.
func (w *workTreeWalk) walk(ctx context.Context, dir string, from inherited) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	entries, err := os.ReadDir(filepath.Join(w.local.root, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if w.local.storage == nil || !entry.Type().IsRegular() {
			continue
		}
		switch file := filepath.Join(w.local.root, filepath.FromSlash(dir), entry.Name()); entry.Name() {
		case ".gitignore":
			from.patterns = append(from.patterns[:len(from.patterns):len(from.patterns)],
				readIgnoreFile(file, dir)...)
		case attributesFile:
			from.attributes = append(from.attributes[:len(from.attributes):len(from.attributes)],
				readAttributes(file, dir)...)
		}
	}
	var matcher gitignore.Matcher
	if len(from.patterns) > 0 {
		matcher = gitignore.NewMatcher(from.patterns)
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if entry.Name() == ".git" {
			continue
		}
		below := from
		below.ignored = from.ignored ||
			matcher != nil && matcher.Match(strings.Split(name, "/"), entry.IsDir())
		if err := w.visit(ctx, name, entry, below); err != nil {
			return err
		}
	}
	return nil
}

func (w *workTreeWalk) visit(ctx context.Context, name string, entry fs.DirEntry, from inherited) error {
	if w.seen++; w.seen > maxTreeEntries {
		return &git.TreeLimitError{Dir: orRoot(w.largest()), What: "files and directories",
			Limit: maxTreeEntries}
	}
	disk := filepath.Join(w.local.root, filepath.FromSlash(name))
	staged, ignored := w.tracked[name], from.ignored
	switch {
	case entry.IsDir() && (staged != nil && staged.Mode == filemode.Submodule || isRepository(disk)):
		w.out[name] = &LocalFile{Mode: git.Submodule, Ignored: ignored && staged == nil, local: w.local}
	case entry.IsDir() && ignored && !w.dirs[name]:
		w.out[name] = &LocalFile{Mode: git.Dir, Ignored: true, local: w.local}
	case entry.IsDir():
		return w.walk(ctx, name, from)
	case entry.Type()&fs.ModeSymlink != 0,
		staged != nil && staged.Mode == filemode.Symlink && entry.Type().IsRegular():
		// On a file system without links git checks them out as files.
		w.out[name] = &LocalFile{Mode: git.Symlink, Ignored: ignored && staged == nil, local: w.local}
	case entry.Type().IsRegular():
		filter := append(from.attributes[:len(from.attributes):len(from.attributes)],
			w.attributes...).filter(strings.Split(name, "/"))
		w.out[name] = &LocalFile{Mode: git.File, Ignored: ignored && staged == nil, Filter: filter,
			disk: disk, local: w.local}
	}
	return nil
}

// largest is the directory in the root below which most of what was seen lies; empty when it is the root
// itself.
func (w *workTreeWalk) largest() string {
	count, most := map[string]int{}, ""
	for name := range w.out {
		if first, _, below := strings.Cut(name, "/"); below {
			if count[first]++; count[first] > count[most] {
				most = first
			}
		}
	}
	if count[most] < w.seen/2 {
		return ""
	}
	return most
}

// isRepository says whether a directory is a work tree of its own, which git adds as a submodule.
func isRepository(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".git"))
	return err == nil
}

// excludes are the patterns that come before those of .gitignore files: the user's and the repository's own.
func (l *Local) excludes() []gitignore.Pattern {
	return append(readIgnoreFile(l.excludesFile(), ""),
		readIgnoreFile(filepath.Join(l.common, "info", "exclude"), "")...)
}

// excludesFile is core.excludesFile, or where git looks without it.
func (l *Local) excludesFile() string {
	if file := l.config.Section("core").Option("excludesFile"); file != "" {
		return includedPath(file, filepath.Join(l.root, ".git"))
	}
	found := ""
	for _, file := range configFiles() {
		if set := excludesFileIn(file); set != "" {
			found = set
		}
	}
	if found != "" {
		return found
	}
	if xdg := os.Getenv("XDG_CONFIG_HOME"); xdg != "" {
		return filepath.Join(xdg, "git", "ignore")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".config", "git", "ignore")
	}
	return ""
}

func excludesFileIn(file string) string {
	set := ""
	for _, section := range readConfig(file).Sections {
		if section.IsName("core") {
			if value := section.Options.Get("excludesFile"); value != "" {
				set = includedPath(value, file)
			}
		}
	}
	return set
}

// readLines reads the lines of a file that says something of a directory of the work tree and what is below,
// and gives that directory the way go-git wants it; no lines when the file cannot be read.
func readLines(file, dir string) (given, domain []string) {
	content, err := localfile.ReadRegular(file, maxGitFile)
	if err != nil {
		return nil, nil
	}
	if dir != "" {
		domain = strings.Split(dir, "/")
	}
	return lines(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))), domain
}

// readIgnoreFile reads the patterns of a file, which hold for a directory of the work tree; none when it
// cannot be read.
func readIgnoreFile(file, dir string) []gitignore.Pattern {
	given, domain := readLines(file, dir)
	var patterns []gitignore.Pattern
	for _, line := range given {
		if line = strings.TrimRight(line, "\r"); strings.TrimSpace(line) != "" &&
			!strings.HasPrefix(line, "#") {
			patterns = append(patterns, gitignore.ParsePattern(line, domain))
		}
	}
	return patterns
}
