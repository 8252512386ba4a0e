//go:build unix && !linux

package stack

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processAttributes puts a child into its own group. Only Linux can tie its
// life to ours.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// waitFrozen waits until a child that was sent SIGSTOP has stopped.
func waitFrozen(pid int) error {
	for {
		state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
		if err != nil || strings.HasPrefix(strings.TrimSpace(string(state)), "T") {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}
