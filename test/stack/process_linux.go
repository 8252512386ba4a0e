package stack

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes puts a child into its own group and has the kernel kill it
// when we die, however we die.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
}

// waitFrozen waits until a child that was sent SIGSTOP has stopped. It does
// not reap it.
func waitFrozen(pid int) error {
	return unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
}
