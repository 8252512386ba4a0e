// Package localfile reads and writes the files of the person who runs the program. Nothing else in the
// program writes one, or reads one that a person has named.
//
// Writing does no harm: a file is replaced only while it is what its reader saw, byte for byte; it keeps its
// owner and its mode; a symbolic link stays one; what is no regular file (a device, a named pipe, a standard
// stream) is refused. No reader and no crash ever sees half a file. [Check] says before a run what would keep
// [Replace] from working.
//
// Reading obeys its context, whatever the path leads to, and is bounded.
package localfile
