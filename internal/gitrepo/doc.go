// Package gitrepo reads and changes a branch of a remote Git repository without a work tree, over HTTPS and
// SSH. It is the only importer of go-git.
//
//	snapshot, err := gitrepo.Fetch(ctx, remote, "main") // one shallow transfer into memory
//	same, err := snapshot.Holds("clusters/dev/eksa-system/eksa-cluster.yaml", content)
//	commit, err := snapshot.Commit([]git.Edit{{Path: path, Content: content}}, options) // ErrNoChange
//	err = snapshot.Push(ctx, commit) // *ConflictError: fetch again and repeat
//
// A run is one fetch and one push. Its cost is in proportion to the files that it touches and the number of
// directories, not to the files in the repository or the length of the history: the fetch is shallow and
// leaves out the contents of files where the server allows it, a commit is made by editing directory objects,
// and the push sends the new objects only, directories as differences.
//
// What a path was before is found by deepening the shallow fetch step by step, as far as the question needs
// it:
//
//	revisions, err := snapshot.History(ctx, path, 10) // the commits that changed it, newest first
//	content, err := snapshot.ReadAt(ctx, revisions[0].Commit, path)
//
// # Promises
//
// A push is a compare-and-swap on the branch's tip: what somebody else pushed meanwhile is never lost. After
// a lost reply, and after a failure that the server reports, the branch is looked at before anything is said
// about the push. What a rule of the server is against is told from such a failure by the server's words
// (testdata/refusals.txtar), which an error keeps as lines.
//
// Repositories and servers are hostile input. Transfers, objects, references and texts are bounded; objects
// are named by their content; paths that leave the repository, lead through symbolic links or submodules, or
// mean .git to some file system are refused; what a server says is stripped of control characters and
// credentials before it is put into an error. Credentials go to the host of the URL only, never over a
// redirect to another, and are in no error.
//
// Every call ends within a second after its context, also when a server hangs, and every wait for a server is
// bounded.
//
// # What it refuses
//
// Plain http, SHA-256 repositories, unknown host keys, and editing through anything but directories and
// ordinary files.
package gitrepo
