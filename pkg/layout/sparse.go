package layout

import "github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"

// SparseCheckout is what a GitRepository has to fetch for P alone, as spec.sparseCheckout says it; nothing
// when P is the whole repository. The slash at the end is needed: the entries are beginnings of names, and
// clusters/dev would bring clusters/dev2 along.
func SparseCheckout(g *clusterspec.GitOps) []string {
	if root := RootDir(g); root != "." {
		return []string{root + "/"}
	}
	return nil
}
