package localfile

import (
	"context"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// Read reads a file that a person has named, up to limit bytes. It may be a pipe, as <(command) gives one, or
// a terminal: a read that nothing comes of is left behind when ctx ends, and the error is the context's
// cause. The other errors are *KindError for a directory, *TooLargeError, and those of the file system.
func Read(ctx context.Context, path string, limit int64) ([]byte, fs.FileInfo, error) {
	type result struct {
		content []byte
		info    fs.FileInfo
		err     error
	}
	done := crash.Go(func() result {
		// Opening a named pipe waits, too, until somebody opens its other end.
		file, err := os.Open(path)
		if err != nil {
			return result{err: err}
		}
		content, info, err := readOpen(file, path, limit)
		return result{content, info, err}
	})
	select {
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	case answer := <-done:
		r := answer.Value()
		return r.content, r.info, r.err
	}
}

// ReadRegular reads a file that nobody has named, where one is looked for by custom, up to limit bytes. It
// never waits: what is no regular file is a *KindError. The other errors are *TooLargeError and those of the
// file system.
func ReadRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &KindError{Path: path, Kind: kindOf(info.Mode())}
	}
	// It may be another one by now.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		file.Close() // nothing was read
		return nil, &KindError{Path: path, Kind: kindOf(info.Mode())}
	}
	content, _, err := readOpen(file, path, limit)
	return content, err
}

// readOpen reads an open file to its end and closes it.
func readOpen(file *os.File, path string, limit int64) ([]byte, fs.FileInfo, error) {
	defer file.Close() // it is only read
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return nil, nil, &KindError{Path: path, Kind: kindOf(info.Mode())}
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(content)) > limit {
		return nil, nil, &TooLargeError{Path: path, Limit: limit}
	}
	return content, info, nil
}
