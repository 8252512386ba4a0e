// Package files is what a run makes of a repository: the [Plan] of its commit on top of a snapshot, the
// [Tree] of files that it leads to, and the [Forecast] of what Flux makes of that.
//
// A plan follows from the facts of the run, what it was asked for and the snapshot, and from nothing else: a
// [Planner] plans a creation, an [UpgradePlanner] an upgrade, a [Removal] a deletion, [PlanPause] a pause.
// What is in the way is an error that has findings, and what is to be told is a note of the plan; the run
// decides what comes of both. The package reads, through ports that cannot write, and knows no step.
package files
