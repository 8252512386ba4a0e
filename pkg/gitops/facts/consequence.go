package facts

// Consequence is what becomes of one object of the management cluster when Flux applies what is, or is going
// to be, in Git. Of creations and changes only Clusters are told, of deletions every object.
type Consequence struct {
	Object string          `json:"object"` // kind namespace/name
	Change ConsequenceKind `json:"change"` // what happens to it
	// File is where the object is, or was, in the repository; none when that is not known.
	File string `json:"file,omitempty"`
	// Asked says that the run was told to do that; nothing else is done.
	Asked bool `json:"asked"`
}

// ConsequenceKind is what happens to an object.
type ConsequenceKind string

// The kinds of consequences.
const (
	ConsequenceCreate ConsequenceKind = "create"
	ConsequenceChange ConsequenceKind = "change"
	ConsequenceDelete ConsequenceKind = "delete"
)
