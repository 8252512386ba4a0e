package gittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Repo is a bare repository on the server's disk.
type Repo struct {
	server *Server

	mu     sync.Mutex
	name   string
	dir    string
	counts Counts
}

// Counts are the Git sessions of a repository since it was made, over all transports.
type Counts struct {
	Fetches  int // upload-pack sessions that sent a pack
	OverHTTP int // those of the fetches that were over HTTPS
	Pushes   int // receive-pack sessions in which the client sent commands, accepted or refused
	Sessions int // sessions of either service, those that only read the list of references included
	// BytesSent and BytesReceived are the Git payload from the server's view, without the overhead of TLS,
	// HTTP and SSH.
	BytesSent     int64
	BytesReceived int64
}

// Sub returns what was added since earlier.
func (c Counts) Sub(earlier Counts) Counts {
	return Counts{
		Fetches:       c.Fetches - earlier.Fetches,
		OverHTTP:      c.OverHTTP - earlier.OverHTTP,
		Pushes:        c.Pushes - earlier.Pushes,
		Sessions:      c.Sessions - earlier.Sessions,
		BytesSent:     c.BytesSent - earlier.BytesSent,
		BytesReceived: c.BytesReceived - earlier.BytesReceived,
	}
}

// RepoOption changes how a repository is made.
type RepoOption func(*repoOptions)

type repoOptions struct {
	branch  string
	commits []Change
	config  [][2]string
}

// DefaultBranch sets the branch that HEAD names; the default is main.
func DefaultBranch(name string) RepoOption {
	return func(o *repoOptions) { o.branch = name }
}

// WithFiles gives the repository one commit on its default branch with these files.
func WithFiles(files map[string]string) RepoOption {
	return WithCommits(Change{Message: "Initial commit", Files: files})
}

// WithCommits gives the repository these commits; a change without a branch goes to the default branch.
func WithCommits(changes ...Change) RepoOption {
	return func(o *repoOptions) { o.commits = append(o.commits, changes...) }
}

// WithConfig sets a git configuration key of the repository.
func WithConfig(key, value string) RepoOption {
	return func(o *repoOptions) { o.config = append(o.config, [2]string{key, value}) }
}

// Filters and wants of any object are allowed, as GitHub allows them. Nothing runs in the background, because
// a test's directory is removed when it ends.
const repoConfig = `[http]
	receivepack = true
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[receive]
	autogc = false
[gc]
	auto = 0
[maintenance]
	auto = false
[core]
	fsync = none
	logAllRefUpdates = true
`

func (r *Repo) init(ctx context.Context, o repoOptions) error {
	if err := os.MkdirAll(filepath.Dir(r.dir), 0o700); err != nil {
		return err
	}
	env := isolatedEnv(filepath.Join(r.server.dir, "home"))
	if _, err := runGit(ctx, r.server.dir, env, nil, "init", "--quiet", "--bare", "--template=",
		"--initial-branch="+o.branch, r.dir); err != nil {
		return err
	}
	config := filepath.Join(r.dir, "config")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(repoConfig)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, kv := range o.config {
		if _, err := r.git(nil, "config", kv[0], kv[1]); err != nil {
			return err
		}
	}
	for i := range o.commits {
		if o.commits[i].Branch == "" {
			o.commits[i].Branch = o.branch
		}
	}
	if len(o.commits) > 0 {
		_, err = r.commit(o.commits)
	}
	return err
}

// Name is the repository's present name, such as acme/fleet.
func (r *Repo) Name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.name
}

// Dir is the path of the bare repository on disk.
func (r *Repo) Dir() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dir
}

// Counts returns the sessions so far.
func (r *Repo) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

func (r *Repo) count(add func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.counts)
}

func (r *Repo) git(stdin []byte, args ...string) (string, error) {
	return runGit(r.server.ctx, r.Dir(), isolatedEnv(filepath.Join(r.server.dir, "home")), stdin, args...)
}

// Git runs a git command in the bare repository and returns its standard output.
func (r *Repo) Git(args ...string) string {
	out, err := r.git(nil, args...)
	r.server.must(err)
	return out
}

// TryGit is Git for commands that may fail; the error is then a *CommandError.
func (r *Repo) TryGit(stdin []byte, args ...string) (string, error) { return r.git(stdin, args...) }

// Change is one commit to be made on a branch.
type Change struct {
	// default: the repository's default branch; made when it does not exist, from nothing
	Branch  string
	Message string            // default: "Change"
	Files   map[string]string // path to content, added or replaced
	Delete  []string          // files or directories removed first
	Author  string            // default: Test User
	Email   string            // default: test@example.com
	When    time.Time         // default: now
}

// Commit writes commits directly into the repository, as a user whom no hook or rule stops, and returns the
// last one's hash. It is not counted as a session.
func (r *Repo) Commit(changes ...Change) string {
	sha, err := r.commit(changes)
	r.server.must(err)
	return sha
}

func (r *Repo) commit(changes []Change) (string, error) {
	var in strings.Builder
	last := ""
	seen := map[string]bool{}
	for _, c := range changes {
		if c.Branch == "" {
			c.Branch = r.DefaultBranch()
		}
		last = c.Branch
		writeFastImport(&in, c, !seen[c.Branch] && r.Head(c.Branch) != "")
		seen[c.Branch] = true
	}
	if last == "" {
		return "", errors.New("no change to commit")
	}
	in.WriteString("done\n")
	if _, err := r.git([]byte(in.String()), "fast-import", "--quiet", "--done"); err != nil {
		return "", fmt.Errorf("committing to %s: %w", r.Name(), err)
	}
	return r.Head(last), nil
}

// writeFastImport writes one commit in the format of git-fast-import(1).
func writeFastImport(in *strings.Builder, c Change, onExisting bool) {
	if c.Message == "" {
		c.Message = "Change"
	}
	if c.Author == "" {
		c.Author = "Test User"
	}
	if c.Email == "" {
		c.Email = "test@example.com"
	}
	if c.When.IsZero() {
		c.When = time.Now()
	}
	if !strings.HasSuffix(c.Message, "\n") {
		c.Message += "\n"
	}
	data := func(s string) { fmt.Fprintf(in, "data %d\n%s\n", len(s), s) }
	fmt.Fprintf(in, "commit refs/heads/%s\n", c.Branch)
	fmt.Fprintf(in, "committer %s <%s> %d +0000\n", c.Author, c.Email, c.When.Unix())
	data(c.Message)
	if onExisting {
		fmt.Fprintf(in, "from refs/heads/%s^0\n", c.Branch)
	}
	for _, path := range c.Delete {
		fmt.Fprintf(in, "D %s\n", quotePath(path))
	}
	paths := make([]string, 0, len(c.Files))
	for path := range c.Files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		fmt.Fprintf(in, "M 100644 inline %s\n", quotePath(path))
		data(c.Files[path])
	}
	in.WriteString("\n")
}

// quotePath writes a path in the quoted form of git-fast-import(1).
func quotePath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// DefaultBranch returns the branch that HEAD names, whether it exists or not.
func (r *Repo) DefaultBranch() string {
	head, err := os.ReadFile(filepath.Join(r.Dir(), "HEAD"))
	r.server.must(err)
	return strings.TrimPrefix(strings.TrimSpace(string(head)), "ref: refs/heads/")
}

// SetDefaultBranch makes HEAD name another branch, which need not exist.
func (r *Repo) SetDefaultBranch(name string) { r.Git("symbolic-ref", "HEAD", "refs/heads/"+name) }

// Head returns the hash of the commit at the tip of a branch, or "" when there is no such branch.
func (r *Repo) Head(branch string) string { return r.Resolve("refs/heads/" + branch) }

// Resolve returns the hash of the commit that a revision names, or "" when it names none.
func (r *Repo) Resolve(rev string) string {
	out, err := r.git(nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	var failed *CommandError
	if errors.As(err, &failed) {
		return ""
	}
	r.server.must(err)
	return strings.TrimSpace(out)
}

// Branches returns the names of all branches, sorted.
func (r *Repo) Branches() []string {
	return lines(r.Git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"))
}

// DeleteBranch removes a branch.
func (r *Repo) DeleteBranch(name string) { r.Git("update-ref", "-d", "refs/heads/"+name) }

// Paths returns the paths of all files at a revision, sorted. A revision that does not exist has none.
func (r *Repo) Paths(rev string) []string {
	if r.Resolve(rev) == "" {
		return nil
	}
	return strings.FieldsFunc(r.Git("ls-tree", "-r", "-z", "--name-only", rev), func(c rune) bool {
		return c == 0
	})
}

// Files returns all files at a revision: path to content. A revision that does not exist has none.
func (r *Repo) Files(rev string) map[string]string {
	files := map[string]string{}
	paths := r.Paths(rev)
	if len(paths) == 0 {
		return files
	}
	var in strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&in, "%s:%s\n", rev, p)
	}
	out, err := r.git([]byte(in.String()), "cat-file", "--batch")
	if !r.server.must(err) {
		return files
	}
	for _, p := range paths {
		header, rest, _ := strings.Cut(out, "\n")
		size, err := strconv.Atoi(header[strings.LastIndex(header, " ")+1:])
		if !r.server.must(err) {
			return files
		}
		files[p], out = rest[:size], rest[size+1:]
	}
	return files
}

// File returns one file at a revision, and false when there is none.
func (r *Repo) File(rev, path string) (string, bool) {
	out, err := r.git(nil, "cat-file", "blob", rev+":"+path)
	var failed *CommandError
	if errors.As(err, &failed) {
		return "", false
	}
	r.server.must(err)
	return out, true
}

// LogEntry is one commit.
type LogEntry struct {
	Hash           string
	Parents        []string
	Author         string
	AuthorEmail    string
	Committer      string
	CommitterEmail string
	When           time.Time // of the commit, in UTC
	Message        string    // whole, without the final line feed
}

// Subject is the first line of the message.
func (e LogEntry) Subject() string {
	subject, _, _ := strings.Cut(e.Message, "\n")
	return subject
}

// The fields of a LogEntry, apart by the unit separator.
const logFormat = "%H%x1f%P%x1f%an%x1f%ae%x1f%cn%x1f%ce%x1f%ct%x1f%B"

// Log returns the commits reachable from a revision, newest first. A revision that does not exist has none.
func (r *Repo) Log(rev string) []LogEntry { return r.LogN(rev, 0) }

// LogN is Log for at most n commits, 0 for all, and of those that change the paths given, if any.
func (r *Repo) LogN(rev string, n int, paths ...string) []LogEntry {
	if r.Resolve(rev) == "" {
		return nil
	}
	args := []string{"log", "-z", "--format=" + logFormat}
	if n > 0 {
		args = append(args, "--max-count="+strconv.Itoa(n))
	}
	args = append(append(args, rev, "--"), paths...)
	var log []LogEntry
	for record := range strings.SplitSeq(r.Git(args...), "\x00") {
		f := strings.SplitN(record, "\x1f", 8)
		if len(f) != 8 {
			continue
		}
		seconds, err := strconv.ParseInt(f[6], 10, 64)
		r.server.must(err)
		log = append(log, LogEntry{
			Hash: f[0], Parents: strings.Fields(f[1]), Author: f[2], AuthorEmail: f[3], Committer: f[4],
			CommitterEmail: f[5], When: time.Unix(seconds, 0).UTC(), Message: strings.TrimRight(f[7], "\n"),
		})
	}
	return log
}

// SetHook installs a hook, such as pre-receive, from the text of its script. An empty text removes it.
func (r *Repo) SetHook(name, script string) {
	path := filepath.Join(r.Dir(), "hooks", name)
	if script == "" {
		if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
			r.server.must(err)
		}
		return
	}
	r.server.must(writeScript(path, script))
}

// writeScript writes an executable by way of a new name: a script that another process has open for writing
// cannot be run.
func writeScript(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func lines(out string) []string {
	return strings.FieldsFunc(out, func(c rune) bool { return c == '\n' })
}
