package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/eksa-gitops/eksa-gitops/internal/diagnostics"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// The output formats of get, which are kubectl's.
const (
	outputTable = "table"
	outputWide  = "wide"
	outputYAML  = "yaml"
	outputName  = "name"
)

// getClustersOptions are the flags of get clusters.
type getClustersOptions struct {
	names         []string
	output        string
	namespace     string
	allNamespaces bool
	watch         bool
	timeout       time.Duration
	cluster       clusterOptions
	git           gitOptions
}

func newGetClustersCmd(d *deps, run func(context.Context, *deps, *getClustersOptions) error) *cobra.Command {
	o := &getClustersOptions{}
	cmd := &cobra.Command{
		Use:     "clusters [NAME...]",
		Aliases: []string{"cluster"},
		Short:   "List the clusters, from Git and the management cluster together",
		Long: strings.TrimSpace(`
Lists the management cluster and its workload clusters. Git and the management cluster are read together, so that a cluster which is
only in one of them is seen: STATE says "only in Git", "only in the cluster", or "not in Git (not managed through Git)" for one
without a GitOps configuration. COMMIT is the one that Flux has applied to it last. CONTROL PLANE and WORKERS are the ready
and the desired machines.

As with kubectl, clusters of one namespace are listed: that of the kubeconfig's context, or of --namespace; -A lists all.
Exit code 0 says that the list could be made, whatever the clusters' state; status judges that.`),
		Example: `  eksa-gitops get clusters
  eksa-gitops get clusters -A -o wide
  eksa-gitops get clusters dev test --watch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if o.allNamespaces && cmd.Flags().Changed("namespace") {
				return usagef("--all-namespaces and --namespace exclude each other")
			}
			return run(cmd.Context(), d, o)
		},
	}
	flags := cmd.Flags()
	output := newEnum(&o.output, outputTable, outputTable, outputWide, outputJSON, outputYAML, outputName)
	flags.VarP(output, "output", "o", "format of the result on standard output: "+output.choices())
	completeEnum(cmd, "output", output)
	flags.StringVarP(&o.namespace, "namespace", "n", "",
		"`namespace` of the Cluster objects (default: that of the kubeconfig's context)")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "list the clusters of all namespaces")
	flags.BoolVarP(&o.watch, "watch", "w", false,
		"after the list, print every cluster that changes, until interrupted or until --timeout is over")
	flags.DurationVar(&o.timeout, "timeout", 0,
		"time limit for the whole run (default: 1m, with --watch none)")
	o.cluster.addFlags(cmd)
	completeClusters(cmd, d, &o.cluster, 0)
	completeContexts(cmd, d, &o.cluster)
	o.git.addServerFlags(cmd)
	return cmd
}

func runGetClusters(ctx context.Context, d *deps, o *getClustersOptions) error {
	ctx, cancel := limitLook(ctx, o.timeout, o.watch)
	defer cancel()
	look := newLook(d, &o.cluster, &o.git, "", true)
	list := &clusterList{d: d, o: o, look: look, shown: map[string]string{}}
	if o.watch {
		return watch(ctx, d, look, list.show)
	}
	report, err := look.once(ctx)
	if err != nil {
		return err
	}
	return list.show(report)
}

// clusterList prints the clusters of a report; of later ones those that have changed.
type clusterList struct {
	d     *deps
	o     *getClustersOptions
	look  *look
	table *ui.Table
	began bool
	shown map[string]string // clusters as they were printed last, by namespace and name
}

// ClustersResult is the JSON and YAML form of the result of get clusters (docs/output.md).
type ClustersResult struct {
	Version           string `json:"version"`           // of this form: eksa-gitops/v1
	Command           string `json:"command"`           // the command, which is get clusters
	ManagementCluster string `json:"managementCluster"` // its name; empty when it was not asked
	// Clusters are those that were asked for; later objects of --watch have those that have changed.
	Clusters []status.ClusterStatus `json:"clusters"`
	Unseen   []status.Unseen        `json:"unseen,omitempty"`  // what could not be looked at
	ExitCode int                    `json:"exitCode"`          // of the program, as in docs/exit-codes.md
	Failure  *FailureSummary        `json:"failure,omitempty"` // why there is no list
}

func (l *clusterList) show(report *status.Report) error {
	first := !l.began
	chosen, err := l.choose(report, first)
	if err != nil {
		return err
	}
	l.began = true
	if first {
		for _, u := range report.Unseen {
			printLines(l.d.streams.Err, "warning",
				fmt.Sprintf("%s was not looked at, so that some states are not known: %s", u.What, u.Reason))
		}
	}
	var changed []status.ClusterStatus
	for _, c := range chosen {
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if key := c.Namespace + "/" + c.Name; l.shown[key] != string(text) {
			l.shown[key] = string(text)
			changed = append(changed, c)
		}
	}
	if len(changed) == 0 && !first {
		return nil
	}
	result := ClustersResult{Version: report.Version, Command: "get clusters",
		ManagementCluster: report.ManagementCluster, Clusters: changed, Unseen: report.Unseen}
	if changed == nil {
		result.Clusters = []status.ClusterStatus{}
	}
	switch l.o.output {
	case outputJSON:
		return diagnostics.WriteJSON(l.d.streams.Out, result)
	case outputYAML:
		text, err := yaml.Marshal(result)
		if err != nil {
			return err
		}
		if !first {
			text = append([]byte("---\n"), text...)
		}
		_, err = l.d.streams.Out.Write(text)
		return err
	case outputName:
		out := lines{w: l.d.streams.Out}
		for _, c := range changed {
			out.printf("cluster.anywhere.eks.amazonaws.com/%s", c.Name)
		}
		return nil
	default:
		return l.rows(report, changed)
	}
}

// choose takes the clusters that were asked for. At first all of them have to be there; later one may go.
func (l *clusterList) choose(report *status.Report, first bool) ([]status.ClusterStatus, error) {
	namespace := l.o.namespace
	if namespace == "" {
		namespace = l.look.live.Namespace()
	}
	var chosen, elsewhere []status.ClusterStatus
	for _, c := range report.Clusters {
		switch {
		case len(l.o.names) > 0 && !slices.Contains(l.o.names, c.Name):
		case l.o.allNamespaces || c.Namespace == namespace:
			chosen = append(chosen, c)
		default:
			elsewhere = append(elsewhere, c)
		}
	}
	for _, name := range l.o.names {
		if first &&
			!slices.ContainsFunc(chosen, func(c status.ClusterStatus) bool { return c.Name == name }) {
			unknown := &status.UnknownClusterError{Name: name}
			for _, c := range report.Clusters {
				unknown.Known = append(unknown.Known, c.Namespace+"/"+c.Name)
			}
			return nil, unknown
		}
	}
	if first && len(chosen) == 0 && (l.o.output == outputTable || l.o.output == outputWide) {
		text := "no clusters found"
		if !l.o.allNamespaces {
			text += " in namespace " + namespace
		}
		if len(elsewhere) > 0 {
			text += fmt.Sprintf("; %s in other namespaces: add -A", are(len(elsewhere), "cluster"))
		}
		printLines(l.d.streams.Err, "info", text)
	}
	return chosen, nil
}

func (l *clusterList) rows(report *status.Report, clusters []status.ClusterStatus) error {
	if len(clusters) == 0 {
		return nil
	}
	wide := l.o.output == outputWide
	if l.table == nil {
		l.table = ui.NewTable(l.d.streams.Out, clusterColumns(l.o.allNamespaces, wide)...)
	}
	for _, c := range clusters {
		l.table.Row(clusterCells(report.Time, &c, l.o.allNamespaces, wide)...)
	}
	return l.table.Flush()
}
