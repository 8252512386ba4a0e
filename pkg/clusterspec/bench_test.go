package clusterspec_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
)

// fleet is a file of a management cluster and many workload clusters, five documents each.
func fleet(tb testing.TB, clusters int) []byte {
	tb.Helper()
	management, workload := readSpec(tb, "vsphere-management-github"), readSpec(tb, "vsphere-workload-github")
	var b strings.Builder
	b.WriteString(management)
	for i := range clusters - 1 {
		b.WriteString("---\n" +
			strings.NewReplacer("name: dev", fmt.Sprintf("name: w%04d", i), "name: mgmt", "name: dev",
				"10.20.0.10", fmt.Sprintf("10.21.%d.%d", i/256, i%256)).Replace(workload))
	}
	return []byte(b.String())
}

// BenchmarkParse reads and checks one file of 1,000 clusters.
func BenchmarkParse(b *testing.B) {
	data := fleet(b, 1000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		set, err := clusterspec.Parse([]clusterspec.Source{{Name: "fleet.yaml", Data: data}})
		if err != nil || len(set.Clusters) != 1000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkRender writes the files of 1,000 clusters.
func BenchmarkRender(b *testing.B) {
	set, err := clusterspec.Parse([]clusterspec.Source{{Name: "fleet.yaml", Data: fleet(b, 1000)}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range set.Clusters {
			clusterspec.Render(c)
		}
	}
}

// BenchmarkCompareSets compares two states of 1,000 clusters.
func BenchmarkCompareSets(b *testing.B) {
	data := fleet(b, 1000)
	before := parseText(string(data))
	after := parseText(strings.ReplaceAll(string(data), "count: 2", "count: 3"))
	b.ReportAllocs()
	for b.Loop() {
		if changes := clusterspec.CompareSets(before, after); len(changes) != 1000 {
			b.Fatal(len(changes))
		}
	}
}

// BenchmarkMerge: the work grows with the size of the text, not with its square.
func BenchmarkMerge(b *testing.B) {
	for _, groups := range []int{10, 100, 1000} {
		b.Run(strconv.Itoa(groups), func(b *testing.B) {
			var base strings.Builder
			base.WriteString("kind: Cluster\nmetadata: {name: dev}\nspec:\n" +
				"  workerNodeGroupConfigurations:\n")
			for n := range groups {
				fmt.Fprintf(&base, "  - name: md-%d\n    count: 1\n    labels:\n      a: x\n", n)
			}
			ours := strings.ReplaceAll(base.String(), "count: 1", "count: 2")
			theirs := strings.ReplaceAll(base.String(), "a: x", "a: y")
			b.SetBytes(int64(base.Len()))
			for b.Loop() {
				if merged, err := clusterspec.Merge(source("base", base.String()), source("ours", ours),
					source("theirs", theirs)); err != nil || merged.Data == nil {
					b.Fatal(err)
				}
			}
		})
	}
}
