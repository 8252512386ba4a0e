package files

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
	"github.com/eksa-gitops/eksa-gitops/pkg/lint"
)

// A release of Flux may drop versions of its kinds. With one object left in such a version, stored in the
// cluster or written in Git, Flux applies nothing any more, itself included, and no later commit helps. So
// what a plan's components no longer have is looked for below the path in Git, before the push.

// BringsComponents says whether what a plan has of Flux's components is going to be applied by the run, or by
// Flux after its push.
func (p *Planner) BringsComponents(snapshot facts.SnapshotReader, plan *Plan) bool {
	if p.Management == nil || p.Facts.Cluster() == nil || plan.Later {
		return false
	}
	return plan.ChangesIn(layout.SystemDir(p.Facts.Config())) || snapshot == nil ||
		!p.Facts.Cluster().Applied(p.Facts.Config().Branch, snapshot.Head())
}

// unserved says that files below the path hold objects of Flux's in versions that the components of a release
// do not serve.
func unserved(problems []clusterspec.Problem, version string) error {
	err := &facts.FoundError{ForAll: "change the apiVersion, commit and push that, and run the command again"}
	for _, p := range problems {
		err.Findings = append(err.Findings, facts.AreaSpec.Finding(
			fmt.Sprintf("%s:%d: %s has apiVersion %s, which Flux %s does not serve: Flux would apply "+
				"nothing any more", p.File, p.Line, p.Object, strings.Trim(p.Found, `"`), version),
			fmt.Sprintf("write apiVersion: %s there, see whether its fields are the same in that version, "+
				"and push that first", p.Expected)))
	}
	return err
}

// checkFiles makes sure that no file below the path has an object of Flux's in a version that the planned
// components do not serve. Its error is a *facts.FoundError, or says that the repository could not be read.
func (p *Planner) checkFiles(ctx context.Context, snapshot facts.SnapshotReader, plan *Plan) error {
	if !p.BringsComponents(snapshot, plan) {
		return nil
	}
	kinds := p.Memory.Kinds(plan.System[layout.ComponentsFile])
	tree, there := lint.Tree{}, At(ctx, snapshot, nil)
	if len(kinds) > 0 {
		if err := there.Prefetch(layout.RootDir(p.Facts.Config())); err != nil {
			return fmt.Errorf("reading the files below %s: %w", layout.RootDir(p.Facts.Config()), err)
		}
	}
	for file, content := range there.Contents {
		tree[file] = lint.Node{Content: lint.Bytes(content)}
	}
	for _, gone := range plan.Gone {
		delete(tree, gone)
	}
	for file, content := range plan.After {
		tree[file] = lint.Node{Content: lint.Bytes(content)}
	}
	for base, content := range plan.System {
		tree[path.Join(layout.SystemDir(p.Facts.Config()), base)] = lint.Node{Content: lint.Bytes(content)}
	}
	problems, err := lint.CheckFluxVersions(tree, layout.RootDir(p.Facts.Config()), kinds)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	return unserved(problems, plan.FluxVersion())
}

// servedSync gives the objects of a sync file versions that the planned components serve, and notes each. The
// error is a *facts.FoundError.
func (p *Planner) servedSync(file string, before, components []byte,
	note func(format string, args ...any)) ([]byte, error) {
	after, changed, err := p.Memory.Kinds(components).UpdateVersions(file, before)
	if err != nil {
		return nil, facts.Found(facts.AreaSpec.Finding(
			fmt.Sprintf("%v, which the definitions of Flux do not serve in the version that the file has",
				err),
			"bring the file to that version by hand and push that first, or replace it with --overwrite"))
	}
	for _, o := range changed {
		note("%s: %s gets apiVersion %s instead of %s, which is no longer served",
			file, o.Object, o.Instead, o.APIVersion)
	}
	return after, nil
}
