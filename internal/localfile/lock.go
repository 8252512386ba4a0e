package localfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/sleep"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// How long another program may hold a lock.
const (
	lockWait  = 5 * time.Second
	lockRetry = 50 * time.Millisecond
)

// Lock takes a lock as kubectl does: a file that exists while somebody writes. The errors are *LockedError,
// the context's cause and those of the file system.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	until := time.Now().Add(lockWait)
	for {
		lock, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			// What cannot be closed or removed is found by the next one to lock, who names it.
			_ = lock.Close()
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if time.Now().After(until) {
			return nil, &LockedError{Path: path}
		}
		if err := sleep.For(ctx, lockRetry); err != nil {
			return nil, err
		}
	}
}

// LockedError says that another program writes the file, or ended while it did.
type LockedError struct{ Path string } // of the lock

func (e *LockedError) Error() string { return "locked: " + e.Path + " exists" }

// Hint is the next action.
func (e *LockedError) Hint() string {
	return "another program is writing it; when none is, remove the lock: rm " + text.ShellWord(e.Path)
}
