//go:build !linux

package gittest

import "os/exec"

// ownGroup does nothing where process groups are not used: the command's context ends the process alone.
func ownGroup(*exec.Cmd) {}

// dieWithParent does nothing where the kernel offers no such signal.
func dieWithParent(*exec.Cmd) {}

// killTree does nothing: sessions end when their connection is closed.
func killTree(int) {}
