//go:build unix

package stack

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// Pool lends stacks to tests that run at the same time. A stack is started
// when it is first needed, and reset each time it is lent again.
type Pool struct {
	options Options
	prepare func(context.Context, *Stack) error
	free    chan *Stack // nil: one that is not started yet

	mu      sync.Mutex // guards started
	started []*Stack
}

// PoolSize is how many stacks are worth having: one more than the machine has
// processors, since a test waits a third of its time, but not more than four,
// as each takes up to a gigabyte of memory.
func PoolSize() int { return min(runtime.GOMAXPROCS(0)+1, 4) }

// NewPool makes a pool of size stacks, or of PoolSize for 0. What prepare does to a stack when it is started
// is there each time it is lent.
func NewPool(size int, o Options, prepare func(context.Context, *Stack) error) *Pool {
	if size == 0 {
		size = PoolSize()
	}
	p := &Pool{options: o, prepare: prepare, free: make(chan *Stack, size)}
	for range cap(p.free) {
		p.free <- nil
	}
	return p
}

// Take waits until a stack is free and returns it, as fresh as prepare left
// it, and the function that gives it back.
func (p *Pool) Take(ctx context.Context) (s *Stack, giveBack func(), err error) {
	return p.TakeAs(ctx, (*Stack).Reset)
}

// TakeAs is Take for a test that wants a stack in another state: bring has to
// put it into one, by Restore or Reset, whatever somebody else left.
func (p *Pool) TakeAs(ctx context.Context,
	bring func(*Stack, context.Context) error) (s *Stack, giveBack func(), err error) {
	select {
	case s = <-p.free:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if s == nil {
		s, err = p.start(ctx)
	}
	if err == nil {
		err = bring(s, ctx)
	}
	if err != nil {
		p.free <- s
		return nil, nil, err
	}
	return s, func() { p.free <- s }, nil
}

// start starts a stack and prepares it; nil when it does not work.
func (p *Pool) start(ctx context.Context) (*Stack, error) {
	s, err := Start(ctx, p.options)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.prepare(ctx, s), s.Keep(ctx)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = append(p.started, s)
	return s, nil
}

// Stop ends all stacks of the pool, which must have been given back.
func (p *Pool) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.started {
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}
