package eksctl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops"
)

// The logs are a record, too: of what was done last to a cluster from this directory, and whether it came to
// its end.

// deletedMark is the last line of the log of a deletion that succeeded.
func deletedMark(cluster string) string {
	return "(eksctl anywhere has deleted cluster " + cluster + ")"
}

// HasDeleted implements [gitops.Provisioner]: the newest log of the cluster is that of a deletion that
// succeeded, and no kubeconfig of it is here.
func (p *Provisioner) HasDeleted(cluster string) bool {
	if p.HasKubeconfig(cluster) {
		return false
	}
	entries, err := os.ReadDir(filepath.Join(p.options.Dir, cluster))
	if err != nil {
		return false
	}
	// A name ends in the time and, within one second, a number: in order of the time, then of the length.
	type log struct{ name, stamp string }
	var logs []log
	for _, entry := range entries {
		verb, stamp, ok := splitLogName(cluster, entry.Name())
		if ok && entry.Type().IsRegular() && verb != "" {
			logs = append(logs, log{entry.Name(), stamp})
		}
	}
	if len(logs) == 0 {
		return false
	}
	newest := slices.MaxFunc(logs, func(a, b log) int {
		const length = len("20060102T150405Z")
		if order := strings.Compare(a.stamp[:length], b.stamp[:length]); order != 0 {
			return order
		}
		if order := len(a.stamp) - len(b.stamp); order != 0 {
			return order
		}
		return strings.Compare(a.stamp, b.stamp)
	})
	if verb, _, _ := splitLogName(cluster, newest.name); verb != string(gitops.VerbDelete) {
		return false
	}
	content, err := localfile.ReadRegular(filepath.Join(p.options.Dir, cluster, newest.name), maxLog)
	return err == nil && strings.HasSuffix(string(content), "\n"+deletedMark(cluster)+"\n")
}

// maxLog bounds what is read of a log.
const maxLog = 256 << 20

// splitLogName takes the name of a log apart: <cluster>-eksctl-<verb>-<time>[-<number>].log.
func splitLogName(cluster, name string) (verb, stamp string, ok bool) {
	rest, isLog := strings.CutSuffix(name, ".log")
	rest, isOurs := strings.CutPrefix(rest, cluster+"-eksctl-")
	verb, stamp, found := strings.Cut(rest, "-")
	return verb, stamp, isLog && isOurs && found && len(stamp) >= len("20060102T150405Z")
}
