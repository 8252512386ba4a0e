package gittest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ownGroup gives the process a group of its own, which is killed as a whole when the command's context ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

// dieWithParent makes the kernel kill the process when the thread that starts it ends. The caller must lock
// that thread until the process has ended: Go may otherwise end the thread while the program goes on.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// killTree kills all descendants of a process. Those that are made meanwhile by a descendant not yet killed
// escape; sshd makes none after its command.
func killTree(root int) {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// proc(5): the fields after the name, which is in parentheses and may hold anything, are the state
		// and the parent.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var kill func(int)
	kill = func(pid int) {
		for _, child := range children[pid] {
			kill(child)
			syscall.Kill(child, syscall.SIGKILL) // it may have ended by itself
		}
	}
	kill(root)
}
