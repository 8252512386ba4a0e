// Package step is how a run goes: what it does one after the other, and who is told of it.
//
// A command is a list of [Steps], in the order of the invariants (docs/design.md). A [Recorder] does them, or
// in a dry run plans them: the same list, so that the one shows what the other does. A [Reporter] is told
// while that happens, and the [Result] of each step is kept.
package step
