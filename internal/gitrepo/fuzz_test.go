package gitrepo

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo/internal/pack"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// scripted is a server that says what it is told to, whatever it is asked.
type scripted struct {
	e                  *endpoint
	list, fetch, push_ []byte
}

func (s *scripted) open(_ context.Context, svc service) (session, error) {
	return &scriptedSession{s: s, svc: svc}, nil
}
func (s *scripted) close() {}

type scriptedSession struct {
	s   *scripted
	svc service
}

func (s *scriptedSession) refs() io.Reader { return bytes.NewReader(s.s.list) }
func (s *scriptedSession) exchange(context.Context, []byte) (io.Reader, error) {
	if s.svc == receivePack {
		return bytes.NewReader(s.s.push_), nil
	}
	return bytes.NewReader(s.s.fetch), nil
}
func (s *scriptedSession) explain(err error) error {
	return s.s.e.networkError("talking to the server", err)
}
func (s *scriptedSession) close() {}

// packets frames lines as git does; an empty one is a flush.
func packets(lines ...string) []byte {
	var b bytes.Buffer
	enc := pktline.NewEncoder(&b)
	for _, line := range lines {
		if line == "" {
			enc.Flush()
			continue
		}
		enc.EncodeString(line)
	}
	return b.Bytes()
}

// Whatever a Git server says, a fetch, an edit and a push end; and what is told of it is short, printable and
// without the token.
func FuzzServer(f *testing.F) {
	const token = "ghp_sentinel"
	encoded := base64.StdEncoding.EncodeToString([]byte("git:" + token))
	dir := history(f)
	head := strings.TrimSpace(string(runGit(f, dir, nil, "rev-parse", "main")))
	names := runGit(f, dir, nil, "rev-list", "--objects", "--no-object-names", "--max-count=1", "main")
	packed := string(runGit(f, dir, names, "pack-objects", "--stdout", "--quiet"))
	list := packets(head+
		" HEAD\x00shallow side-band-64k ofs-delta report-status agent=git/2 symref=HEAD:refs/heads/main\n",
		head+" refs/heads/main\n", "")
	f.Add(list, packets("shallow "+head+"\n", "", "NAK\n", "\x02counting\r", "\x01"+packed[:100],
		"\x01"+packed[100:], ""),
		packets("\x01"+string(packets("unpack ok\n", "ok refs/heads/main\n", "")), ""))
	f.Add(list, packets("NAK\n", "\x03"+token+" \x1b]0;x\x07"), packets("\x02remote: \x1b[2J"+encoded+"\n",
		"\x01"+string(packets("unpack ok\n", "ng refs/heads/main hook \x9b declined\n", "")), ""))
	f.Add(packets("ERR access denied "+token+"\n"), []byte("0000"), []byte("0004"))
	f.Add(packets(head+" refs/heads/\u202e\x1b[31m\x00 object-format=\x1b[31m\n", ""),
		packets("ERR upload-pack: not our ref "+head), []byte{})
	f.Add(list, packets("NAK\n", "\x03remote: ghp_\x00sent\x1b[0minel"), []byte("0000"))
	f.Add(packets("# service=git-upload-pack\n", "", head+" HEAD\x00\n", ""), []byte("<html>"),
		[]byte("ffff"))
	f.Fuzz(func(t *testing.T, list, fetch, push []byte) {
		limits := Limits{Pack: 1 << 20, Object: 1 << 18, File: 1 << 18, Inflated: 4 << 20}.withDefaults()
		e := &endpoint{name: "https://git.example.com/x", agent: "x/1", limits: limits, stats: &Stats{}}
		e.secrets.Know(token, encoded)
		e.transport = &scripted{e, list, fetch, push}
		told := func(what string, err error) {
			if err == nil {
				return
			}
			text := err.Error() + hint.Of(err).String()
			if strings.Contains(text, token) || strings.Contains(text, encoded) {
				t.Fatalf("%s tells the token: %q", what, text)
			}
			if len(text) > 3*maxServerText {
				t.Fatalf("%s tells %d bytes", what, len(text))
			}
			for _, r := range text {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
					t.Fatalf("%s tells %U in %q", what, r, text)
				}
			}
		}
		ctx := t.Context()
		s := &Snapshot{endpoint: e, branch: "main", objects: pack.NewObjects(limits.ofPacks()),
			files: map[plumbing.Hash][]byte{}}
		if err := s.fetch(ctx); err != nil {
			told("fetching", err)
			return
		}
		told("asking for the right to push", s.CheckPush(ctx))
		entries, err := s.List("")
		told("listing", err)
		for _, entry := range entries[:min(3, len(entries))] {
			_, err := s.Read(ctx, entry.Path)
			told("reading "+fmt.Sprintf("%q", entry.Path), err)
		}
		commit, err := s.Commit([]git.Edit{{Path: "clusters/x", Content: []byte("x")}},
			git.CommitOptions{Message: "x", Author: git.Identity{Name: "x", Email: "x@example.com"}})
		told("committing", err)
		if err == nil {
			told("pushing", s.Push(ctx, commit))
		}
	})
}
