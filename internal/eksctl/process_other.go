//go:build !unix

package eksctl

import "os/exec"

// There are no process groups to signal here: the child alone is ended.
func ownGroup(*exec.Cmd)           {}
func interruptGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func killGroup(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }
func signalOf(*exec.Cmd) string    { return "" }
