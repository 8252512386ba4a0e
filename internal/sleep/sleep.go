// Package sleep waits for times that may be cut short.
package sleep

import (
	"context"
	"time"
)

// For waits for a time, or until a context ends; the error is why that ended.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
