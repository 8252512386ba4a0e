package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/layout"
)

// The API server is asked about objects before they are committed: Flux applies all or nothing of a path, so
// that one object that an admission policy, a webhook or the schema refuses holds up every cluster of it.

// checkAdmitted asks the API server, about all of them at once, whether it takes the objects of the clusters
// that a creation puts into Git. What it refuses is a finding. Somebody who creates through Git needs no
// right to change these objects, and is told when the API server could not be asked for want of it.
func (r *createRun) checkAdmitted(ctx context.Context, found *findings) {
	if len(found.list) > 0 || len(found.soft) > 0 || r.planned == nil || r.open.cluster == nil {
		return
	}
	var asked []map[string]any
	owners := map[fluxinstall.ObjectName]*clusterspec.Cluster{}
	missing := r.missing()
	for _, c := range r.managed {
		spec := layout.PathsOf(c).Spec
		if slices.Contains(missing, c) || !r.planned.ChangesFile(spec) {
			continue
		}
		git := facts.GitCluster{Name: c.Name, Path: spec}
		git.Parse(r.planned.After[spec])
		for _, o := range git.Objects {
			if slices.Contains(clusterspec.Kinds(), o.Kind) {
				asked = append(asked, o.Fields)
				metadata, _ := o.Fields["metadata"].(map[string]any)
				namespace, _ := metadata["namespace"].(string) // as the file has it, and the verdict
				owners[fluxinstall.ObjectName{Kind: o.Kind, Namespace: namespace, Name: o.Name}] = c
			}
		}
	}
	if len(asked) == 0 {
		return
	}
	verdicts, err := r.open.cluster.DryRunApply(ctx, asked)
	for _, v := range verdicts {
		c := owners[fluxinstall.ObjectName{Kind: v.Kind, Namespace: v.Namespace, Name: v.Name}]
		if r.givesGitOps(c) {
			v = allowReference(v)
		}
		found.addRefusal(c.Name, v)
	}
	switch forbidden := new(fluxinstall.ForbiddenError); {
	case errors.As(err, &forbidden):
		r.steps.Note(step.LevelInfo, fmt.Sprintf(
			"the API server could not be asked whether it accepts all objects of the clusters: %v", err))
	case err != nil:
		found.add(facts.AreaCluster, fmt.Errorf("asking the API server about the objects of the clusters: %w",
			err))
	}
}

// allowReference takes back the refusal of a Cluster's gitOpsRef: the run sets it before Flux applies the
// object, in the way that EKS Anywhere lets it change.
func allowReference(v fluxinstall.Verdict) fluxinstall.Verdict {
	others := slices.DeleteFunc(slices.Clone(v.Causes), func(cause fluxinstall.Cause) bool {
		return cause.Field == "spec.gitOpsRef"
	})
	if len(others) == 0 && len(v.Causes) > 0 {
		return fluxinstall.Verdict{APIVersion: v.APIVersion, Kind: v.Kind, Namespace: v.Namespace,
			Name: v.Name}
	}
	v.Causes = others
	return v
}

// addRefusal adds what the API server refuses of an object of a cluster, each rejected field by itself;
// nothing of one that it accepts.
func (f *findings) addRefusal(cluster string, v fluxinstall.Verdict) {
	if v.Accepted() {
		return
	}
	who := "the API server"
	if v.Webhook != "" {
		who = "webhook " + v.Webhook
	}
	fields := v.Causes
	if len(fields) == 0 {
		fields = []fluxinstall.Cause{{Message: v.Message}}
	}
	for _, cause := range fields {
		text := fmt.Sprintf("cluster %s: %s %s", cluster, v.Kind, v.Name)
		if cause.Field != "" {
			text += ": " + cause.Field
		}
		f.addFinding(facts.AreaSpec.Finding(fmt.Sprintf("%s: %s refuses it: %s", text, who, cause.Message),
			""))
	}
}
