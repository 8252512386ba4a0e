// Package pack reads the packs that a Git server sends, and writes those that are sent to it.
//
// A pack (gitformat-pack(5)) is kept as it came, with a small index: where each object begins, and what it is
// called. Commits and directories are unpacked once to learn their names, files when somebody reads one; what
// was used last stays unpacked. This is what makes a fetch of a large repository cheap: go-git's storage
// unpacks everything, and keeps it.
//
// Packs come from servers that may be hostile, so nothing is believed: sizes and numbers are checked before
// memory is taken, every object is named by the hash of its content, and the work is bounded. The memory that
// a pack takes follows from its size and its number of objects, not from what it unpacks to.
package pack
