package crash_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

var errBroken = errors.New("broken")

func index(list []int, i int) int { return list[i] }

// TestCatch has panics of every kind of value. Each becomes an error with the place where it began and the
// stack of it.
func TestCatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		work func()
		want string
	}{
		{"text", func() { panic("no such thing") }, "panic: no such thing ("},
		{"error", func() { panic(errBroken) }, "panic: broken ("},
		{"value", func() { panic(struct{ password string }{"hunter2"}) },
			"panic: a value of type struct { password string } ("},
		{"index", func() { index(nil, 3) }, "panic: runtime error: index out of range [3] with length 0 ("},
		//lint:ignore SA5000 it is the panic that is wanted
		{"nil", func() { var m map[string]int; m["x"] = 1 }, "panic: assignment to entry in nil map ("},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := crash.Guarded(func() error { test.work(); return nil })
			found := crash.In(err)
			if found == nil || !strings.HasPrefix(err.Error(), test.want) ||
				!strings.Contains(found.Place, "internal/crash/crash_test.go:") {
				t.Fatalf("%v", err)
			}
			if !strings.Contains(string(found.Stack), "TestCatch") {
				t.Errorf("the stack is another's:\n%s", found.Stack)
			}
		})
	}
	if err := crash.Guarded(func() error { return errBroken }); !errors.Is(err, errBroken) ||
		crash.In(err) != nil {
		t.Errorf("%v", err)
	}
}

// TestGoroutines has a panic in each kind of goroutine come out where it is waited for, with the stack of
// where it began.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	beyond := func() { index(nil, 7) }
	loose := make(chan *crash.Error, 1)
	ctx := crash.WithHandler(context.Background(), func(e *crash.Error) { loose <- e })
	for name, work := range map[string]func() error{
		"group": func() error {
			var g crash.Group
			others := 0
			g.Go(beyond)
			g.Go(func() { others++ })
			defer func() {
				if others != 1 {
					t.Error("the other goroutine was not waited for")
				}
			}()
			g.Wait()
			return nil
		},
		"answer": func() error {
			(<-crash.Go(func() int { beyond(); return 1 })).Value()
			return nil
		},
		"loose": func() error {
			crash.Loose(ctx, beyond)
			return <-loose
		},
		"group in a group": func() error {
			var outer crash.Group
			outer.Go(func() {
				var inner crash.Group
				inner.Go(beyond)
				inner.Wait()
			})
			outer.Wait()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := crash.In(crash.Guarded(work))
			if found == nil || found.What() != "runtime error: index out of range [7] with length 0" ||
				!strings.Contains(string(found.Stack), "crash_test.index") {
				t.Fatalf("%+v", found)
			}
		})
	}
	if got := (<-crash.Go(func() int { return 5 })).Value(); got != 5 {
		t.Errorf("got %d", got)
	}
}
