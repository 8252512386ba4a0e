package layout

// FileChange is one file that a run writes: into the repository, or beside the user's own.
type FileChange struct {
	Path   string         `json:"path"`           // in the repository, or on this machine
	Change FileChangeKind `json:"change"`         // what happens to it
	Before []byte         `json:"-"`              // its content; nil when there was none
	After  []byte         `json:"-"`              // its content; nil when there is none any more
	Diff   string         `json:"diff,omitempty"` // unified; in a dry run
}

// FileChangeKind is what happens to a file.
type FileChangeKind string

// The kinds of file changes.
const (
	FileAdd    FileChangeKind = "add"
	FileModify FileChangeKind = "modify"
	FileDelete FileChangeKind = "delete"
	// FileKeep is for a file of the user's that was edited since the run has read it, and stays as it is.
	FileKeep FileChangeKind = "keep"
)
