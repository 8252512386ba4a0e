// Package status says whether Git, Flux and the clusters agree, and why not. [Observe] looks at everything
// and writes nothing; [Judge] draws up the [Report] of what was seen, and looks at nothing any more, so that
// every judgement is a row of a test's table.
package status
