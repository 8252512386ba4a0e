package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/internal/serverwords"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// noThin is the capability of servers that want packs which hold every base of their deltas.
const noThin = capability.Capability("no-thin")

// Push makes the commit the branch's tip, if the branch is still where the snapshot found it: on its commit,
// or not there at all. It may be repeated with the same commit: a commit that has arrived is success. When
// the answer is lost, the branch is looked at.
//
// The error is a *ConflictError when somebody else was faster, a *RejectedError when a rule of the server is
// against it, a *PermissionError when the credentials may only read, and else as that of [Fetch]: a server
// that reports a failure of its own is unreachable for the moment. When ctx is done its cause is returned
// within a second, and whether the push arrived is not known.
func (s *Snapshot) Push(ctx context.Context, c *Commit) error {
	e := s.endpoint
	session, adv, err := e.discover(ctx, receivePack)
	if err != nil {
		return err
	}
	defer session.close()
	switch tip := adv.branches[s.branch]; tip {
	case c.hash:
		return nil
	case s.expected():
	default:
		return s.conflict(tip, "")
	}
	packed, err := pack.Write(c.objects, !adv.supports(noThin))
	if err != nil {
		return err
	}
	request, err := s.pushRequest(adv, c, packed)
	if err != nil {
		return err
	}
	e.stats.pushes.Add(1)
	err = s.exchangePush(ctx, session, adv, request)
	if gone := e.interrupted(ctx); gone != nil {
		return gone
	}
	if unreachable, ok := errors.AsType[*git.UnreachableError](err); ok {
		return s.afterLostReply(ctx, c, unreachable)
	}
	if is[*git.ProtocolError](err) {
		return s.afterLostReply(ctx, c, err)
	}
	return err
}

// CheckPush asks the server whether these credentials may push, as far as it says so before a push: hosts
// that tell reading keys from writing ones do, a server that leaves it to file permissions or hooks does not.
// Nothing is sent to the repository.
//
// The error is a *PermissionError when they may not, and else as that of [Fetch].
func (s *Snapshot) CheckPush(ctx context.Context) error {
	session, adv, err := s.endpoint.discover(ctx, receivePack)
	if err != nil {
		return err
	}
	session.close()
	// A key that is bound to reading by a forced command gets git-upload-pack whatever it asks for. Only that
	// service has this capability (gitprotocol-capabilities(5)).
	if adv.supports(capability.MultiACK) {
		return &git.PermissionError{Remote: s.endpoint.name, Write: true,
			Server: "git-upload-pack, which only reads, runs in the place of git-receive-pack"}
	}
	return nil
}

// expected is what the branch has to be for the push: zero when it must not exist.
func (s *Snapshot) expected() plumbing.Hash {
	if s.state == git.BranchExists {
		return s.head
	}
	return plumbing.ZeroHash
}

func (s *Snapshot) conflict(tip plumbing.Hash, server string) *git.ConflictError {
	c := &git.ConflictError{Remote: s.endpoint.name, Branch: s.branch, Server: server}
	if expected := s.expected(); !expected.IsZero() {
		c.Expected = expected.String()
	}
	if !tip.IsZero() {
		c.Actual = tip.String()
	}
	return c
}

// pushRequest is the body of a receive-pack request (gitprotocol-pack(5), "Pushing Data To a Server").
func (s *Snapshot) pushRequest(adv *advertisement, c *Commit, packed []byte) ([]byte, error) {
	capabilities := []string{}
	for _, name := range []capability.Capability{capability.ReportStatus, capability.Sideband64k,
		capability.Quiet} {
		if adv.supports(name) {
			capabilities = append(capabilities, string(name))
		}
	}
	if adv.supports(capability.Agent) {
		capabilities = append(capabilities, "agent="+s.endpoint.agent)
	}
	var b bytes.Buffer
	enc := pktline.NewEncoder(&b)
	err := errors.Join(
		enc.Encodef("%s %s %s\x00 %s",
			s.expected(), c.hash, branchPrefix+s.branch, strings.Join(capabilities, " ")),
		enc.Flush(),
	)
	b.Write(packed)
	return b.Bytes(), err
}

// exchangePush sends the request and reads the report.
func (s *Snapshot) exchangePush(ctx context.Context, session session, adv *advertisement,
	request []byte) error {
	e := s.endpoint
	response, err := session.exchange(ctx, request)
	if err != nil {
		return session.explain(err)
	}
	if !adv.supports(capability.ReportStatus) {
		// Servers this old say nothing; whether it worked is seen by looking.
		io.Copy(io.Discard, response) // the branch tells
		return &git.UnreachableError{Remote: e.name, Reason: "the server does not report on pushes"}
	}
	var data, words limitedBuffer
	data.limit, words.limit = maxReport, maxReport
	if adv.supports(capability.Sideband64k) {
		err = e.demultiplex(session, response, pktline.NewScanner(response), &data, &words)
	} else if _, err = io.Copy(&data, response); err != nil && !errors.Is(err, errTooLarge) {
		err = session.explain(err)
	}
	if errors.Is(err, errTooLarge) {
		return &git.LimitError{Remote: e.name, What: "the report on the push", Limit: maxReport}
	}
	report := packp.NewReportStatus()
	if failed := report.Decode(bytes.NewReader(data.data)); failed != nil {
		switch {
		case err != nil:
			return s.unreported(err, string(words.data))
		case len(data.data) == 0:
			return s.unreported(session.explain(io.ErrUnexpectedEOF), string(words.data))
		}
		return &git.ProtocolError{Remote: e.name, Reason: "the server's report on the push is damaged"}
	}
	// A report that is whole counts, however the connection ended after it.
	return s.verdict(report, string(words.data))
}

// unreported is for a push that ended without a report, for the reason err. What the server said before tells
// more than that the connection ended: GitHub says "Internal Server Error" and no more.
func (s *Snapshot) unreported(err error, words string) error {
	unreachable, ok := errors.AsType[*git.UnreachableError](err)
	text := s.endpoint.useful(words)
	switch {
	case !ok || text == "":
		return err
	case serverwords.IsRule(text):
		return s.refused("no report on the push", words)
	case unreachable.Next == "":
		unreachable.Next = s.endpoint.afterIncident()
	}
	unreachable.Reason += serverwords.Said(text)
	return err
}

// maxReport bounds the report and the words beside it.
const maxReport = 1 << 20

// verdict reads the report.
func (s *Snapshot) verdict(report *packp.ReportStatus, words string) error {
	e := s.endpoint
	if report.UnpackStatus != "ok" {
		return s.notUnpacked(report.UnpackStatus, words)
	}
	for _, status := range report.CommandStatuses {
		if status.ReferenceName != plumbing.ReferenceName(branchPrefix+s.branch) {
			continue
		}
		if status.Status == "ok" {
			return nil
		}
		return s.declined(status.Status, words)
	}
	return &git.ProtocolError{Remote: e.name, Reason: "the server's report does not name the branch"}
}

// notUnpacked is for a report that says that the objects were not taken in.
func (s *Snapshot) notUnpacked(reason, words string) error {
	switch both := strings.ToLower(reason + "\n" + words); {
	case serverwords.IsRule(both):
		return s.refused("unpacking failed: "+reason, words)
	case noRight.MatchString(both):
		return s.noRight(reason, words)
	default:
		return s.incident("unpacking failed: "+reason, words)
	}
}

// Reasons that mean that the branch was not where it was expected to be, or is being moved by somebody else
// at this moment. They are git's own (builtin/receive-pack.c, refs/files-backend.c), JGit's and GitHub's.
var lostRaces = []string{
	"non-fast-forward", "fetch first", "stale info", "stale old", "already exists", "cannot lock ref",
	"failed to lock", "lock_failure", "lock failure", "lock error", "but expected", "unable to create",
	"unable to resolve reference", "reference changed", "failed to update ref", "incorrect old value",
}

// declined is for a report that gives a reason against the branch. A rule is told by its words, wherever they
// stand. A hook's refusal is one, too, unless the hook itself has failed.
func (s *Snapshot) declined(reason, words string) error {
	lower := strings.ToLower(reason)
	both := lower + "\n" + strings.ToLower(words)
	hook := strings.Contains(lower, "hook")
	switch {
	case serverwords.IsRule(both), hook && !brokenHooks.MatchString(both):
		return s.refused(reason, words)
	case hook, incidents.MatchString(both), slices.Contains(failedStatus, strings.TrimSpace(lower)):
		return s.incident(reason, words)
	case noRight.MatchString(both):
		return s.noRight(reason, words)
	case slices.ContainsFunc(lostRaces, func(sign string) bool { return strings.Contains(both, sign) }):
		return s.conflict(plumbing.ZeroHash, s.endpoint.clean(reason+"\n"+words))
	}
	return s.refused(reason, words)
}

// refused is for a rule of the server. A reason of several lines, as Azure DevOps gives, is one line and
// words.
func (s *Snapshot) refused(reason, words string) error {
	e := s.endpoint
	first, rest, _ := strings.Cut(e.useful(reason), "\n")
	if first == "" {
		first = "no reason given"
	}
	return &git.RejectedError{Remote: e.name, Branch: s.branch, Reason: first,
		Server: e.useful(rest + "\n" + words)}
}

// incident is for a failure of the server's own, which may pass.
func (s *Snapshot) incident(reason, words string) error {
	e := s.endpoint
	return &git.UnreachableError{
		Remote: e.name, Reason: fmt.Sprintf("the server could not take the push to %s: %s",
			s.branch, serverwords.OneLine(e.useful(reason+"\n"+words))),
		Next: e.afterIncident(),
	}
}

func (s *Snapshot) noRight(reason, words string) error {
	e := s.endpoint
	return &git.PermissionError{Remote: e.name, Write: true, Server: e.useful(reason + "\n" + words)}
}

// afterLostReply looks at the branch when it is not known whether a push arrived.
func (s *Snapshot) afterLostReply(ctx context.Context, c *Commit, lost error) error {
	e := s.endpoint
	e.transport.close()
	session, adv, err := e.discover(ctx, uploadPack)
	if gone := e.interrupted(ctx); gone != nil {
		return gone
	}
	if err != nil {
		if u, ok := errors.AsType[*git.UnreachableError](lost); ok {
			unknown := *u
			unknown.OutcomeUnknown = true
			return &unknown
		}
		return lost
	}
	session.close()
	switch tip := adv.branches[s.branch]; tip {
	case c.hash:
		return nil
	case s.expected():
		return lost
	default:
		return s.conflict(tip, "")
	}
}
