// Package crash keeps a panic from ending the process before what the run has begun is taken back. It is the
// only place of the program that starts goroutines: a panic in one goes on in the goroutine that waits for
// it, where deferred clean-ups run, or ends the run's context where none waits.
package crash

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// Error is a panic that was caught: a defect of the program, which no other input or rights would help
// against.
type Error struct {
	Value any
	Place string // file and line of the first function that is not Go's own; empty when it is not known
	Stack []byte // of the goroutine that panicked
}

// Error says what it was, in one line as far as the value is one.
func (e *Error) Error() string {
	text := "panic: " + e.What()
	if e.Place != "" {
		text += " (" + e.Place + ")"
	}
	return text
}

// What is the panic's value for people. Of a value that is no text only the type is told.
func (e *Error) What() string {
	switch v := e.Value.(type) {
	case error:
		return v.Error()
	case string:
		return v
	default:
		return fmt.Sprintf("a value of type %T", v)
	}
}

// Unwrap returns the value when it is an error.
func (e *Error) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// In finds the panic that an error comes from, or nil.
func In(err error) *Error {
	var found *Error
	if errors.As(err, &found) {
		return found
	}
	return nil
}

// Catch is deferred, and turns a panic into the error that its function returns. A panic that was passed on
// keeps its first stack.
func Catch(err *error) {
	if value := recover(); value != nil {
		*err = caught(value)
	}
}

// Guarded calls work and gives back its error, or its panic as one.
func Guarded(work func() error) (err error) {
	defer Catch(&err)
	return work()
}

func caught(value any) *Error {
	if passedOn, ok := value.(*Error); ok {
		return passedOn
	}
	return &Error{Value: value, Place: place(), Stack: debug.Stack()}
}

// place finds where the panic began: the frame above Go's own, below which the frames of this package are.
func place() string {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters)])
	panicking := false
	for {
		frame, more := frames.Next()
		gosOwn := strings.HasPrefix(frame.Function, "runtime.") ||
			strings.HasPrefix(frame.Function, "internal/runtime/")
		if panicking && !gosOwn {
			return fmt.Sprintf("%s:%d", frame.File, frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}

// Both runs two functions at the same time, and returns when both have ended.
func Both(first, second func()) {
	var both Group
	both.Go(second)
	first()
	both.Wait()
}

// Group runs functions in goroutines of their own, as a sync.WaitGroup does. Its zero value is ready.
type Group struct {
	running sync.WaitGroup
	mu      sync.Mutex
	first   *Error
}

// Go starts one.
func (g *Group) Go(work func()) {
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		if err := Guarded(func() error { work(); return nil }); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.first == nil {
				g.first = In(err)
			}
		}
	}()
}

// Wait waits for all of them. When one has panicked, Wait panics.
func (g *Group) Wait() {
	g.running.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first != nil {
		panic(g.first)
	}
}

// Answer is what a function of its own goroutine came to.
type Answer[T any] struct {
	value    T
	panicked *Error
}

// Value is what the function returned. When it has panicked, Value panics.
func (a Answer[T]) Value() T {
	if a.panicked != nil {
		panic(a.panicked)
	}
	return a.value
}

// Go runs work in a goroutine of its own, and gives the channel on which its one answer comes. Nobody has to
// take it.
func Go[T any](work func() T) <-chan Answer[T] {
	answers := make(chan Answer[T], 1)
	go func() {
		var a Answer[T]
		err := Guarded(func() error { a.value = work(); return nil })
		a.panicked = In(err)
		answers <- a
	}()
	return answers
}

// handlerKey finds the handler of a run in its context.
type handlerKey struct{}

// WithHandler gives a run its handler for panics in goroutines that nobody waits for. It may be called from
// several at once.
func WithHandler(ctx context.Context, handle func(*Error)) context.Context {
	return context.WithValue(ctx, handlerKey{}, handle)
}

// Loose runs work in a goroutine that nobody waits for. Its panic goes to the handler of ctx; without one it
// is a panic.
func Loose(ctx context.Context, work func()) {
	go func() {
		if err := Guarded(func() error { work(); return nil }); err != nil {
			handle, ok := ctx.Value(handlerKey{}).(func(*Error))
			if !ok {
				panic(In(err))
			}
			handle(In(err))
		}
	}()
}
