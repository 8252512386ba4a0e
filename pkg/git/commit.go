package git

import (
	"strings"
	"time"
)

// Edit is one change of a file: written with this content, or deleted. A file that exists keeps its mode, a
// new one is not executable. Deleting what is not there is no change; directories that become empty go away.
type Edit struct {
	Path    string
	Content []byte
	Delete  bool
}

// Identity is who made a commit.
type Identity struct{ Name, Email string }

// CommitOptions are what a commit says about itself.
type CommitOptions struct {
	Message   string // a line feed is added at its end when it has none
	Author    Identity
	Committer Identity  // the author when empty
	When      time.Time // in seconds; its time zone is kept
}

// CommitInfo is what a commit says about itself. Its texts are as they are in the repository: not made fit to
// be shown.
type CommitInfo struct {
	Hash    string // in hexadecimal
	Author  Identity
	When    time.Time // of the committer: when it came into being in this form
	Subject string    // the first line of the message
}

// Revision is a commit that changed a path.
type Revision struct {
	// Commit is its name in hexadecimal.
	Commit string
	// Author, AuthorEmail and When are what the commit says about who made the change and when. Anybody who
	// can push can write anything there.
	Author      string
	AuthorEmail string
	When        time.Time
	// Message is the whole message without control characters other than line feeds.
	Message string
	// Trailers are the "Key: value" lines at the end of the message, in their order
	// (git-interpret-trailers(1)).
	Trailers []Trailer
	// BlobID is the name of the file that the commit left at the path, in hexadecimal; empty when it left
	// none.
	BlobID string
	// Deleted says that the commit left nothing at the path.
	Deleted bool
}

// Trailer is one line of the last paragraph of a commit message.
type Trailer struct{ Key, Value string }

// Trailer returns the values of a trailer, of which the key's case does not matter, in their order.
func (r Revision) Trailer(key string) []string {
	var values []string
	for _, t := range r.Trailers {
		if strings.EqualFold(t.Key, key) {
			values = append(values, t.Value)
		}
	}
	return values
}
