package gitops

import (
	"testing"
	"time"
)

// TestRaceDelay grows with the lost races, in units of a try, and shrinks again for whoever has lost often.
func TestRaceDelay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		lost       int
		took, want time.Duration
	}{
		{1, 0, 50 * time.Millisecond},
		{1, 200 * time.Millisecond, 200 * time.Millisecond},
		{2, 200 * time.Millisecond, 400 * time.Millisecond},
		{4, 200 * time.Millisecond, 1600 * time.Millisecond},
		{4, 2 * time.Second, 5 * time.Second},
		{5, 200 * time.Millisecond, 800 * time.Millisecond},
		{6, 200 * time.Millisecond, 400 * time.Millisecond},
		{7, 200 * time.Millisecond, 200 * time.Millisecond},
		{99, 200 * time.Millisecond, 200 * time.Millisecond},
		{99, time.Minute, 5 * time.Second},
	} {
		if got := raceDelay(tc.lost, tc.took); got != tc.want {
			t.Errorf("after %d races, %s a try: %s, want %s", tc.lost, tc.took, got, tc.want)
		}
	}
}
