package gitrepo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

const (
	// historyTransfer bounds in bytes what one step into the past may transfer.
	historyTransfer = 256 << 20
	// maxRevisionText bounds how much of a commit's message, and of a name in it, is kept.
	maxRevisionText = 64 << 10
	maxNameText     = 256
)

// historySteps are the lengths of history that are asked for, one after the other, until they suffice.
func historySteps() []int { return []int{20, 200, 2000} }

// past is what a snapshot knows of the time before it.
type past struct {
	objects *pack.Objects // of their own, so that their limits are not the snapshot's
	// boundary are the commits whose parents were not sent because they are further away than was asked for.
	boundary map[plumbing.Hash]bool
	// ends are the commits whose parents the server does not have.
	ends map[plumbing.Hash]bool
	// depth is how far back we asked; 0 is all the way.
	depth int
}

func (p *past) store(s *Snapshot) *pack.Objects {
	if p.objects == nil {
		p.objects = pack.NewObjects(s.endpoint.limits.ofPacks())
	}
	return p.objects
}

// fetched takes down where a transfer cut the history off.
func (p *past) fetched(adv *advertisement, w wants, got *transfer) {
	p.depth = w.depth
	if p.boundary == nil {
		p.boundary, p.ends = map[plumbing.Hash]bool{}, map[plumbing.Hash]bool{}
	}
	for _, h := range adv.shallow {
		p.ends[h] = true
	}
	for _, h := range got.unshallow {
		delete(p.boundary, h)
	}
	for _, h := range got.shallow {
		p.boundary[h] = true
	}
}

// stores are all objects that the snapshot has.
func (s *Snapshot) stores() []*pack.Objects {
	if s.past.objects == nil {
		return []*pack.Objects{s.objects}
	}
	return []*pack.Objects{s.objects, s.past.objects}
}

// content is a commit or a directory.
func (s *Snapshot) content(h plumbing.Hash) ([]byte, bool) {
	for _, store := range s.stores() {
		if content, ok, err := store.Structure(h); err == nil && ok {
			return content, true
		}
	}
	return nil, false
}

// has says whether a commit or a directory is there.
func (s *Snapshot) has(h plumbing.Hash) bool {
	return slices.ContainsFunc(s.stores(), func(store *pack.Objects) bool { return store.Has(h) })
}

// History returns the commits before and at the snapshot's own that changed what is at a path, a file or a
// directory, newest first and at most limit of them; 0 is all. A path that never was has none, and so has an
// empty repository.
//
// Of a merge, the line is followed on which the path is the same as in the merge, the first parent's when
// there are several, so that a change that came through a pull request is found where it was made. A merge
// that has the path as none of its parents has it is a revision itself, and the line of its first parent is
// followed. This is how git log simplifies history, but for the side branches of such a merge.
//
// The history is transferred in steps, of 20, 200 and 2000 commits, without the contents of files where the
// server can leave them out, and only what the step before did not bring. Commits more than 2000 away are not
// looked at. Where the server's own history is cut off, its oldest commit counts as the one that made the
// path. A second call transfers nothing that is known already.
//
// The errors are those of [Fetch], a *PathError, and an *UnreachableError when the branch has moved and the
// server does not give out what it was before. The revisions found until then are returned with the error.
func (s *Snapshot) History(ctx context.Context, path string, limit int) ([]git.Revision, error) {
	var revisions []git.Revision
	err := s.EachRevision(ctx, path, func(r git.Revision) bool {
		revisions = append(revisions, r)
		return limit <= 0 || len(revisions) < limit
	})
	return revisions, err
}

// EachRevision is [Snapshot.History] for a caller that knows a revision when it sees it: it calls visit with
// one after the other and transfers no more once visit returns false.
func (s *Snapshot) EachRevision(ctx context.Context, path string, visit func(git.Revision) bool) error {
	if err := checkPath(path); err != nil {
		return err
	}
	longest := historySteps()[len(historySteps())-1]
	at := s.head
	for step := 0; !at.IsZero() && step < longest; step++ {
		if ctx.Err() != nil {
			return s.endpoint.interrupted(ctx)
		}
		next, more, err := s.step(ctx, path, at, visit)
		if err != nil || !more {
			return err
		}
		at = next
	}
	return nil
}

// step looks at one commit and says which one comes next.
func (s *Snapshot) step(ctx context.Context, path string, at plumbing.Hash,
	visit func(git.Revision) bool) (next plumbing.Hash, more bool, err error) {
	c, err := s.commitAt(at)
	if err != nil {
		return next, false, err
	}
	here, err := s.stateAt(c, path)
	if err != nil {
		return next, false, err
	}
	parents, complete, err := s.parentsOf(ctx, at, c)
	if err != nil {
		return next, false, err
	}
	if len(parents) == 0 {
		if complete && here.there {
			visit(c.revision(at, here))
		}
		return next, false, nil
	}
	for _, p := range parents {
		before, err := s.stateAt(p.commit, path)
		if err != nil {
			return next, false, err
		}
		if before == here {
			return p.hash, true, nil
		}
	}
	return parents[0].hash, visit(c.revision(at, here)), nil
}

// pathState is what is at a path in a commit.
type pathState struct {
	there bool
	mode  git.Mode
	blob  string
}

func (s *Snapshot) stateAt(c *commitObject, path string) (pathState, error) {
	entry, ok, err := s.lookup(c.tree, path)
	if err != nil || !ok {
		return pathState{}, err
	}
	return pathState{there: true, mode: entry.Mode, blob: entry.BlobID}, nil
}

// ancestor is a commit that is at hand.
type ancestor struct {
	hash   plumbing.Hash
	commit *commitObject
}

// parentsOf returns a commit's parents, fetched if need be. Those that the server does not have are left out;
// complete is false when there are none because they are further away than anybody looks.
func (s *Snapshot) parentsOf(ctx context.Context, at plumbing.Hash,
	c *commitObject) (parents []ancestor, complete bool, err error) {
	for s.past.boundary[at] && !s.past.ends[at] {
		if ok, err := s.deepen(ctx); err != nil || !ok {
			return nil, false, err
		}
	}
	for _, h := range c.parents {
		if !s.has(h) {
			continue
		}
		parent, err := s.commitAt(h)
		if err != nil {
			return nil, false, err
		}
		parents = append(parents, ancestor{h, parent})
	}
	return parents, true, nil
}

// deepen fetches the next step of history, as git fetch --deepen does; false means that there is no further
// step.
func (s *Snapshot) deepen(ctx context.Context) (bool, error) {
	depth := 0
	for _, step := range historySteps() {
		if step > s.past.depth {
			depth = step
			break
		}
	}
	if depth == 0 || s.past.depth == 0 {
		return false, nil
	}
	session, adv, err := s.endpoint.discover(ctx, uploadPack)
	if err != nil {
		return false, err
	}
	defer session.close()
	boundary := slices.Collect(maps.Keys(s.past.boundary))
	plumbing.HashesSort(boundary)
	w := wants{objects: []plumbing.Hash{s.head}, depth: depth, shallow: boundary, have: s.head,
		limit: historyTransfer}
	if s.filtered {
		w.filter = packp.FilterBlobNone()
	}
	if !adv.supports(capability.Shallow) || s.filtered && !adv.supports(capability.Filter) {
		return false, &git.ProtocolError{Remote: s.endpoint.name,
			Reason: "the server cannot do any more what it did a moment ago"}
	}
	got, err := s.endpoint.download(ctx, session, adv, w)
	if errors.Is(err, errNotOurs) {
		err = &git.UnreachableError{Remote: s.endpoint.name,
			Reason: "the branch has moved, and the server does not give out what it was before"}
	}
	if err != nil {
		return false, err
	}
	if err := s.unpack(ctx, s.past.store(s), got.pack); err != nil {
		return false, err
	}
	s.past.fetched(adv, w, got)
	return true, nil
}

// Lacks says whether a commit is surely not in the history of the snapshot's commit: all of that was looked
// at. It is false as well when the history goes on where nobody looks any more, 2000 commits away, or where
// the server's own is cut off. The history is transferred in steps, as for [Snapshot.History]. Errors are as
// those of [Fetch].
func (s *Snapshot) Lacks(ctx context.Context, commit string) (bool, error) {
	if !plumbing.IsHash(commit) {
		return false, nil
	}
	at := plumbing.NewHash(commit)
	for {
		if s.has(at) {
			return false, nil
		}
		if len(s.past.boundary) == 0 {
			return len(s.past.ends) == 0, nil
		}
		if more, err := s.deepen(ctx); err != nil || !more {
			return false, err
		}
	}
}

// ReadAt returns a file as it was at a commit of the snapshot's history, such as one that [Snapshot.History]
// returned. It may have to be transferred. The error is fs.ErrNotExist when the commit is not in the history,
// as far as that is looked at, or does not have the file, a *PathError when the path is that of something
// else, and else as that of [Snapshot.Read].
func (s *Snapshot) ReadAt(ctx context.Context, commit, path string) ([]byte, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	absent := func() error {
		return fmt.Errorf("reading %s of %s at commit %s: %w",
			path, s.endpoint.name, cleanLine(commit), fs.ErrNotExist)
	}
	if !plumbing.IsHash(commit) {
		return nil, absent()
	}
	at := plumbing.NewHash(commit)
	for {
		if s.has(at) {
			break
		}
		if s.head.IsZero() || len(s.past.boundary) == 0 {
			return nil, absent()
		}
		if more, err := s.deepen(ctx); err != nil {
			return nil, err
		} else if !more {
			return nil, absent()
		}
	}
	c, err := s.commitAt(at)
	if err != nil {
		return nil, absent() // it is a directory
	}
	entry, ok, err := s.lookup(c.tree, path)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, absent()
	case !entry.Mode.IsFile():
		return nil, &git.PathError{Path: path, Entry: path, Mode: entry.Mode}
	}
	h := plumbing.NewHash(entry.BlobID)
	if err := s.load(ctx, h); err != nil {
		return nil, err
	}
	if _, ok := s.files[h]; !ok {
		if err := s.fetchFiles(ctx, map[plumbing.Hash]bool{h: true}, s.past.depth); err != nil {
			return nil, err
		}
	}
	content, ok := s.files[h]
	if !ok {
		return nil, &git.LimitError{Remote: s.endpoint.name, What: path, Limit: s.endpoint.limits.File}
	}
	return bytes.Clone(content), nil
}

// commitObject is what a commit says.
type commitObject struct {
	tree    plumbing.Hash
	parents []plumbing.Hash
	author  string // name, address, seconds and time zone
	message string
}

// maxParents is more than git itself can write, an octopus of a few dozen.
const maxParents = 1000

func (s *Snapshot) commitAt(h plumbing.Hash) (*commitObject, error) {
	bad := &git.ProtocolError{Remote: s.endpoint.name,
		Reason: "a commit of the history is damaged or missing"}
	content, ok := s.content(h)
	if !ok {
		return nil, bad
	}
	c := &commitObject{}
	head, message, _ := bytes.Cut(content, []byte("\n\n"))
	c.message = string(message[:min(len(message), maxRevisionText)])
	for line := range bytes.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch {
		case key == "tree" && plumbing.IsHash(value) && c.tree.IsZero():
			c.tree = plumbing.NewHash(value)
		case key == "parent" && plumbing.IsHash(value) && len(c.parents) < maxParents:
			c.parents = append(c.parents, plumbing.NewHash(value))
		case key == "author" && c.author == "":
			c.author = value
		}
	}
	if c.tree.IsZero() {
		return nil, bad
	}
	return c, nil
}

func (c *commitObject) revision(at plumbing.Hash, here pathState) git.Revision {
	r := git.Revision{Commit: hex.EncodeToString(at[:]), Deleted: !here.there,
		Message: cleanMessage(c.message)}
	if here.mode.IsFile() {
		r.BlobID = here.blob
	}
	r.Trailers = trailers(r.Message)
	name, rest, _ := strings.Cut(c.author, "<")
	email, date, _ := strings.Cut(rest, ">")
	r.Author, r.AuthorEmail = cleanName(name), cleanName(email)
	seconds, zone, _ := strings.Cut(strings.TrimSpace(date), " ")
	if n, err := strconv.ParseInt(seconds, 10, 64); err == nil && n > -1<<40 && n < 1<<40 {
		r.When = time.Unix(n, 0).In(timeZone(zone))
	}
	return r
}

// timeZone reads +hhmm; what is none is UTC.
func timeZone(text string) *time.Location {
	n, err := strconv.Atoi(text)
	if err != nil || len(text) != 5 || n < -1400 || n > 1400 || n == 0 {
		return time.UTC
	}
	return time.FixedZone("", (n/100*60+n%100)*60)
}

func cleanName(text string) string { return cleanLine(text[:min(len(text), maxNameText)]) }

// cleanMessage takes out of a message what could do harm on a terminal.
func cleanMessage(message string) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(strings.ReplaceAll(message, "\r\n", "\n"), "\n") {
		b.WriteString(plainLine(strings.TrimSuffix(line, "\n")))
		if strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// trailers reads the last paragraph of a message if it has nothing but trailers, and lines that continue one,
// in it and is not the subject.
func trailers(message string) []git.Trailer {
	paragraphs := strings.Split(strings.TrimRight(message, "\n "), "\n\n")
	if len(paragraphs) < 2 {
		return nil
	}
	var found []git.Trailer
	for line := range strings.SplitSeq(strings.Trim(paragraphs[len(paragraphs)-1], "\n"), "\n") {
		if strings.HasPrefix(line, " ") && len(found) > 0 {
			last := &found[len(found)-1]
			last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(line))
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
		}) {
			return nil
		}
		found = append(found, git.Trailer{Key: key, Value: strings.TrimSpace(value)})
	}
	return found
}
