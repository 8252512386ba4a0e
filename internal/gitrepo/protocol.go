package gitrepo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/internal/serverwords"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
)

// advertisement is what a service says first: what it can do, and the repository's references
// (gitprotocol-pack(5), "Reference Discovery"). Version 0 of the protocol is used, because a session then has
// one request and one response, and because it is what every server speaks, also through an sshd that passes
// no environment on.
type advertisement struct {
	can        map[string]string // capability to value
	head       plumbing.Hash     // what HEAD is; zero when HEAD names no commit
	headTarget string            // the branch that HEAD names, when the server says so
	branches   map[string]plumbing.Hash
	shallow    []plumbing.Hash // commits whose parents the server itself does not have
}

// maxAdvertisement bounds the list of references in bytes: about a million of them.
const maxAdvertisement = 64 << 20

const branchPrefix = "refs/heads/"

// discover opens a session and reads the list of references.
func (e *endpoint) discover(ctx context.Context, svc service) (session, *advertisement, error) {
	s, err := e.transport.open(ctx, svc)
	if err != nil {
		if gone := e.interrupted(ctx); gone != nil {
			return nil, nil, gone
		}
		if errors.Is(err, errSilent) {
			err = &git.UnreachableError{Remote: e.name, Reason: "the server did not answer in time"}
		}
		return nil, nil, e.networkError("connecting", err)
	}
	adv, err := e.readAdvertisement(s)
	if err != nil {
		if gone := e.interrupted(ctx); gone != nil {
			err = gone
		}
		s.close()
		return nil, nil, err
	}
	return s, adv, nil
}

func (e *endpoint) readAdvertisement(s session) (*advertisement, error) {
	adv := &advertisement{can: map[string]string{}, branches: map[string]plumbing.Hash{}}
	limited := &io.LimitedReader{R: s.refs(), N: maxAdvertisement}
	lines := pktline.NewScanner(limited)
	first, service := true, false
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\n"))
		switch {
		case len(line) == 0 && service:
			service = false // HTTP has a flush packet after the service line
			continue
		case len(line) == 0:
			// Without any line before, it is a repository without anything, as servers before git 2.14 say
			// it.
			return adv, nil
		case bytes.HasPrefix(line, []byte("# service=")):
			service = true
			continue
		case string(line) == "version 1":
			continue
		}
		if err := e.readReference(adv, line, first); err != nil {
			return nil, err
		}
		first = false
	}
	var refused *pktline.ErrorLine
	switch err := lines.Err(); {
	case errors.As(err, &refused):
		return nil, e.refusal(sessionService(s), refused.Text)
	case malformed(err, s.refs()):
		return nil, &git.ProtocolError{Remote: e.name, Reason: "what answers does not speak Git"}
	case limited.N <= 0:
		return nil, &git.LimitError{Remote: e.name, What: "the list of references", Limit: maxAdvertisement}
	default:
		return nil, s.explain(cutOff(err))
	}
}

// cutOff is the raw error of a stream that ended too early: a length that is cut off is no more than that.
func cutOff(err error) error {
	if err == nil || errors.Is(err, pktline.ErrInvalidPktLen) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func sessionService(s session) service {
	switch s := s.(type) {
	case *sshSession:
		return s.svc
	case *httpsSession:
		return s.svc
	}
	return uploadPack
}

// readReference takes "HASH NAME", in the first line followed by NUL and the capabilities.
func (e *endpoint) readReference(adv *advertisement, line []byte, first bool) error {
	const hashLength = 2 * len(plumbing.Hash{})
	text, capabilities, _ := strings.Cut(string(line), "\x00")
	if first {
		for c := range strings.FieldsSeq(capabilities) {
			name, value, _ := strings.Cut(c, "=")
			if target, ok := strings.CutPrefix(value, "HEAD:"+branchPrefix); name == "symref" && ok {
				adv.headTarget = target
			}
			adv.can[name] = value
		}
		if format := adv.can["object-format"]; format != "" && format != "sha1" {
			return &git.ProtocolError{Remote: e.name, Reason: "the repository's objects are named with " +
				cleanLine(format) + "; only sha1 is supported"}
		}
	}
	if end, shallow := strings.CutPrefix(text, "shallow "); shallow {
		if plumbing.IsHash(end) && len(adv.shallow) < maxShallow {
			adv.shallow = append(adv.shallow, plumbing.NewHash(end))
		}
		return nil
	}
	hash, name, ok := strings.Cut(text, " ")
	if !ok || len(hash) != hashLength {
		return &git.ProtocolError{Remote: e.name, Reason: "what answers does not speak Git"}
	}
	var h plumbing.Hash
	if _, err := hex.Decode(h[:], []byte(hash)); err != nil {
		return &git.ProtocolError{Remote: e.name, Reason: "what answers does not speak Git"}
	}
	if branch, ok := strings.CutPrefix(name, branchPrefix); ok {
		adv.branches[branch] = h
	} else if name == "HEAD" {
		adv.head = h
	}
	return nil
}

func (a *advertisement) supports(c capability.Capability) bool {
	_, ok := a.can[string(c)]
	return ok
}

// defaultBranch is the branch that HEAD names. Servers before git 1.8.4.3 do not say; then it is the one
// branch with HEAD's commit.
func (a *advertisement) defaultBranch() string {
	if a.headTarget != "" || a.head.IsZero() {
		return a.headTarget
	}
	found := ""
	for name, h := range a.branches {
		if h == a.head && (found == "" || name == "main" || name == "master" && found != "main") {
			found = name
		}
	}
	return found
}

// wants is what a fetch asks for.
type wants struct {
	objects []plumbing.Hash
	depth   int
	filter  packp.Filter
	limit   int64 // of the transfer in bytes; zero is that of the endpoint
	// shallow are the commits whose parents we do not have, and have is a commit that we have, with all that
	// the filter lets through.
	shallow []plumbing.Hash
	have    plumbing.Hash
}

// transfer is what a fetch brings.
type transfer struct {
	pack *pack.Data
	// shallow are commits that are sent without their parents; unshallow are earlier ones whose parents come
	// now.
	shallow, unshallow []plumbing.Hash
}

// request is the body of an upload-pack request (gitprotocol-pack(5), "Packfile Negotiation").
func (w wants) request(adv *advertisement, agent string) ([]byte, error) {
	capabilities := []string{}
	// Azure DevOps answers only clients that say multi_ack_detailed; without anything in common it changes
	// nothing in the answer.
	for _, c := range []capability.Capability{capability.MultiACKDetailed, capability.Sideband64k,
		capability.OFSDelta, capability.NoProgress} {
		if adv.supports(c) {
			capabilities = append(capabilities, string(c))
		}
	}
	if w.filter != "" {
		capabilities = append(capabilities, string(capability.Filter))
	}
	if adv.supports(capability.Agent) {
		capabilities = append(capabilities, "agent="+agent)
	}
	var b bytes.Buffer
	enc := pktline.NewEncoder(&b)
	var err error
	for i, h := range w.objects {
		if i == 0 {
			err = errors.Join(err, enc.Encodef("want %s %s\n", h, strings.Join(capabilities, " ")))
		} else {
			err = errors.Join(err, enc.Encodef("want %s\n", h))
		}
	}
	for _, h := range w.shallow {
		err = errors.Join(err, enc.Encodef("shallow %s\n", h))
	}
	if w.depth > 0 {
		err = errors.Join(err, enc.Encodef("deepen %d\n", w.depth))
	}
	if w.filter != "" {
		err = errors.Join(err, enc.Encodef("filter %s\n", w.filter))
	}
	err = errors.Join(err, enc.Flush())
	if !w.have.IsZero() {
		err = errors.Join(err, enc.Encodef("have %s\n", w.have))
	}
	err = errors.Join(err, enc.EncodeString("done\n"))
	return b.Bytes(), err
}

// errNotOurs says that the server does not give an object out: the branch has moved, or it gives out tips
// only.
var errNotOurs = errors.New("not our ref")

// download sends the request and reads the pack. Its errors are ours, or errNotOurs, or the caller's
// cancellation.
func (e *endpoint) download(ctx context.Context, s session, adv *advertisement, w wants) (*transfer, error) {
	got, err := e.exchangePack(ctx, s, adv, w)
	if err != nil {
		if gone := e.interrupted(ctx); gone != nil {
			return nil, gone
		}
		return nil, err
	}
	e.stats.fetches.Add(1)
	return got, nil
}

func (e *endpoint) exchangePack(ctx context.Context, s session, adv *advertisement,
	w wants) (*transfer, error) {
	request, err := w.request(adv, e.agent)
	if err != nil {
		return nil, fmt.Errorf("%s: asking for objects: %w", e.name, err)
	}
	response, err := s.exchange(ctx, request)
	if err != nil {
		return nil, s.explain(err)
	}
	lines := pktline.NewScanner(response)
	got := &transfer{}
	if err := e.readNegotiation(s, response, lines, got); err != nil {
		return nil, err
	}
	received := limitedPack{limit: e.limits.Pack}
	if w.limit > 0 {
		received.limit = min(received.limit, w.limit)
	}
	if adv.supports(capability.Sideband64k) {
		err = e.demultiplex(s, response, lines, &received, nil)
	} else if _, err = io.Copy(&received, response); err != nil && !errors.Is(err, errTooLarge) {
		err = s.explain(err)
	}
	switch {
	case errors.Is(err, errTooLarge):
		return nil, &git.LimitError{Remote: e.name, What: "the transfer", Limit: received.limit}
	case err != nil:
		return nil, err
	case received.data.Len() == 0:
		return nil, s.explain(io.ErrUnexpectedEOF)
	}
	got.pack = &received.data
	return got, nil
}

// maxShallow bounds the commits that a server may say it cuts the history off at.
const maxShallow = 100_000

// readNegotiation reads the shallow lines and the acknowledgement before a pack. With multi_ack_detailed,
// acknowledgements with a word behind them come before the last one.
func (e *endpoint) readNegotiation(s session, response io.Reader, lines *pktline.Scanner,
	got *transfer) error {
	for lines.Scan() {
		line := string(bytes.TrimSuffix(lines.Bytes(), []byte("\n")))
		name, isShallow := strings.CutPrefix(line, "shallow ")
		back, isUnshallow := strings.CutPrefix(line, "unshallow ")
		switch {
		case line == "":
		case (isShallow || isUnshallow) && len(got.shallow)+len(got.unshallow) >= maxShallow:
			return &git.ProtocolError{Remote: e.name,
				Reason: "the server cuts the history off in too many places"}
		case isShallow && plumbing.IsHash(name):
			got.shallow = append(got.shallow, plumbing.NewHash(name))
		case isUnshallow && plumbing.IsHash(back):
			got.unshallow = append(got.unshallow, plumbing.NewHash(back))
		case strings.HasPrefix(line, "ACK ") && len(strings.Fields(line)) > 2:
		case line == "NAK", strings.HasPrefix(line, "ACK "):
			return nil
		default:
			return &git.ProtocolError{Remote: e.name,
				Reason: "the server answers a fetch with something else"}
		}
	}
	var refused *pktline.ErrorLine
	switch err := lines.Err(); {
	case errors.As(err, &refused) && strings.Contains(refused.Text, "not our ref"):
		return errNotOurs
	case errors.As(err, &refused):
		return e.refusal(uploadPack, refused.Text)
	case malformed(err, response):
		return &git.ProtocolError{Remote: e.name, Reason: "the server answers a fetch with something else"}
	default:
		return e.streamEnd(s, cutOff(err))
	}
}

// streamEnd explains why a response ended. A server that does not give an object out may say so beside the
// stream only.
func (e *endpoint) streamEnd(s session, err error) error {
	err = s.explain(err)
	if rejected, ok := errors.AsType[*git.RejectedError](err); ok &&
		strings.Contains(rejected.Reason, "not our ref") {
		return errNotOurs
	}
	return err
}

// Bands of the side-band capability (gitprotocol-pack(5), "Packfile Data").
const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

// demultiplex splits a response into data and words for the user. It returns at the flush packet that ends
// it.
func (e *endpoint) demultiplex(s session, response io.Reader, lines *pktline.Scanner,
	data, words io.Writer) error {
	for lines.Scan() {
		packet := lines.Bytes()
		if len(packet) == 0 {
			return nil
		}
		switch packet[0] {
		case bandData:
			if _, err := data.Write(packet[1:]); err != nil {
				return err
			}
		case bandProgress:
			if words != nil {
				words.Write(packet[1:])
			}
		case bandError:
			return e.fatal(s, string(packet[1:]))
		default:
			return &git.ProtocolError{Remote: e.name, Reason: "the server's answer is damaged"}
		}
	}
	var refused *pktline.ErrorLine
	switch err := lines.Err(); {
	case errors.As(err, &refused):
		return e.fatal(s, refused.Text)
	case malformed(err, response):
		return &git.ProtocolError{Remote: e.name, Reason: "the server's answer is damaged"}
	default:
		return s.explain(cutOff(err))
	}
}

// fatal is what a server says when it gives up in the middle of an answer: its own failure, which may go
// away, unless it names a reason that we know.
func (e *endpoint) fatal(s session, text string) error {
	err := e.refusal(sessionService(s), text)
	if is[*git.RejectedError](err) {
		if serverwords.IsRule(text) {
			return err
		}
		return &git.UnreachableError{Remote: e.name,
			Reason: "the server gave up" + serverwords.Said(e.clean(text)), Next: e.afterIncident()}
	}
	return err
}

// limitedPack collects a pack up to a limit.
type limitedPack struct {
	data  pack.Data
	limit int64
}

var errTooLarge = errors.New("too large")

func (p *limitedPack) Write(b []byte) (int, error) {
	if int64(p.data.Len()+len(b)) > p.limit {
		return 0, errTooLarge
	}
	return p.data.Write(b)
}

// limitedBuffer collects the few bytes of a report up to a limit.
type limitedBuffer struct {
	data  []byte
	limit int64
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if int64(len(b.data)+len(p)) > b.limit {
		return 0, errTooLarge
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
