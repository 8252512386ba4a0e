package gitops_test

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// repository is the world's repository.
type repository struct{ *world }

func (r repository) Fetch(ctx context.Context, branch string) (gitops.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetches++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.onFetch != nil {
		if err := r.onFetch(); err != nil {
			return nil, err
		}
	}
	if r.fetchErr != nil {
		return nil, r.fetchErr
	}
	if !r.noHost && !r.exists {
		return nil, &git.NotFoundError{Remote: "https://git.example.com/octo/fleet.git"}
	}
	s := &snapshot{world: r.world, branch: branch, state: git.RepositoryEmpty, files: map[string]string{},
		made: map[gitops.Commit][]git.Edit{}, messages: map[gitops.Commit]string{}}
	if len(r.branches) > 0 {
		s.state = git.BranchMissing
		if at := r.branches[s.DefaultBranch()]; at != nil {
			s.history = slices.Clone(at.history)
		}
	}
	if at := r.branches[branch]; at != nil {
		s.state, s.head, s.files, s.history = git.BranchExists, at.head, maps.Clone(at.files),
			slices.Clone(at.history)
	}
	return s, nil
}

// snapshot is a branch as it was when it was fetched.
type snapshot struct {
	world  *world
	branch string
	state  git.BranchState
	head   string
	files  map[string]string
	made   map[gitops.Commit][]git.Edit

	messages map[gitops.Commit]string
	history  []past
}

func (s *snapshot) State() git.BranchState { return s.state }
func (s *snapshot) DefaultBranch() string  { return cmp.Or(s.world.standard, "main") }
func (s *snapshot) Head() string           { return s.head }
func (s *snapshot) HostKey() string        { return s.world.hostKey }
func (s *snapshot) Close()                 {}

func (s *snapshot) CheckPush(context.Context) error { return s.world.denyPush }

func (s *snapshot) Lookup(file string) (git.Entry, bool, error) {
	_, there := s.files[file]
	return git.Entry{Name: path.Base(file), Path: file, Mode: git.File}, there, nil
}

func (s *snapshot) List(dir string) ([]git.Entry, error) {
	seen := map[string]git.Entry{}
	for file := range s.files {
		rest, below := strings.CutPrefix("/"+file, strings.TrimSuffix(path.Join("/", dir), "/")+"/")
		if !below {
			continue
		}
		name, _, isDir := strings.Cut(rest, "/")
		entry := git.Entry{Name: name, Path: path.Join(dir, name), Mode: git.File}
		if isDir {
			entry.Mode = git.Dir
		}
		seen[name] = entry
	}
	var entries []git.Entry
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		entries = append(entries, seen[name])
	}
	return entries, nil
}

func (s *snapshot) CheckSize(context.Context, string) error { return s.world.tooLarge }

func (s *snapshot) Walk(_ context.Context, dir string, visit func(git.Entry) error) error {
	if s.world.tooLarge != nil {
		return s.world.tooLarge
	}
	for _, file := range slices.Sorted(maps.Keys(s.files)) {
		if _, below := strings.CutPrefix("/"+file, strings.TrimSuffix(path.Join("/", dir), "/")+"/"); !below {
			continue
		}
		if err := visit(git.Entry{Name: path.Base(file), Path: file, Mode: git.File}); err != nil {
			if errors.Is(err, fs.SkipAll) {
				return nil
			}
			return err
		}
	}
	return nil
}

func (s *snapshot) Tip() *git.CommitInfo {
	if s.head == "" {
		return nil
	}
	return &git.CommitInfo{Hash: s.head, Author: git.Identity{Name: "Alice"}, Subject: "Change something"}
}

func (s *snapshot) Behind(_ context.Context, commit string, _ int) (int, bool, error) {
	lacks, err := s.Lacks(context.Background(), commit)
	return 0, !lacks && err == nil, err
}

func (s *snapshot) Lacks(_ context.Context, commit string) (bool, error) {
	return !s.world.shallow && commit != s.head && !slices.ContainsFunc(s.history, func(p past) bool {
		return p.hash == commit
	}), nil
}

func (s *snapshot) Holds(file string, content []byte) (bool, error) {
	have, there := s.files[file]
	return there && have == string(content), nil
}

func (s *snapshot) ReadAll(_ context.Context, paths []string) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, file := range paths {
		all[file] = []byte(s.files[file])
	}
	return all, nil
}

func (s *snapshot) EachRevision(_ context.Context, file string, visit func(git.Revision) bool) error {
	for i, commit := range slices.Backward(s.history) {
		before := map[string]string{}
		if i > 0 {
			before = s.history[i-1].files
		}
		content, there := commit.files[file]
		if old, was := before[file]; was == there && old == content {
			continue
		}
		r := git.Revision{Commit: commit.hash, Author: commit.author, Message: commit.message,
			Deleted: !there}
		if there {
			r.BlobID = git.BlobID([]byte(content))
		}
		for line := range strings.Lines(commit.message) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				r.Trailers = append(r.Trailers, git.Trailer{Key: key, Value: value})
			}
		}
		if !visit(r) {
			return nil
		}
	}
	return nil
}

func (s *snapshot) ReadAt(_ context.Context, commit, file string) ([]byte, error) {
	for _, c := range s.history {
		if c.hash == commit {
			return []byte(c.files[file]), nil
		}
	}
	return nil, fs.ErrNotExist
}

// Commit makes a real commit of the edits. The tip that it is built on goes into the message, so that its
// name depends on that.
func (s *snapshot) Commit(edits []git.Edit, options git.CommitOptions) (gitops.Commit, error) {
	message := options.Message
	options.Message += "on " + s.head
	// The commit is made on nothing, from which nothing can be deleted.
	named := slices.Clone(edits)
	for i, edit := range named {
		if edit.Delete {
			named[i] = git.Edit{Path: edit.Path, Content: []byte("deleted")}
		}
	}
	commit, err := new(gitrepo.Snapshot).Commit(named, options)
	if err != nil {
		return nil, err
	}
	s.made[commit], s.messages[commit] = edits, message
	return commit, nil
}

func (s *snapshot) Push(ctx context.Context, commit gitops.Commit) error {
	w := s.world
	_, err := w.write(ctx, "Push "+s.branch, func() (bool, error) {
		if w.onPush != nil {
			if err := w.onPush(); err != nil {
				return false, err
			}
		}
		if len(w.races) > 0 || w.raceForever {
			w.commitOther(s.branch, func(files map[string]string) {
				if w.raceForever {
					files["other.txt"] += "x"
					return
				}
				w.races[0](files)
				w.races = w.races[1:]
			})
		}
		at := w.tip(s.branch)
		if at.head == commit.Hash() {
			return false, nil // it arrived before
		}
		if at.head != s.head {
			return false, &git.ConflictError{Branch: s.branch, Expected: s.head, Actual: at.head}
		}
		for _, edit := range s.made[commit] {
			if edit.Delete {
				delete(at.files, edit.Path)
				continue
			}
			at.files[edit.Path] = string(edit.Content)
		}
		at.head = commit.Hash()
		at.history = append(at.history, past{hash: at.head, message: s.messages[commit],
			author: "eksa-gitops", files: maps.Clone(at.files)})
		if w.afterPush != nil {
			w.afterPush(w)
		}
		return true, nil
	})
	return err
}
