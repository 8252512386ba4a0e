package layout

// FileChange is how one file changes, in the repository or beside the person who runs the program.
type FileChange struct {
	Path   string `json:"path"`
	Change string `json:"change"` // add, modify or delete; of a local file that was edited during the run keep
	Before []byte `json:"-"`
	After  []byte `json:"-"`
	Diff   string `json:"diff,omitempty"` // unified; in a dry run
}

// ChangeDelete is the kind of a [FileChange] that takes a file away.
const ChangeDelete = "delete"
