// Package clusterspec reads, checks and edits EKS Anywhere cluster files.
//
// [Parse] takes any number of YAML or JSON files and gives back the clusters in them, each with the objects
// that belong to it, or everything that is wrong, each problem with file, line, column and field. It is
// stricter than EKS Anywhere's own readers, which lose documents and drop dangling references in silence, and
// never accepts what they would refuse.
//
// Merge puts the edits of two sides to a common base together, value by value, in the text of one of them:
// what is in Git stays as its readers know it.
//
// What fields there are, their types and limits, and what EKS Anywhere does when one changes is in one data
// file, fields.yaml; [FieldReference] renders it for people. Rules that a table cannot hold are named
// functions in the rules files.
//
// The package is pure: apart from [ReadPaths] nothing in it touches a file, and nothing in it the network,
// the clock or the environment. Same input, same output, to the byte. Values that were returned are not
// modified later and may be shared between goroutines.
package clusterspec
