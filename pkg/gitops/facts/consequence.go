package facts

// Consequence is what becomes of one object of the management cluster when Flux applies what is, or is going to be, in Git.
// Of creations and changes only Clusters are told, of deletions every object.
type Consequence struct {
	Object string `json:"object"` // kind namespace/name
	// Change is create, change or delete.
	Change string `json:"change"`
	// File is where the object is, or was, in the repository; empty when that is not known.
	File string `json:"file,omitempty"`
	// Asked says that the run was told to do that; nothing else is done.
	Asked bool `json:"asked"`
}

// The changes of a [Consequence].
const (
	ConsequenceCreate = "create"
	ConsequenceChange = "change"
	ConsequenceDelete = "delete"
)
