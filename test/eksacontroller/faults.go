package eksacontroller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Fault keeps one condition of a Cluster, and with it Ready, False.
type Fault struct {
	Condition string // "" is WorkersReady
	Reason    string // "" is the condition's usual one
	Message   string
}

// faults are what tests ask the controller to do wrong, per Cluster.
type faults struct {
	mu       sync.Mutex
	notReady map[types.NamespacedName]Fault
	failed   map[types.NamespacedName]failure
	held     map[types.NamespacedName]bool
}

func newFaults() *faults {
	f := &faults{}
	f.clear()
	return f
}

func (f *faults) clear() {
	f.notReady = map[types.NamespacedName]Fault{}
	f.failed = map[types.NamespacedName]failure{}
	f.held = map[types.NamespacedName]bool{}
}

// KeepNotReady keeps a Cluster, that exists or will, from becoming Ready; one
// that was Ready ceases to be. Heal ends it.
func (c *Controller) KeepNotReady(namespace, name string, fault Fault) {
	if fault.Condition == "" {
		fault.Condition = WorkersReady
	}
	key := types.NamespacedName{Namespace: namespace, Name: name}
	c.faults.mu.Lock()
	c.faults.notReady[key] = fault
	c.faults.mu.Unlock()
	c.poke(key)
}

// Fail sets status.failureReason and status.failureMessage of a Cluster that
// exists or will, and stops its progress. Heal ends it.
func (c *Controller) Fail(namespace, name, reason, message string) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	c.faults.mu.Lock()
	c.faults.failed[key] = failure{reason, message}
	c.faults.mu.Unlock()
	c.poke(key)
}

// HoldDeletion keeps the finalizer on a Cluster that is deleted, as machines
// that cannot be removed do. Heal ends it.
func (c *Controller) HoldDeletion(namespace, name string) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	c.faults.mu.Lock()
	c.faults.held[key] = true
	c.faults.mu.Unlock()
	c.poke(key)
}

// Heal ends all faults of a Cluster. Empty names end those of all.
func (c *Controller) Heal(namespace, name string) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	c.faults.mu.Lock()
	keys := []types.NamespacedName{key}
	if key == (types.NamespacedName{}) {
		keys = nil
		for k := range c.faults.notReady {
			keys = append(keys, k)
		}
		for k := range c.faults.failed {
			keys = append(keys, k)
		}
		for k := range c.faults.held {
			keys = append(keys, k)
		}
		c.faults.clear()
	}
	delete(c.faults.notReady, key)
	delete(c.faults.failed, key)
	delete(c.faults.held, key)
	c.faults.mu.Unlock()
	for _, k := range keys {
		c.poke(k)
	}
}

func (c *Controller) faultOf(key types.NamespacedName) (notReady *Fault, failed *failure, held bool) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	if fault, ok := c.faults.notReady[key]; ok {
		notReady = &fault
	}
	if fault, ok := c.faults.failed[key]; ok {
		failed = &fault
	}
	return notReady, failed, c.faults.held[key]
}
