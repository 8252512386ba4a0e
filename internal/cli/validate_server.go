package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
)

// The rules under which the API server's verdicts are reported.
const (
	ruleServerRefused   = "server-refused"
	ruleServerNamespace = "server-namespace"
	ruleServerKind      = "server-kind"
	ruleServerNoAnswer  = "server-no-answer"
)

// askServer sends the objects of all clusters to the management cluster as a dry run, in the form in which
// they would be committed, and gives back its objections at their places in the files. The summary is nil
// when the server could not be asked.
func askServer(ctx context.Context, d *deps, o *validateOptions,
	set *clusterspec.Set) (*ServerSummary, []clusterspec.Problem, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, &timeoutError{limit: o.timeout})
	defer cancel()
	cluster, err := o.cluster.open(ctx, d, set.Clusters[0].ManagementCluster)
	if err != nil {
		return nil, nil, err
	}
	originals := map[string]*clusterspec.Object{}
	var objects []map[string]any
	for _, c := range set.Clusters {
		rendered, err := clusterspec.Parse([]clusterspec.Source{{Name: c.Name, Data: clusterspec.Render(c)}})
		if err != nil && len(rendered.Clusters) == 0 {
			return nil, nil, fmt.Errorf("reading the rendered spec of %s: %w", c.Name, err)
		}
		for _, object := range c.Objects {
			originals[object.Kind+"/"+object.Namespace+"/"+object.Name] = object
		}
		for _, object := range rendered.Clusters[0].Objects {
			objects = append(objects, object.Decoded())
		}
	}
	verdicts, err := cluster.DryRunApply(ctx, objects)
	if errors.As(err, new(*timeoutError)) {
		err = &noVerdictError{server: cluster.Server(), limit: o.timeout}
	}
	if err != nil && len(verdicts) == 0 {
		return nil, nil, err
	}
	summary := &ServerSummary{URL: cluster.Server(), Asked: len(verdicts)}
	var problems []clusterspec.Problem
	for _, v := range verdicts {
		if v.Accepted() {
			summary.Accepted++
			continue
		}
		problems = append(problems, verdictProblems(v, originals[v.Kind+"/"+v.Namespace+"/"+v.Name])...)
	}
	return summary, oneForAll(problems), err
}

// noVerdictError is an API server that takes too long. It is not said to be a time limit of the run, which
// would be exit code 5: nothing has been begun that could be continued.
type noVerdictError struct {
	server string
	limit  time.Duration
}

func (e *noVerdictError) Error() string {
	return fmt.Sprintf("the API server %s did not answer within %s", e.server, e.limit)
}
func (e *noVerdictError) Hint() string {
	return "check that the cluster is well (kubectl get --raw /readyz), or give it more time with --timeout"
}

// verdictProblems shows an objection of the server at its places in the user's file.
func verdictProblems(v fluxinstall.Verdict, object *clusterspec.Object) []clusterspec.Problem {
	problem := func(rule, field, message string) clusterspec.Problem {
		p := clusterspec.Problem{Severity: clusterspec.SeverityError, Rule: rule,
			Object: v.Kind + " " + v.Name, Field: field, Message: redact.Source(message)}
		if object != nil {
			p.File = object.File
			p.Line, p.Column = object.Position(field)
		}
		return p
	}
	switch v.Refusal {
	case fluxinstall.RefusedNoNamespace:
		p := problem(ruleServerNamespace, "metadata.namespace", "in the management cluster "+v.Message)
		p.Expected = "a namespace that exists; Flux does not create it"
		return []clusterspec.Problem{p}
	case fluxinstall.RefusedNoKind:
		p := problem(ruleServerKind, "kind", v.Message)
		p.Expected = "a management cluster whose EKS Anywhere has the kind"
		return []clusterspec.Problem{p}
	case fluxinstall.RefusedNoAnswer:
		return []clusterspec.Problem{problem(ruleServerNoAnswer, "",
			"the API server could not decide: "+v.Message)}
	}
	who := "the API server"
	if v.Webhook != "" {
		who = "webhook " + v.Webhook
	}
	if len(v.Causes) == 0 {
		return []clusterspec.Problem{problem(ruleServerRefused, "",
			fmt.Sprintf("%s (%s refuses the object)", v.Message, who))}
	}
	var problems []clusterspec.Problem
	for _, cause := range v.Causes {
		p := problem(ruleServerRefused, cause.Field, fmt.Sprintf("%s (%s refuses it)", cause.Message, who))
		if cause.Live != "" {
			p.Expected = "what the management cluster has: " + shorten(redact.Source(cause.Live), 200)
		}
		problems = append(problems, p)
	}
	return problems
}

// oneForAll tells once what is the same for all objects: that a namespace or EKS Anywhere itself is missing.
func oneForAll(problems []clusterspec.Problem) []clusterspec.Problem {
	var out []clusterspec.Problem
	at := map[string]int{}
	more := map[string]int{}
	for _, p := range problems {
		key := ""
		switch p.Rule {
		case ruleServerNamespace:
			key = p.Message
		case ruleServerKind, ruleServerNoAnswer:
			key = p.Rule
		}
		if _, seen := at[key]; key != "" && seen {
			more[key]++
			continue
		}
		if key != "" {
			at[key] = len(out)
		}
		out = append(out, p)
	}
	for key, n := range more {
		out[at[key]].Message += "; the same goes for " + count(n, "other object")
	}
	return out
}
