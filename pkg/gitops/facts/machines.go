package facts

import (
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// MachineStatus counts machines. Ready is nil when nothing tells.
type MachineStatus struct {
	Ready   *int `json:"ready,omitempty"`
	Desired int  `json:"desired"`
}

// MachineStatusOf is how a count of machines is told.
func MachineStatusOf(m fluxinstall.Machines) MachineStatus {
	status := MachineStatus{Desired: m.Desired}
	if m.Ready >= 0 {
		status.Ready = &m.Ready
	}
	return status
}
