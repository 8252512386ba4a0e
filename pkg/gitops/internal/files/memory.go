package files

import (
	"bytes"
	"maps"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// Memory keeps what takes long to work out of Flux's files as long as they are the same: a plan is made,
// checked, compared and carried out. The zero value is empty. It is for one goroutine.
type Memory struct {
	built []builtSystem
	// kinds are those of the components that were read last.
	kinds     lint.FluxKinds
	kindsRead []byte
}

// builtSystem is what Flux's directory builds to.
type builtSystem struct {
	files            map[string][]byte
	components, sync []byte
	err              error
}

// Build is [fluxmanifests.BuildSystem], done once for the same files.
func (m *Memory) Build(files map[string][]byte) (components, sync []byte, err error) {
	for _, b := range m.built {
		if maps.EqualFunc(b.files, files, bytes.Equal) {
			return b.components, b.sync, b.err
		}
	}
	b := builtSystem{files: maps.Clone(files)}
	b.components, b.sync, b.err = fluxmanifests.BuildSystem(files)
	m.built = append(m.built, b)
	return b.components, b.sync, b.err
}

// Kinds reads the kinds of components, which are large. Components that cannot be read have none: they are
// kept as they are, whatever they are.
func (m *Memory) Kinds(components []byte) lint.FluxKinds {
	if !bytes.Equal(components, m.kindsRead) {
		m.kinds, _ = lint.ReadFluxKinds(components)
		m.kindsRead = components
	}
	return m.kinds
}
