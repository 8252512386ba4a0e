package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
)

// deleteWorkloads deletes clusters that were found fit for it.
func (d *deleteRun) deleteWorkloads() deletion {
	var going []*target
	for _, t := range d.targets {
		if t.files || d.usesCluster() && t.live != nil {
			going = append(going, t)
			continue
		}
		d.noteGone(t)
	}
	if len(going) == 0 {
		return deletion{gone: true}
	}
	return deletion{
		parts: d.parts(going),
		asks:  slices.ContainsFunc(going, func(t *target) bool { return !t.leaving() }),
		gone:  d.usesCluster(),
	}
}

// incomplete is the error of a run that has to be continued. When nothing was written and nothing was under
// way, it is the cause alone.
func (d *deleteRun) incomplete(ctx context.Context, err error) error {
	_, changed := d.steps.Results()
	if errors.Is(ctx.Err(), context.Canceled) || !changed && !endedWaiting(err) {
		if !changed {
			err = unchanged(err)
		}
		return err
	}
	d.result.Status = StatusIncomplete
	return &IncompleteError{What: "the deletion is not complete", Cause: err}
}

func (d *deleteRun) markGone(targets []*target) {
	for _, t := range targets {
		d.clusterResult(t.Name).Gone = true
	}
}

// noteGone tells that there is nothing to delete, and what there is, in case the name is wrong.
func (d *deleteRun) noteGone(t *target) {
	where := map[From]string{FromBoth: "neither in Git nor in the cluster", FromGit: "not in Git",
		FromCluster: "not in the cluster"}[d.options.From]
	text := fmt.Sprintf("cluster %s is %s: there is nothing to delete", t.Name, where)
	var there []string
	if d.seen.Cluster() != nil {
		for _, c := range d.seen.Cluster().Clusters {
			there = append(there, c.Name)
		}
	}
	there = append(there, d.removal.Clusters()...)
	slices.Sort(there)
	if there = slices.Compact(there); len(there) > 0 {
		text += "; the clusters there are: " + strings.Join(there, ", ")
	}
	d.steps.Note(step.LevelWarning, text)
}

func (d *deleteRun) deleteObject(t *target) step.Action {
	return step.Action{
		Name: stepDeleteCluster(t.Name),
		Plan: step.Planned(step.Written(!t.live.Deleting, "")),
		Apply: func(ctx context.Context) (step.Effect, error) {
			changed, err := d.open.cluster.DeleteCluster(ctx, t.Namespace, t.Name)
			if err != nil {
				return step.Effect{}, fmt.Errorf("deleting Cluster %s/%s: %w", t.Namespace, t.Name, err)
			}
			return step.Written(changed, ""), nil
		},
	}
}

func (d *deleteRun) waitGone(t *target) step.Action {
	name := stepWaitGone(t.Name)
	return step.Action{
		Name: name,
		Plan: step.Planned(step.Waited(t.live == nil)),
		Apply: func(ctx context.Context) (step.Effect, error) {
			if err := d.open.cluster.WaitGone(ctx, t.Namespace, t.Name, d.progressOf(name)); err != nil {
				d.clusterResult(t.Name).Message = err.Error()
				return step.Effect{}, fmt.Errorf("waiting until cluster %s is gone: %w", t.Name, err)
			}
			d.clusterResult(t.Name).Gone = true
			return step.Checked(), nil
		},
	}
}
