package gittest

import (
	"strings"
	"sync"
	"time"
)

// Service is one direction of Git traffic.
type Service int

// The services; AnyService is the zero value and matches both.
const (
	AnyService Service = iota
	Fetch              // git-upload-pack
	Push               // git-receive-pack
)

func (s Service) command() string {
	if s == Push {
		return "receive-pack"
	}
	return "upload-pack"
}

// FaultKind is what goes wrong.
type FaultKind int

const (
	// Hang takes the request and never answers: until the client gives up, the fault is switched off or the
	// server is closed.
	Hang FaultKind = iota + 1
	// Delay answers after Fault.Delay.
	Delay
	// DropAfter cuts the connection after Fault.Bytes bytes of the transfer: bytes sent in a fetch, bytes
	// received in a push.
	DropAfter
	// LoseReply lets git do all of its work, then cuts the connection before the client hears of it.
	LoseReply
	// Garbage answers with Fault.Text, over HTTPS as an HTML page with status 200, as a captive portal does.
	Garbage
	// RejectAuth refuses good credentials. Over SSH it strikes at log-in, where neither service nor
	// repository are known yet: there, a fault that names one does not strike.
	RejectAuth
	// FailReport lets the server fail at a push: the report gives Fault.Text as the reason against each
	// reference and Fault.Unpack, if any, as what became of the objects; Fault.Words are said beside it.
	// Nothing has been changed then, unless Fault.Arrives.
	FailReport
)

// Fault is something that goes wrong in the sessions it matches. A session over HTTPS has several requests; a
// fault strikes in the one that transfers, or, with Listing, in the one that lists the references. Over SSH
// it strikes in the session as a whole.
type Fault struct {
	Kind    FaultKind
	Service Service
	Repo    string // without .git, regardless of case; empty for all
	Listing bool
	Skip    int // so many matching sessions are left alone first
	Times   int // so many sessions are struck; 0 for all
	Delay   time.Duration
	Bytes   int64
	Text    string
	Words   string
	Unpack  string
	Arrives bool
}

type armedFault struct {
	Fault
	seen int
	off  chan struct{} // closed when switched off
	once sync.Once
}

// faults is the set of faults that are switched on.
type faults struct {
	mu   sync.Mutex
	list []*armedFault
}

func (f *faults) add(fault Fault) (off func()) {
	a := &armedFault{Fault: fault, off: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, a)
	return func() {
		a.once.Do(func() { close(a.off) })
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, other := range f.list {
			if other == a {
				f.list = append(f.list[:i:i], f.list[i+1:]...)
				return
			}
		}
	}
}

// any says whether a fault is switched on.
func (f *faults) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.list) > 0
}

// clear switches all faults off.
func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		a.once.Do(func() { close(a.off) })
	}
	f.list = nil
}

// take returns the first fault that strikes, nil when none does, and counts.
func (f *faults) take(matches func(Fault) bool) *armedFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if !matches(a.Fault) {
			continue
		}
		a.seen++
		if a.seen > a.Skip && (a.Times == 0 || a.seen <= a.Skip+a.Times) {
			return a
		}
	}
	return nil
}

func (f Fault) matches(service Service, repo string) bool {
	return (f.Service == AnyService || f.Service == service) &&
		(f.Repo == "" || strings.EqualFold(f.Repo, repo))
}

// is says whether a fault struck and is of that kind.
func (a *armedFault) is(kind FaultKind) bool { return a != nil && a.Kind == kind }
