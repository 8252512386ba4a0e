package clusterspec_test

import (
	"fmt"
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
		b.WriteString("---\n" + strings.NewReplacer("name: dev", fmt.Sprintf("name: w%04d", i), "name: mgmt", "name: dev").Replace(workload))
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
