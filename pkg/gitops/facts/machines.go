package facts

import (
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// MachineStatus counts machines.
type MachineStatus struct {
	Ready   *int `json:"ready,omitempty"` // those that are ready; none when nothing tells
	Desired int  `json:"desired"`         // those that there are to be
}

// MachineStatusOf is how a count of machines is told.
func MachineStatusOf(m fluxinstall.Machines) MachineStatus {
	status := MachineStatus{Desired: m.Desired}
	if m.Ready >= 0 {
		status.Ready = &m.Ready
	}
	return status
}
