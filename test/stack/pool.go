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

// NewPool makes a pool of size stacks; 0 is as many as the machine has
// processors, but not more than four, as each takes up to a gigabyte of memory.
// What prepare does to a stack when it is started is there each time it is
// lent.
func NewPool(size int, o Options, prepare func(context.Context, *Stack) error) *Pool {
	if size == 0 {
		size = min(runtime.GOMAXPROCS(0), 4)
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
	select {
	case s = <-p.free:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if s == nil {
		s, err = p.start(ctx)
	} else {
		err = s.Reset(ctx)
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
	if err := errors.Join(p.prepare(ctx, s), s.Keep()); err != nil {
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
