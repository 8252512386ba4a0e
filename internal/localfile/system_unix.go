//go:build unix

package localfile

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepOwner gives a new file the owner and the group of another one, and says whether it has them.
func keepOwner(file *os.File, of fs.FileInfo) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	has, hasIt := info.Sys().(*syscall.Stat_t)
	want, wantsIt := of.Sys().(*syscall.Stat_t)
	if !hasIt || !wantsIt || has.Uid == want.Uid && has.Gid == want.Gid {
		return true
	}
	return file.Chown(int(want.Uid), int(want.Gid)) == nil
}

// mayWrite says what keeps a file from being made in a directory: the process's rights, or a file system that
// is only read.
func mayWrite(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
