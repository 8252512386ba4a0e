//go:build unix

package stack

// RemoveAbandoned is what Start does first.
var RemoveAbandoned = removeAbandoned
