// Package files is what a run makes of a repository: the [Plan] of its commit on top of a snapshot, the
// [Tree] of files that it leads to, and the [Forecast] of what Flux makes of that. It reads the snapshot and
// writes nothing.
package files
