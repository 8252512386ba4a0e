package facts

import (
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// ShortCommit is how a commit is called in a text.
func ShortCommit(commit string) string { return commit[:min(7, len(commit))] }

// ClusterList names clusters, and counts those that would be too many to read.
func ClusterList(names []string) string {
	if len(names) == 1 {
		return "cluster " + names[0]
	}
	const most = 5
	if n := len(names); n > most {
		return fmt.Sprintf("clusters %s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return "clusters " + strings.Join(names, ", ")
}

// ObjectList names objects, and counts those that would be too many to read.
func ObjectList(names []string) string {
	const most = 4
	if n := len(names); n > most+1 {
		return fmt.Sprintf("%s and %d more objects", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

// ResumeCommand is how a cluster that is paused is let go on: by this program where that is in Git, since
// Flux puts back what Git says.
func ResumeCommand(name string) string { return text.Command("eksa-gitops resume cluster %s", name) }
