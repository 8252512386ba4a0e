package status_test

import (
	"errors"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// trouble is what can be wrong, and what is told of it.
type trouble struct {
	change func(o *status.Observation)
	want   []string // object | cause | file | next
}

// troubles are all causes that can be told.
func troubles() map[string]trouble {
	notReady := func(object, reason, message, cause, culprit string) *fluxinstall.NotReadyError {
		return &fluxinstall.NotReadyError{Object: object, Reason: reason, Message: message, Cause: cause,
			Next: "kubectl describe it", Culprit: culprit}
	}
	const kustomization, source = "Kustomization flux-system/flux-system",
		"GitRepository flux-system/flux-system"
	return map[string]trouble{
		"immutable field refused": {
			func(o *status.Observation) {
				o.Git.Tip.Hash = commitTwo
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(kustomization,
					"ReconciliationFailed", "Cluster/default/dev dry-run failed", "put the old value back",
					"Cluster/default/dev")}
			},
			[]string{kustomization +
				" | put the old value back | clusters/mgmt/dev/eksa-system/eksa-cluster.yaml | git log -p " +
				"-1 -- clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"},
		},
		"build error in a cluster's file": {
			func(o *status.Observation) {
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(kustomization, "BuildFailed", "no",
					"cannot be built", "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml")}
			},
			[]string{kustomization +
				" | cannot be built | clusters/mgmt/dev/eksa-system/eksa-cluster.yaml | git log"},
		},
		"build error in a file of somebody's": {
			func(o *status.Observation) {
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(kustomization, "BuildFailed", "no",
					"cannot be built", "clusters/mgmt/apps/x.yaml")}
			},
			[]string{kustomization + " | cannot be built | clusters/mgmt/apps/x.yaml | git log"},
		},
		"build error that names no file": {
			func(o *status.Observation) {
				o.Git.Clusters[0].Objects, o.Git.Clusters[0].Broken = nil, "not valid YAML"
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(kustomization, "BuildFailed", "no",
					"cannot be built", "")}
			},
			[]string{kustomization +
				" | cannot be built | clusters/mgmt/dev/eksa-system/eksa-cluster.yaml | git log"},
		},
		"deploy key gone, before Flux has noticed": {
			func(o *status.Observation) { o.Host.Keys = nil },
			[]string{"deploy key SHA256:abc | somebody removed it |  | eksa-gitops create cluster -f FILE, " +
				"with the file of mgmt"},
		},
		"deploy key gone": {
			func(o *status.Observation) {
				o.Host.Keys = nil
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(source, "GitOperationFailed",
					"no supported methods remain",
					"the Git server does not accept the cluster's credentials", "")}
			},
			[]string{"deploy key SHA256:abc | somebody removed it |  | eksa-gitops create cluster"},
		},
		"deploy key disabled": {
			func(o *status.Observation) {
				o.Host.Keys[0].Disabled = true
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(source, "GitOperationFailed",
					"Repository not found", "the Git server does not accept the cluster's credentials", "")}
			},
			[]string{"deploy key SHA256:abc | the organization does not allow deploy keys |  | have an " +
				"owner of the organization allow them"},
		},
		"Secret gone": {
			func(o *status.Observation) { o.Survey.Flux.SourceSecret = nil },
			[]string{"Secret flux-system/flux-system | no credentials |  | eksa-gitops create cluster"},
		},
		"host key": {
			func(o *status.Observation) {
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(source, "GitOperationFailed",
					"knownhosts: key mismatch", "it has new keys, or somebody is in between", "")}
			},
			[]string{source + " | somebody is in between |  | kubectl describe it"},
		},
		"Flux not installed": {
			func(o *status.Observation) { o.Survey.Flux = fluxinstall.FluxState{} },
			[]string{"Flux in namespace flux-system | nothing that is in Git reaches the cluster |  | " +
				"eksa-gitops create cluster"},
		},
		"another Flux": {
			func(o *status.Observation) {
				o.Survey.Flux.Others =
					[]fluxinstall.Other{{Description: "its controllers run in namespace flux"}}
			},
			[]string{"Flux | fight over every object |  | kubectl get deployments -A"},
		},
		"another branch": {
			func(o *status.Observation) { o.Survey.Flux.GitRepository.Branch = "old" },
			[]string{source + " | FluxConfig mgmt says branch main |  | eksa-gitops create cluster"},
		},
		"another path": {
			func(o *status.Observation) { o.Survey.Flux.Kustomization.Path = "./old" },
			[]string{kustomization +
				" | FluxConfig mgmt says ./clusters/mgmt |  | eksa-gitops create cluster"},
		},
		"branch gone": {
			func(o *status.Observation) {
				o.Git = &status.GitSight{State: git.BranchMissing}
				o.Live = nil
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(source, "GitOperationFailed",
					"couldn't find remote ref", "the branch is not in the repository", "")}
			},
			[]string{"branch main | Flux keeps what it has applied, and applies nothing new |  | git push " +
				"https://github.com/acme/fleet.git " + commitOne + ":refs/heads/main"},
		},
		"branch renamed": {
			func(o *status.Observation) {
				o.Git = &status.GitSight{State: git.BranchMissing, Renamed: "trunk of all"}
				o.Live = nil
			},
			[]string{"branch main | applies nothing new |  | git fetch https://github.com/acme/fleet.git " +
				"'trunk of all' && git push https://github.com/acme/fleet.git FETCH_HEAD:refs/heads/main"},
		},
		"repository empty": {
			func(o *status.Observation) {
				o.Git = &status.GitSight{State: git.RepositoryEmpty}
				o.Live, o.Host.Keys = nil, nil
			},
			[]string{"repository https://github.com/acme/fleet | Flux's deploy key is not registered there " +
				"|  | call that one acme/fleet again; else push the branch from a clone"},
		},
		"another repository under the old name": {
			func(o *status.Observation) {
				o.Git.Tip.Hash, o.Git.Behind, o.Git.Lacks, o.Git.Clusters = commitTwo, -1, true, nil
				o.Live, o.Host.Keys = nil, nil
				o.Survey.Flux.Kustomization.Inventory =
					[]string{"default_mgmt_anywhere.eks.amazonaws.com_Cluster",
						"default_dev_anywhere.eks.amazonaws.com_Cluster"}
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(source, "GitOperationFailed",
					"no supported methods remain",
					"the Git server does not accept the cluster's credentials", "")}
			},
			[]string{"repository https://github.com/acme/fleet | it is another repository under the old " +
				"name: Flux's deploy key is not registered there |  | git push --force " +
				"https://github.com/acme/fleet.git " + commitOne + ":refs/heads/main"},
		},
		"history rewritten, and files gone": {
			func(o *status.Observation) {
				o.Git.Tip.Hash, o.Git.Behind, o.Git.Lacks, o.Git.Clusters = commitTwo, -1, true,
					o.Git.Clusters[1:]
				o.Live = o.Live[1:]
				o.Survey.Flux.Kustomization.Inventory =
					[]string{"default_mgmt_anywhere.eks.amazonaws.com_Cluster",
						"default_dev_anywhere.eks.amazonaws.com_Cluster"}
			},
			[]string{"repository https://github.com/acme/fleet | the history of the branch was rewritten: " +
				"Flux's deploy key is registered there |  | bring back what Flux applied last"},
		},
		"archived": {
			func(o *status.Observation) { o.Host.Repository.Archived = true },
			[]string{"repository https://github.com/acme/fleet | nobody can push to it |  | " +
				"https://github.com/acme/fleet/settings"},
		},
		"disabled": {
			func(o *status.Observation) {
				o.Git, o.GitErr, o.Host.Repository.Disabled = nil, errors.New("access blocked"), true
			},
			[]string{"repository https://github.com/acme/fleet | nobody can read or write what is in it " +
				"|  | GitHub's support"},
		},
		"repository gone": {
			func(o *status.Observation) {
				o.Git, o.GitErr, o.Host = nil, &git.NotFoundError{},
					&status.HostSight{Err: github.ErrNotFound, KeysErr: github.ErrNotFound}
				o.Survey.Flux.GitRepository.Ready = false
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(source, "GitOperationFailed",
					"repository not found", "the repository is gone", "")}
			},
			[]string{"repository https://github.com/acme/fleet | when it is gone, Flux keeps what it has " +
				"applied |  | have its owner restore it"},
		},
		"repository hidden from the token": {
			func(o *status.Observation) {
				o.Git, o.GitErr, o.Host = nil, &git.NotFoundError{},
					&status.HostSight{Err: github.ErrNotFound, KeysErr: github.ErrNotFound}
			},
			[]string{"repository https://github.com/acme/fleet | Flux could read it when it looked last, " +
				"so most likely it is the credentials |  | use a token that may see it"},
		},
		"pushed, not fetched": {
			func(o *status.Observation) { o.Git.Tip.Hash, o.Git.Behind = commitTwo, 3 },
			[]string{kustomization + " | it does every 1m0s |  | make it look now"},
		},
		"pushed, being applied": {
			func(o *status.Observation) {
				o.Git.Tip.Hash, o.Git.Behind = commitTwo, 1
				o.Survey.Flux.GitRepository.Revision = fluxinstall.Revision("main", commitTwo)
			},
			[]string{kustomization + " | is applying it |  | eksa-gitops status --watch"},
		},
		"suspended, and Git has gone on": {
			func(o *status.Observation) {
				o.Git.Tip.Hash = commitTwo
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady(kustomization, "Suspended",
					"suspended since yesterday", "", "")}
			},
			[]string{kustomization + " |  |  | kubectl describe it"},
		},
		"cluster paused": {
			func(o *status.Observation) {
				o.Survey.Clusters[1].Pauses = []fluxinstall.Pause{{Object: "Cluster default/dev",
					Field: "anywhere.eks.amazonaws.com/paused", Resume: "kubectl annotate it"}}
				o.Survey.Clusters[1].Problem = notReady("Cluster default/dev", "Paused",
					"it is paused", "", "")
			},
			[]string{"Cluster default/dev | until the annotation is gone |  | kubectl annotate it"},
		},
		"machines left alone by Flux": {
			func(o *status.Observation) {
				machines :=
					asGit("{kind: VSphereMachineConfig, metadata: {name: dev-cp}, spec: {numCPUs: 2}}")
				o.Git.Clusters[0].Objects = append(o.Git.Clusters[0].Objects, machines)
				o.Live = append(o.Live, fluxinstall.LiveObject{
					Kind: machines.Kind, Namespace: "default", Name: "dev-cp", Fields: machines.Fields,
					Pauses: []fluxinstall.Pause{{Object: "VSphereMachineConfig default/dev-cp",
						Field: "kustomize.toolkit.fluxcd.io/reconcile", Resume: "kubectl annotate it"}},
				})
			},
			[]string{"VSphereMachineConfig default/dev-cp | until the annotation is gone |  | kubectl " +
				"annotate it"},
		},
		"left alone, and Git not seen": {
			func(o *status.Observation) {
				o.Git = nil
				o.GitErr = errors.New("no route to host")
				o.Live[0].Kind, o.Live[0].Pauses = "FluxConfig",
					[]fluxinstall.Pause{{Object: "FluxConfig default/dev",
						Field: "kustomize.toolkit.fluxcd.io/reconcile", Resume: "kubectl annotate it"}}
			},
			[]string{
				"repository https://github.com/acme/fleet | it was not looked at, so that nothing is said " +
					"about what is in Git |  | ",
				"FluxConfig default/dev | until the annotation is gone |  | kubectl annotate it",
			},
		},
		"cluster not Ready": {
			func(o *status.Observation) {
				o.Survey.Clusters[1].Problem = notReady("Cluster default/dev", "ScalingUp", "1 of 3",
					"EKS Anywhere is at work", "")
			},
			[]string{"Cluster default/dev | EKS Anywhere is at work |  | kubectl describe it"},
		},
		"apps not applied": {
			func(o *status.Observation) {
				for _, name := range []string{"eksa-system/dev-apps", "flux-system/mgmt-apps",
					"flux-system/dev-apps", "eksa-system/others"} {
					namespace, name, _ := strings.Cut(name, "/")
					o.Survey.Nested = append(o.Survey.Nested, fluxinstall.NestedProblem{
						Namespace: namespace, Name: name, Problem: notReady("Kustomization "+namespace+"/"+
							name, "BuildFailed", "no such file", "a file is missing", ""),
					})
				}
			},
			[]string{
				"Kustomization eksa-system/dev-apps | a file is missing |  | kubectl describe it",
				"Kustomization flux-system/mgmt-apps | a file is missing |  | kubectl describe it",
				"Kustomization flux-system/dev-apps | a file is missing |  | kubectl describe it",
				"Kustomization eksa-system/others | a file is missing |  | kubectl describe it",
			},
		},
		"apps of a cluster that is not Ready": {
			func(o *status.Observation) {
				o.Survey.Clusters[1].Problem = notReady("Cluster default/dev", "ScalingUp", "1 of 3",
					"EKS Anywhere is at work", "")
				o.Survey.Nested = []fluxinstall.NestedProblem{{Namespace: "eksa-system", Name: "dev-apps",
					Problem: notReady("Kustomization eksa-system/dev-apps", "X", "no kubeconfig", "", "")}}
			},
			[]string{"Cluster default/dev | EKS Anywhere is at work |  | kubectl describe it"},
		},
		"a Kustomization that is deleted while its controller sleeps": {
			func(o *status.Observation) {
				o.Survey.Deletions = []fluxinstall.Deletion{{Kind: "Kustomization",
					Namespace: "flux-system", Name: "flux-system", Asleep: "kustomize-controller",
					Takes: []string{"Cluster default/dev"}}}
				o.Survey.Problems = []*fluxinstall.NotReadyError{notReady("Deployment "+
					"flux-system/kustomize-controller", "ScaledToZero", "somebody scaled it to zero", "", "")}
			},
			[]string{
				kustomization +
					" | it deletes what the Kustomization has applied: Cluster default/dev |  | kubectl",
				"Deployment flux-system/kustomize-controller |  |  | do not start it before the deletion " +
					"of " + kustomization + " is stopped: kubectl describe it",
			},
		},
		"clusters that are deleted": {
			func(o *status.Observation) {
				o.Survey.Deletions = []fluxinstall.Deletion{
					{Kind: "Cluster", Namespace: "default", Name: "dev"},
					{Kind: "Cluster", Namespace: "default", Name: "gone"}, {Kind: "FluxConfig",
						Namespace: "default", Name: "dev"},
				}
				o.Survey.Clusters[1].Problem = notReady("Cluster default/dev", "",
					"it is being deleted", "", "")
			},
			[]string{
				"Cluster default/dev | Flux creates the cluster again |  | eksa-gitops delete cluster dev"},
		},
		"paused in Git": {
			func(o *status.Observation) {
				o.Survey.Clusters[1].Pauses = []fluxinstall.Pause{{Object: "Cluster default/dev",
					Field: clusterspec.PausedAnnotation, By: "kustomize-controller",
					Resume: "kubectl annotate it"}}
				o.Git.Clusters[0].Objects[0] = asGit("{kind: Cluster, metadata: {name: dev, annotations: " +
					"{anywhere.eks.amazonaws.com/paused: 'true'}}, spec: {kubernetesVersion: '1.33'}}")
				o.Live[0].Fields = o.Git.Clusters[0].Objects[0].Fields
			},
			[]string{"Cluster default/dev | it is in Git, so that Flux puts it back |  | eksa-gitops " +
				"resume cluster dev"},
		},
		"paused by kubectl": {
			func(o *status.Observation) {
				o.Survey.Clusters[1].Pauses = []fluxinstall.Pause{{Object: "Cluster default/dev",
					Field: clusterspec.PausedAnnotation, By: "kubectl-annotate",
					Resume: "kubectl annotate it"}}
			},
			[]string{"Cluster default/dev | Flux takes the annotation off when it applies next |  | " +
				"eksa-gitops pause cluster dev; to end it: eksa-gitops resume cluster dev"},
		},
		"only in Git": {
			func(o *status.Observation) { o.Survey.Clusters, o.Live = o.Survey.Clusters[:1], o.Live[1:] },
			[]string{"Cluster default/dev | Flux does not build its directory | " +
				"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml | kubectl -n flux-system describe"},
		},
		"deleted by kubectl": {
			func(o *status.Observation) {
				o.Survey.Clusters, o.Live = o.Survey.Clusters[:1], o.Live[1:]
				o.Survey.Flux.Kustomization.Inventory = []string{
					"default_mgmt_anywhere.eks.amazonaws.com_Cluster",
					"default_dev_anywhere.eks.amazonaws.com_Cluster"}
			},
			[]string{"Cluster default/dev | Flux has applied it, and creates it again when it applies " +
				"next; EKS Anywhere then builds the cluster with new machines | " +
				"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml | eksa-gitops delete cluster dev; " +
				"else wait"},
		},
		"another cluster of Flux's": {
			func(o *status.Observation) {
				o.Survey.Clusters, o.Live = o.Survey.Clusters[:1], o.Live[1:]
				o.Survey.Flux.Kustomization.Inventory = []string{"default_dev_cluster.x-k8s.io_Cluster",
					"other_dev_anywhere.eks.amazonaws.com_Cluster"}
			},
			[]string{"Cluster default/dev | Flux does not build its directory | " +
				"clusters/mgmt/dev/eksa-system/eksa-cluster.yaml | kubectl -n flux-system describe"},
		},
		"upgraded behind Git": {
			func(o *status.Observation) {
				o.Live[0].Fields = asGit("{kind: Cluster, metadata: {name: dev}, spec: " +
					"{kubernetesVersion: '1.34'}}").Fields
			},
			[]string{"Cluster default/dev | Flux cannot put back what Git says: Kubernetes cannot be " +
				"downgraded from 1.34 to 1.33 |  | put spec.kubernetesVersion: \"1.34\" into the file of " +
				"dev"},
		},
		"only in Git, the commit is to come": {
			func(o *status.Observation) {
				o.Survey.Clusters, o.Live = o.Survey.Clusters[:1], o.Live[1:]
				o.Git.Tip.Hash = commitTwo
			},
			[]string{kustomization + " | since the push |  | make it look now"},
		},
		"only in the cluster": {
			func(o *status.Observation) { o.Git.Clusters, o.Live = o.Git.Clusters[1:], o.Live[1:] },
			[]string{"Cluster default/dev | its files were never pushed, or they were removed |  | " +
				"eksa-gitops create cluster -f FILE, with the file of dev"},
		},
		"drift": {
			func(o *status.Observation) {
				o.Live[0].Fields =
					asGit("{kind: Cluster, metadata: {name: dev}, spec: {kubernetesVersion: '1.32'}}").Fields
			},
			[]string{"Cluster default/dev | somebody changed it in the cluster; Flux puts back |  | make " +
				"it in Git"},
		},
		"drift while suspended": {
			func(o *status.Observation) {
				o.Live[0].Fields =
					asGit("{kind: Cluster, metadata: {name: dev}, spec: {kubernetesVersion: '1.32'}}").Fields
				o.Survey.Pauses = []fluxinstall.Pause{{Object: kustomization, Field: "spec.suspend"}}
			},
			[]string{"Cluster default/dev | nothing puts it back |  | make it in Git"},
		},
		"not applied yet is no drift": {
			func(o *status.Observation) {
				o.Git.Tip.Hash = commitTwo
				o.Live[0].Fields =
					asGit("{kind: Cluster, metadata: {name: dev}, spec: {kubernetesVersion: '1.32'}}").Fields
			},
			[]string{kustomization + " | since the push |  | make it look now"},
		},
		"a reference that leads nowhere": {
			func(o *status.Observation) {
				o.Survey.State.Clusters = []fluxinstall.ClusterInfo{o.Survey.Clusters[0].ClusterInfo}
				o.NoReference = true
			},
			[]string{"FluxConfig default/mgmt | somebody deleted it |  | eksa-gitops create cluster"},
		},
		"not the cluster asked about": {
			func(o *status.Observation) {
				o.Cluster = "mgmt"
				o.Survey.Clusters[1].Problem = notReady("Cluster default/dev", "ScalingUp", "1 of 3", "", "")
				o.Git.Clusters, o.Live = o.Git.Clusters[1:], o.Live[1:]
			},
			nil,
		},
	}
}
