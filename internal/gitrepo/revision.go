package gitrepo

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// LocalCommit is a commit of a local repository.
type LocalCommit struct {
	Name string // as it was asked for
	hash plumbing.Hash
}

// Hash is the commit in hexadecimal.
func (c LocalCommit) Hash() string { return c.hash.String() }

// Short is the beginning of the hash, for people.
func (c LocalCommit) Short() string { return c.hash.String()[:7] }

// Resolve finds the commit that a name means, by the rules of gitrevisions(7): HEAD, branches, tags, remote
// branches, full and shortened hashes, each with ~N, ^N and ^{commit} behind it. The error is *RevisionError,
// whose hint says what to fetch.
func (l *Local) Resolve(name string) (LocalCommit, error) {
	base, steps, err := splitRevision(name)
	if err != nil {
		return LocalCommit{}, &RevisionError{Revision: name, Reason: err.Error()}
	}
	found, err := l.lookUp(base)
	if err != nil {
		return LocalCommit{}, err
	}
	if found.IsZero() {
		return LocalCommit{}, l.unknown(name, base)
	}
	hash, err := l.peel(name, base, found)
	if err != nil {
		return LocalCommit{}, err
	}
	for _, parent := range steps {
		c, err := l.commit(hash)
		if err != nil {
			return LocalCommit{}, l.absent(name, hash, err)
		}
		if parent > len(c.ParentHashes) {
			return LocalCommit{}, &RevisionError{Revision: name,
				Reason: fmt.Sprintf("commit %s has %d parents", hash.String()[:7], len(c.ParentHashes))}
		}
		hash = c.ParentHashes[parent-1]
	}
	if _, err := l.commit(hash); err != nil {
		return LocalCommit{}, l.absent(name, hash, err)
	}
	return LocalCommit{Name: name, hash: hash}, nil
}

var revisionStep = regexp.MustCompile(`^(?:~(\d*)|\^\{(?:commit)?\}|\^(\d*))`)

// splitRevision takes HEAD~2^2 apart: a name and the parents to go to, from 1.
func splitRevision(name string) (base string, parents []int, err error) {
	end := strings.IndexAny(name, "~^")
	if end < 0 {
		end = len(name)
	}
	base, rest := name[:end], name[end:]
	switch {
	case base == "" || strings.HasPrefix(base, "-"):
		return "", nil, errors.New("not the name of a commit")
	case base == "@":
		base = "HEAD"
	case strings.Contains(base, "@{") || strings.Contains(base, ":"):
		return "", nil, errors.New("this form is not understood; name a branch, a tag or a commit")
	case strings.Contains(base, ".."):
		return "", nil, errors.New("one commit is wanted, not a range")
	}
	for rest != "" {
		step := revisionStep.FindStringSubmatch(rest)
		if step == nil {
			return "", nil, fmt.Errorf("%q is not understood", rest)
		}
		number := func(text string) (int, error) {
			if text == "" {
				return 1, nil
			}
			n, err := strconv.Atoi(text)
			if err != nil || n > 1<<20 {
				return 0, fmt.Errorf("%s is too large a number", text)
			}
			return n, nil
		}
		switch {
		case step[0][0] == '~':
			n, err := number(step[1])
			if err != nil {
				return "", nil, err
			}
			parents = append(parents, slices.Repeat([]int{1}, n)...)
		case !strings.Contains(step[0], "{"):
			n, err := number(step[2])
			if err != nil {
				return "", nil, err
			}
			if n > 0 { // name^0 is the commit itself
				parents = append(parents, n)
			}
		}
		rest = rest[len(step[0]):]
	}
	return base, parents, nil
}

// lookUp finds what a plain name means; zero is nothing.
func (l *Local) lookUp(name string) (plumbing.Hash, error) {
	if plumbing.IsHash(name) {
		return plumbing.NewHash(name), nil
	}
	for _, rule := range []string{"%s", "refs/%s", "refs/tags/%s", "refs/heads/%s", "refs/remotes/%s",
		"refs/remotes/%s/HEAD"} {
		full := fmt.Sprintf(rule, name)
		// A name without refs/ is one of git's own, such as HEAD: those are written in capitals.
		if !strings.HasPrefix(full, "refs/") && strings.ToUpper(full) != full {
			continue
		}
		if hash, ok := l.reference(full); ok {
			return hash, nil
		}
	}
	return l.abbreviated(name)
}

// reference follows a reference to an object.
func (l *Local) reference(name string) (plumbing.Hash, bool) {
	// not a reference in form: one line for each that was fetched, the one that counts first
	if name == "FETCH_HEAD" {
		content, err := localfile.ReadRegular(filepath.Join(l.gitDir, name), maxGitFile)
		if err != nil || len(content) < 40 || !plumbing.IsHash(string(content[:40])) {
			return plumbing.ZeroHash, false
		}
		return plumbing.NewHash(string(content[:40])), true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	const deepest = 5
	for range deepest {
		ref, err := l.storage.Reference(plumbing.ReferenceName(name))
		if err != nil {
			return plumbing.ZeroHash, false
		}
		if ref.Type() == plumbing.HashReference {
			return ref.Hash(), true
		}
		name = ref.Target().String()
	}
	return plumbing.ZeroHash, false
}

var abbreviation = regexp.MustCompile(`^[0-9a-fA-F]{4,39}$`)

// abbreviated finds the one commit or tag whose hash begins with these digits.
func (l *Local) abbreviated(name string) (plumbing.Hash, error) {
	if !abbreviation.MatchString(name) {
		return plumbing.ZeroHash, nil
	}
	name = strings.ToLower(name)
	whole, err := hex.DecodeString(name[:len(name)&^1])
	if err != nil {
		return plumbing.ZeroHash, nil
	}
	l.mu.Lock()
	candidates, err := l.storage.HashesWithPrefix(whole)
	l.mu.Unlock()
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("looking for commit %s: %w", name, err)
	}
	var found []plumbing.Hash
	for _, hash := range candidates {
		if !strings.HasPrefix(hash.String(), name) || slices.Contains(found, hash) {
			continue
		}
		l.mu.Lock()
		encoded, err := l.storage.EncodedObject(plumbing.AnyObject, hash)
		l.mu.Unlock()
		if err == nil && (encoded.Type() == plumbing.CommitObject || encoded.Type() == plumbing.TagObject) {
			found = append(found, hash)
		}
	}
	switch len(found) {
	case 0:
		return plumbing.ZeroHash, nil
	case 1:
		return found[0], nil
	}
	return plumbing.ZeroHash, &RevisionError{Revision: name,
		Reason: fmt.Sprintf("%d commits begin with that", len(found)), next: "give more of the hash's digits"}
}

// peel follows annotated tags to their commit.
func (l *Local) peel(name, base string, hash plumbing.Hash) (plumbing.Hash, error) {
	const deepest = 10
	for range deepest {
		l.mu.Lock()
		encoded, err := l.storage.EncodedObject(plumbing.AnyObject, hash)
		l.mu.Unlock()
		if errors.Is(err, plumbing.ErrObjectNotFound) && plumbing.IsHash(base) {
			return hash, l.unknown(name, base)
		}
		if err != nil {
			return hash, l.absent(name, hash, err)
		}
		switch encoded.Type() {
		case plumbing.CommitObject:
			return hash, nil
		case plumbing.TagObject:
			tag, err := object.DecodeTag(l.storage, encoded)
			if err != nil {
				return hash, fmt.Errorf("reading tag %s: %w", name, err)
			}
			hash = tag.Target
		default:
			return hash, &RevisionError{Revision: name,
				Reason: "it is a " + encoded.Type().String() + ", not a commit"}
		}
	}
	return hash, &RevisionError{Revision: name, Reason: "tags of tags of tags"}
}

// unknown says that there is no such name, and what would bring it here.
func (l *Local) unknown(name, base string) error {
	e := &RevisionError{Revision: name, Reason: "there is no such branch, tag or commit in this clone"}
	remote, branch, cut := strings.Cut(strings.TrimPrefix(base, "refs/remotes/"), "/")
	switch {
	case plumbing.IsHash(base):
		e.next = text.Command("fetch it: git fetch %s %s", l.anyRemote(), base)
	case base == "HEAD":
		e.Reason, e.next = "the repository has no commit yet", "commit first, or leave out the comparison"
	case cut && branch != "" && slices.Contains(l.remotes(), remote):
		e.next = text.Command("fetch it: git fetch %s +refs/heads/%s:refs/remotes/%s/%s",
			remote, branch, remote, branch)
	default:
		e.next = "see git branch --all and git tag for the names that there are"
		for _, remote := range l.remotes() {
			if _, ok := l.reference("refs/remotes/" + remote + "/" + base); ok {
				e.next = fmt.Sprintf("did you mean %s/%s?", remote, strings.TrimPrefix(base, "/"))
			}
		}
	}
	if l.IsShallow() {
		e.next += "; in GitHub Actions, actions/checkout with fetch-depth: 0 fetches everything"
	}
	return e
}

// absent says that a commit is named here but not stored here.
func (l *Local) absent(name string, hash plumbing.Hash, err error) error {
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("reading commit %s: %w", hash, err)
	}
	e := &RevisionError{Revision: name,
		Reason: fmt.Sprintf("commit %s is not in this clone", hash.String()[:7]),
		next:   text.Command("fetch it: git fetch %s %s", l.anyRemote(), hash.String())}
	if l.IsShallow() {
		e.Reason += ", whose history was cut off when it was made"
		e.next = "git fetch --unshallow; in GitHub Actions, actions/checkout with fetch-depth: 0"
	}
	return e
}

// remotes are the names of the configured remotes.
func (l *Local) remotes() []string {
	var names []string
	for _, remote := range l.config.Section("remote").Subsections {
		names = append(names, remote.Name)
	}
	return names
}

func (l *Local) anyRemote() string {
	if names := l.remotes(); len(names) > 0 && !slices.Contains(names, "origin") {
		return names[0]
	}
	return "origin"
}

// commit reads a commit.
func (l *Local) commit(hash plumbing.Hash) (*object.Commit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return object.GetCommit(l.storage, hash)
}

// MergeBase finds the commit at which two lines of history parted: the one that `git merge-base` names, or
// one of them when there are several. ok is false when they have none in common, as far as the history is in
// this clone.
func (l *Local) MergeBase(ctx context.Context, a, b LocalCommit) (base LocalCommit, ok bool, err error) {
	const fromA, fromB, stale = 1, 2, 4
	marks := map[plumbing.Hash]int{}
	queue := &commitQueue{}
	push := func(hash plumbing.Hash, mark int) error {
		if marks[hash]&mark == mark {
			return nil
		}
		marks[hash] |= mark
		c, err := l.commit(hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			// Behind the end of a shallow history. It is known by name and may be the other side itself,
			// which was pushed with its content.
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading commit %s: %w", hash, err)
		}
		heap.Push(queue, c)
		return nil
	}
	if err := errors.Join(push(a.hash, fromA), push(b.hash, fromB)); err != nil {
		return LocalCommit{}, false, err
	}
	var found *object.Commit
	for queue.Len() > 0 &&
		slices.ContainsFunc(queue.commits, func(c *object.Commit) bool { return marks[c.Hash]&stale == 0 }) {
		if ctx.Err() != nil {
			return LocalCommit{}, false, context.Cause(ctx)
		}
		c, _ := heap.Pop(queue).(*object.Commit)
		mark := marks[c.Hash]
		if mark == fromA|fromB {
			if found == nil || c.Committer.When.After(found.Committer.When) {
				found = c
			}
			mark |= stale
		}
		for _, parent := range c.ParentHashes {
			if err := push(parent, mark&(fromA|fromB|stale)); err != nil {
				return LocalCommit{}, false, err
			}
		}
	}
	if found == nil {
		return LocalCommit{}, false, nil
	}
	return LocalCommit{Name: found.Hash.String(), hash: found.Hash}, true, nil
}

// commitQueue gives the youngest commit first.
type commitQueue struct{ commits []*object.Commit }

func (q *commitQueue) Len() int { return len(q.commits) }
func (q *commitQueue) Less(i, j int) bool {
	return q.commits[i].Committer.When.After(q.commits[j].Committer.When)
}
func (q *commitQueue) Swap(i, j int) { q.commits[i], q.commits[j] = q.commits[j], q.commits[i] }
func (q *commitQueue) Push(x any) {
	if c, ok := x.(*object.Commit); ok {
		q.commits = append(q.commits, c)
	}
}
func (q *commitQueue) Pop() any {
	last := q.commits[len(q.commits)-1]
	q.commits = q.commits[:len(q.commits)-1]
	return last
}

// lines splits a small text file into its lines.
func lines(content []byte) []string {
	var out []string
	for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
		out = append(out, scanner.Text())
	}
	return out
}

// Names are the names of branches, tags and branches of remotes, as a person types them. What cannot be read
// is left out: they are an offer.
func (l *Local) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, err := l.storage.IterReferences()
	if err != nil {
		return nil
	}
	defer all.Close()
	names := []string{"HEAD"}
	_ = all.ForEach(func(ref *plumbing.Reference) error {
		if name := ref.Name(); name.IsBranch() || name.IsTag() || name.IsRemote() {
			names = append(names, name.Short())
		}
		return nil
	})
	return names
}
