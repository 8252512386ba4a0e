package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Snapshot is one commit of a repository, in memory: its directories, and its files as far as they were
// needed. Its methods may not be called at the same time. Close it when it is not needed any more.
type Snapshot struct {
	endpoint      *endpoint
	branch        string
	state         git.BranchState
	defaultBranch string
	head          plumbing.Hash
	root          plumbing.Hash
	objects       *pack.Objects
	filtered      bool
	files         map[plumbing.Hash][]byte
	branches      []string
	past          past
	wide          map[plumbing.Hash]nameOrder
}

// maxMoves is how often a fetch begins anew because the branch moved between the list of references and the
// transfer.
const maxMoves = 4

// Fetch reads the tip of a branch: one shallow transfer into memory, without a work tree, and without files'
// contents where the server can leave them out. The size of the history does not matter.
//
// Errors are *AuthError, *PermissionError, *NotFoundError, *HostKeyError, *UnreachableError, *ProtocolError,
// *RedirectError, *LimitError and, for a name that is none, an ordinary error. When ctx is done its cause is
// returned within a second. It may be repeated.
func Fetch(ctx context.Context, remote Remote, branch string) (*Snapshot, error) {
	if err := CheckBranchName(branch); err != nil {
		return nil, err
	}
	e, err := newEndpoint(remote)
	if err != nil {
		return nil, err
	}
	for move := 1; ; move++ {
		s := &Snapshot{endpoint: e, branch: branch, objects: pack.NewObjects(e.limits.ofPacks()),
			files: map[plumbing.Hash][]byte{}}
		err := s.fetch(ctx)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, errNotOurs) && move < maxMoves:
			continue
		case errors.Is(err, errNotOurs):
			err = &git.UnreachableError{Remote: e.name, Reason: "the branch moves faster than it can be read"}
		}
		e.transport.close()
		return nil, err
	}
}

// CheckBranchName says whether git takes a name for a branch (git-check-ref-format(1)).
func CheckBranchName(name string) error {
	bad := func(reason string) error { return fmt.Errorf("branch name %q: %s", name, reason) }
	switch {
	case name == "":
		return errors.New("branch name: it is empty")
	case name == "@" || name == "HEAD" || strings.HasPrefix(name, "-"):
		return bad("it is reserved")
	case len(name) > 240:
		return bad("it is too long")
	case strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.Contains(name, "//"):
		return bad(`it has "..", "@{" or "//" in it`)
	case strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.HasSuffix(name, "."):
		return bad(`it begins or ends with "/", or ends with "."`)
	case strings.HasPrefix(name, "refs/"):
		return bad("write it without refs/heads/")
	case strings.ContainsAny(name, " ~^:?*[\\") || strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0xfffd
	}):
		return bad(`it has a space, a control character or one of ~^:?*[\ in it`)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return bad(`it has a part that begins with "." or ends with ".lock"`)
		}
	}
	return nil
}

func (s *Snapshot) fetch(ctx context.Context) error {
	session, adv, err := s.endpoint.discover(ctx, uploadPack)
	if err != nil {
		return err
	}
	defer session.close()
	s.look(adv)
	if s.head.IsZero() {
		return nil
	}
	w := wants{objects: []plumbing.Hash{s.head}}
	if adv.supports(capability.Shallow) {
		w.depth = 1
	}
	if adv.supports(capability.Filter) {
		w.filter = packp.FilterBlobNone()
		s.filtered = true
	}
	got, err := s.endpoint.download(ctx, session, adv, w)
	if err != nil {
		return err
	}
	if err := s.unpack(ctx, s.objects, got.pack); err != nil {
		return err
	}
	s.past.fetched(adv, w, got)
	return s.findRoot()
}

// look decides from the list of references which commit is wanted.
func (s *Snapshot) look(adv *advertisement) {
	s.defaultBranch = adv.defaultBranch()
	s.branches = slices.Sorted(maps.Keys(adv.branches))
	if tip, ok := adv.branches[s.branch]; ok {
		s.state, s.head = git.BranchExists, tip
		return
	}
	if len(adv.branches) == 0 && adv.head.IsZero() {
		s.state = git.RepositoryEmpty
		return
	}
	s.state = git.BranchMissing
	switch {
	case !adv.head.IsZero():
		s.head = adv.head
	case len(s.branches) == 1:
		s.head = adv.branches[s.branches[0]]
	}
}

func (s *Snapshot) unpack(ctx context.Context, into *pack.Objects, data *pack.Data) error {
	return s.damageUnlessInterrupted(ctx, into.Add(ctx, data))
}

func (s *Snapshot) damageUnlessInterrupted(ctx context.Context, err error) error {
	if gone := s.endpoint.interrupted(ctx); err != nil && gone != nil {
		return gone
	}
	return s.damage(err)
}

// damage turns what is wrong with a pack into an error that names the remote.
func (s *Snapshot) damage(err error) error {
	e := s.endpoint
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pack.ErrObjectTooLarge):
		return &git.LimitError{Remote: e.name, What: "a directory", Limit: e.limits.Object}
	case errors.Is(err, pack.ErrTooLarge):
		return &git.LimitError{Remote: e.name, What: "the unpacked transfer", Limit: e.limits.Inflated}
	case errors.Is(err, pack.ErrTooManyObjects):
		return &git.LimitError{Remote: e.name, What: "the transfer", Limit: e.limits.Objects, Unit: "objects"}
	case errors.Is(err, pack.ErrChainTooLarge):
		return &git.LimitError{Remote: e.name, What: "what one object is made of", Limit: pack.MaxChainWork}
	}
	return &git.ProtocolError{Remote: e.name, Reason: err.Error()}
}

// findRoot reads the commit, of which only the directory matters.
func (s *Snapshot) findRoot() error {
	commit, ok := s.content(s.head)
	if !ok {
		return &git.ProtocolError{Remote: s.endpoint.name,
			Reason: "the server did not send the commit that was asked for"}
	}
	line, _, _ := bytes.Cut(commit, []byte("\n"))
	name, ok := strings.CutPrefix(string(line), "tree ")
	if !ok || !plumbing.IsHash(name) {
		return &git.ProtocolError{Remote: s.endpoint.name, Reason: "the branch's tip is not a commit"}
	}
	s.root = plumbing.NewHash(name)
	return nil
}

// State is what was found where the branch should be.
func (s *Snapshot) State() git.BranchState { return s.state }

// Branch is the branch that was asked for.
func (s *Snapshot) Branch() string { return s.branch }

// DefaultBranch is the branch that the server names as default; empty when it does not say, as with an empty
// repository.
func (s *Snapshot) DefaultBranch() string { return s.defaultBranch }

// Branches are the names of all branches, sorted.
func (s *Snapshot) Branches() []string { return append([]string(nil), s.branches...) }

// Head is the commit that the snapshot shows, in hexadecimal; empty when there is none.
func (s *Snapshot) Head() string {
	if s.head.IsZero() {
		return ""
	}
	return s.head.String()
}

// Remote is the repository's address without credentials.
func (s *Snapshot) Remote() string { return s.endpoint.name }

// HostKey is the key with which the server has proved who it is, in authorized_keys form; of a certificate,
// the key that it vouches for. It is empty over HTTPS.
func (s *Snapshot) HostKey() string {
	if key := s.endpoint.hostKey.Load(); key != nil {
		return *key
	}
	return ""
}

// Close gives up the connection that is kept for a push. It may be called more than once, and the snapshot
// may still be used: a connection is then made again.
func (s *Snapshot) Close() { s.endpoint.transport.close() }

// tree returns a directory object.
func (s *Snapshot) tree(h plumbing.Hash) ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	for _, store := range s.stores() {
		if content, ok, err := store.Structure(h); ok || err != nil {
			return content, s.damage(err)
		}
	}
	if h.String() == emptyTree {
		return nil, nil
	}
	return nil,
		&git.ProtocolError{Remote: s.endpoint.name, Reason: "the server left a directory out of its answer"}
}

// emptyTree is the name of the directory without entries, which git knows without being sent it.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// Lookup finds a file, a directory or whatever else is at a path, and false when there is nothing. Links are
// not followed.
func (s *Snapshot) Lookup(path string) (git.Entry, bool, error) {
	return s.lookup(s.root, path)
}

// lookup finds what is at a path below a root directory.
func (s *Snapshot) lookup(root plumbing.Hash, path string) (git.Entry, bool, error) {
	if err := checkPath(path); err != nil {
		return git.Entry{}, false, err
	}
	at := root
	names := strings.Split(path, "/")
	for i, name := range names {
		tree, err := s.tree(at)
		if err != nil {
			return git.Entry{}, false, err
		}
		found, ok, err := s.find(at, tree, name)
		if err != nil || !ok {
			return git.Entry{}, false, s.damage(err)
		}
		if i == len(names)-1 {
			entry, ok := s.entry(found, path)
			return entry, ok, nil
		}
		if mode, _ := modeOf(found.mode); mode != git.Dir {
			return git.Entry{}, false, nil
		}
		at = found.hash
	}
	return git.Entry{}, false, nil
}

func (s *Snapshot) entry(e treeEntry, path string) (git.Entry, bool) {
	mode, ok := modeOf(e.mode)
	return git.Entry{Name: string(e.name), Path: path, Mode: mode, BlobID: e.hash.String(),
		Unsafe: isUnsafe(string(e.name), path)}, ok
}

// List returns the entries of a directory in git's order; "" is the root. Names are as they are in the
// repository, which may be hostile: ".." is possible, and every method of the snapshot refuses it. A
// directory that does not exist has none. A path to something that is no directory is a *PathError.
func (s *Snapshot) List(dir string) ([]git.Entry, error) {
	at, found, err := s.directory(dir)
	if err != nil || !found {
		return nil, err
	}
	prefix := ""
	if dir != "" {
		prefix = dir + "/"
	}
	tree, err := s.tree(at)
	if err != nil {
		return nil, err
	}
	var entries []git.Entry
	for len(tree) > 0 {
		var e treeEntry
		if e, tree, err = nextEntry(tree); err != nil {
			return nil, s.damage(err)
		}
		if entry, ok := s.entry(e, prefix+string(e.name)); ok {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// Holds says whether a file with exactly this content is at the path. Names of objects are compared; nothing
// is transferred.
func (s *Snapshot) Holds(path string, content []byte) (bool, error) {
	e, ok, err := s.Lookup(path)
	if err != nil || !ok || !e.Mode.IsFile() {
		return false, err
	}
	return e.BlobID == pack.HashObject(pack.NewHash(), plumbing.BlobObject, content).String(), nil
}

// Read returns a file's content. It may have to be transferred, alone. The error is fs.ErrNotExist when there
// is no such file, a *PathError when the path is that of something else, a *LimitError when the file is too
// large, and else as that of [Fetch].
func (s *Snapshot) Read(ctx context.Context, path string) ([]byte, error) {
	all, err := s.ReadAll(ctx, []string{path})
	if err != nil {
		return nil, err
	}
	return all[path], nil
}

// ReadAll reads several files with at most one transfer. It returns all of them or an error.
func (s *Snapshot) ReadAll(ctx context.Context, paths []string) (map[string][]byte, error) {
	blobs := make(map[string]plumbing.Hash, len(paths))
	missing := map[plumbing.Hash]bool{}
	read := int64(0)
	for _, path := range paths {
		if ctx.Err() != nil {
			return nil, s.endpoint.interrupted(ctx)
		}
		e, ok, err := s.Lookup(path)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, fmt.Errorf("reading %s of %s: %w", path, s.endpoint.name, fs.ErrNotExist)
		case !e.Mode.IsFile():
			return nil, &git.PathError{Path: path, Entry: path, Mode: e.Mode}
		}
		h := plumbing.NewHash(e.BlobID)
		blobs[path] = h
		if err := s.load(ctx, h); err != nil {
			return nil, err
		}
		if read += int64(len(s.files[h])); read > s.endpoint.limits.Read {
			return nil, s.tooMuch()
		}
		if _, loaded := s.files[h]; !loaded {
			missing[h] = true
		}
	}
	if len(missing) > 0 {
		if err := s.fetchFiles(ctx, missing, 1); err != nil {
			return nil, err
		}
	}
	contents := make(map[string][]byte, len(paths))
	read = 0
	for path, h := range blobs {
		content, ok := s.files[h]
		if !ok {
			return nil, &git.LimitError{Remote: s.endpoint.name, What: path, Limit: s.endpoint.limits.File}
		}
		if read += int64(len(content)); read > s.endpoint.limits.Read {
			return nil, s.tooMuch()
		}
		contents[path] = bytes.Clone(content)
	}
	return contents, nil
}

// tooMuch says that more is to be read at once than memory is taken for.
func (s *Snapshot) tooMuch() error {
	return &git.LimitError{Remote: s.endpoint.name, What: "what has to be read of the files",
		Limit: s.endpoint.limits.Read}
}

// packOverhead is more than a pack of a few files has beside their contents.
const packOverhead = 1 << 20

// load takes a file out of what was transferred already.
func (s *Snapshot) load(ctx context.Context, h plumbing.Hash) error {
	if _, ok := s.files[h]; ok {
		return nil
	}
	for _, store := range s.stores() {
		content, err := store.File(ctx, h)
		if err != nil {
			return s.damageUnlessInterrupted(ctx, err)
		}
		if content != nil {
			s.files[h] = content
			return nil
		}
	}
	return nil
}

// fetchFiles transfers files that were left out. A server that gives out only whole commits is asked for the
// newest commits again, as many as depth says or all for 0, this time with all files.
func (s *Snapshot) fetchFiles(ctx context.Context, missing map[plumbing.Hash]bool, depth int) error {
	if !s.filtered {
		return nil // they are here, and too large
	}
	hashes := make([]plumbing.Hash, 0, len(missing))
	for h := range missing {
		hashes = append(hashes, h)
	}
	plumbing.HashesSort(hashes)
	session, adv, err := s.endpoint.discover(ctx, uploadPack)
	if err != nil {
		return err
	}
	defer func() { session.close() }()
	var got *transfer
	into := s.objects
	err = errNotOurs
	if adv.supports(capability.AllowReachableSHA1InWant) || adv.supports("allow-any-sha1-in-want") {
		got, err = s.endpoint.download(ctx, session, adv,
			wants{objects: hashes, limit: int64(len(hashes))*s.endpoint.limits.File + packOverhead})
		if errors.Is(err, errNotOurs) {
			session.close()
			if session, adv, err = s.endpoint.discover(ctx, uploadPack); err != nil {
				return err
			}
			err = errNotOurs
		}
	}
	if errors.Is(err, errNotOurs) {
		w := wants{objects: []plumbing.Hash{s.head}}
		if adv.supports(capability.Shallow) {
			w.depth = depth
		}
		if depth != 1 {
			into, w.limit = s.past.store(s), historyTransfer
		}
		got, err = s.endpoint.download(ctx, session, adv, w)
	}
	if errors.Is(err, errNotOurs) {
		err = &git.UnreachableError{Remote: s.endpoint.name,
			Reason: "the branch has moved, and the server does not give out what it was before"}
	}
	if err != nil {
		return err
	}
	if err := s.unpack(ctx, into, got.pack); err != nil {
		return err
	}
	for h := range missing {
		if err := s.load(ctx, h); err != nil {
			return err
		}
	}
	return nil
}
