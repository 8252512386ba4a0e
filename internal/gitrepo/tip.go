package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// Tip describes the commit that the snapshot shows; nil without one. Nothing is transferred.
func (s *Snapshot) Tip() *git.CommitInfo {
	content, ok, _ := s.objects.Structure(s.head)
	if s.head.IsZero() || !ok {
		return nil
	}
	return parseCommit(s.head, content)
}

// parseCommit reads the headers that matter. What is malformed stays empty: a commit is somebody else's.
func parseCommit(hash plumbing.Hash, content []byte) *git.CommitInfo {
	info := &git.CommitInfo{Hash: hash.String()}
	headers, message, _ := bytes.Cut(content, []byte("\n\n"))
	for line := range bytes.Lines(headers) {
		name, value, _ := bytes.Cut(bytes.TrimRight(line, "\n"), []byte(" "))
		var signature object.Signature
		switch string(name) {
		case "author":
			signature.Decode(value)
			info.Author = git.Identity{Name: signature.Name, Email: signature.Email}
		case "committer":
			signature.Decode(value)
			info.When = signature.When
		}
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(string(message), "\n"), "\n")
	info.Subject = strings.TrimSpace(subject)
	return info
}

// Behind counts the commits of the branch that came after a commit: those the snapshot's commit has and that
// one has not. It looks at most commits back, without their files, and says known = false when it has not
// found the commit by then, or when the server cannot leave the files out. Errors are as those of [Fetch].
func (s *Snapshot) Behind(ctx context.Context, commit string, most int) (count int, known bool, err error) {
	if !plumbing.IsHash(commit) || s.head.IsZero() {
		return 0, false, nil
	}
	from := plumbing.NewHash(commit)
	if from == s.head {
		return 0, true, nil
	}
	session, adv, err := s.endpoint.discover(ctx, uploadPack)
	if err != nil {
		return 0, false, err
	}
	defer session.close()
	if !adv.supports(capability.Filter) || !adv.supports(capability.Shallow) {
		return 0, false, nil
	}
	got, err := s.endpoint.download(ctx, session, adv, wants{
		objects: []plumbing.Hash{s.head}, depth: most + 1, filter: packp.FilterTreeDepth(0),
	})
	if errors.Is(err, errNotOurs) {
		return 0, false, nil // the branch has moved
	}
	if err != nil {
		return 0, false, err
	}
	history := pack.NewObjects(s.endpoint.limits.ofPacks())
	if err := history.Add(ctx, got.pack); err != nil {
		return 0, false, s.damageUnlessInterrupted(ctx, err)
	}
	if !history.Has(from) {
		return 0, false, nil
	}
	return len(reachable(history, s.head)) - len(reachable(history, from)), true, nil
}

// reachable are the commits that can be got to from one, as far as they are known.
func reachable(o *pack.Objects, from plumbing.Hash) map[plumbing.Hash]bool {
	seen := map[plumbing.Hash]bool{}
	for next := []plumbing.Hash{from}; len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		content, ok, _ := o.Structure(at)
		if !ok || seen[at] {
			continue
		}
		seen[at] = true
		headers, _, _ := bytes.Cut(content, []byte("\n\n"))
		for line := range bytes.Lines(headers) {
			if parent, ok := strings.CutPrefix(strings.TrimRight(string(line), "\n"), "parent "); ok &&
				plumbing.IsHash(parent) {
				next = append(next, plumbing.NewHash(parent))
			}
		}
	}
	return seen
}
