package clusterspec

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// release is what one minor version of EKS Anywhere comes with.
type release struct {
	minor        int // 26 is v0.26
	oldest       int // Kubernetes minor versions
	newest       int
	flux         string // "" when we have no source for it
	noCloudStack bool
}

// releases are EKS Anywhere's, by its release notes and its table of supported versions, the oldest first:
// what the first release of each minor version comes with. Of those that are missing we have no good source,
// and say nothing.
var releases = []release{
	{minor: 5, oldest: 20, newest: 21},
	{minor: 6, oldest: 20, newest: 21},
	{minor: 7, oldest: 20, newest: 21},
	{minor: 8, oldest: 20, newest: 22},
	{minor: 9, oldest: 20, newest: 22},
	{minor: 10, oldest: 20, newest: 22},
	{minor: 11, oldest: 20, newest: 23},
	{minor: 12, oldest: 20, newest: 24},
	{minor: 13, oldest: 21, newest: 24},
	{minor: 14, oldest: 21, newest: 25},
	{minor: 15, oldest: 22, newest: 26},
	{minor: 16, oldest: 23, newest: 27},
	{minor: 17, oldest: 23, newest: 27},
	{minor: 18, oldest: 24, newest: 28},
	{minor: 19, oldest: 25, newest: 29, flux: "2.2.3"},
	{minor: 20, oldest: 26, newest: 30, flux: "2.3.0"},
	{minor: 21, oldest: 27, newest: 31, flux: "2.4.0"},
	{minor: 22, oldest: 28, newest: 32, flux: "2.5.0"},
	{minor: 23, oldest: 28, newest: 33, flux: "2.6.0"},
	{minor: 24, oldest: 28, newest: 34, flux: "2.7.0"},
	{minor: 25, oldest: 29, newest: 35},
	{minor: 26, oldest: 30, newest: 36, flux: "2.8.8", noCloudStack: true},
	{minor: 27, oldest: 31, newest: 37, flux: "2.10.0", noCloudStack: true},
}

// ourRelease is the release whose facts the field table holds. It counts where no file says which one is in
// use.
const ourRelease = 26

// compareVersions compares two semantic versions by their three numbers, as [cmp.Compare] does; false when
// one of them is none. What comes after the numbers is a build of the same release.
func compareVersions(a, b string) (int, bool) {
	left, right := versionForm.FindStringSubmatch(a), versionForm.FindStringSubmatch(b)
	if left == nil || right == nil {
		return 0, false
	}
	for i := 1; i <= 3; i++ {
		mine, mineErr := strconv.Atoi(left[i])
		theirs, theirsErr := strconv.Atoi(right[i])
		if mineErr != nil || theirsErr != nil {
			return 0, false
		}
		if order := cmp.Compare(mine, theirs); order != 0 {
			return order, true
		}
	}
	return 0, true
}

var versionForm = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)\.([0-9]+)([-+].*)?$`)

// checkReleases holds each cluster against the release of EKS Anywhere that it is for: that of its own
// eksaVersion, that of its management cluster, or the one that the field table is of. What is outside is
// warned of only: another release may have it.
func (p *parser) checkReleases() {
	for _, c := range p.set.Clusters {
		r := p.names[c.Name]
		minor, why := p.releaseOf(c)
		if minor == 0 {
			continue
		}
		at := slices.IndexFunc(releases, func(known release) bool { return known.minor == minor })
		if last := releases[len(releases)-1].minor; at < 0 && minor > last {
			if own, _ := releaseMinor(text(r.object.root(), "spec", "eksaVersion")); own == minor {
				w := r.warn("release", "spec.eksaVersion", "the release is newer than those that this "+
					"version of eksa-gitops knows, so its rules may differ")
				w.Found, w.Expected = quote(text(r.object.root(), "spec", "eksaVersion")),
					fmt.Sprintf("at most v0.%d", last)
			}
			continue
		}
		if at < 0 {
			continue
		}
		known := releases[at]
		if known.noCloudStack && c.Provider == "cloudstack" {
			w := r.warn("release", "spec.datacenterRef.kind",
				fmt.Sprintf("EKS Anywhere v0.%d no longer supports CloudStack (%s)", minor, why))
			w.Expected = "a release up to v0.25, or another provider"
		}
		r.checkKubernetes(known, why, "spec.kubernetesVersion", c.KubernetesVersion)
		for i, group := range items(r.object.root(), "spec", "workerNodeGroupConfigurations") {
			if own := text(group, "kubernetesVersion"); own != c.KubernetesVersion {
				r.checkKubernetes(known, why,
					fmt.Sprintf("spec.workerNodeGroupConfigurations[%d].kubernetesVersion", i), own)
			}
		}
	}
}

// releaseOf gives the minor version of EKS Anywhere that counts for a cluster, 0 when that cannot be told,
// and why it is that.
func (p *parser) releaseOf(c *Cluster) (minor int, why string) {
	version := func(name string) (string, bool) {
		r := p.names[name]
		if r == nil {
			return "", false
		}
		value := text(r.object.root(), "spec", "eksaVersion")
		return value, value != "" || r.present("spec", "bundlesRef")
	}
	if own, said := version(c.Name); said {
		minor, _ = releaseMinor(own)
		return minor, "spec.eksaVersion"
	}
	if theirs, said := version(c.ManagementCluster); said {
		minor, _ = releaseMinor(theirs)
		return minor, "spec.eksaVersion of Cluster " + c.ManagementCluster
	}
	return ourRelease, "no eksaVersion says which release it is"
}

// checkKubernetes warns of a Kubernetes version that a release does not have.
func (r *report) checkKubernetes(known release, why, path, version string) {
	minor, ok := minorOf(version)
	if !ok || minor >= known.oldest && minor <= known.newest {
		return
	}
	w := r.warn("release", path,
		fmt.Sprintf("EKS Anywhere v0.%d does not come with this Kubernetes version (%s)", known.minor, why))
	w.Found, w.Expected = quote(version), fmt.Sprintf("1.%d to 1.%d", known.oldest, known.newest)
	if other := releaseWith(minor, known); other > 0 {
		w.Expected += fmt.Sprintf(", or eksaVersion v0.%d", other)
	}
}

// releaseWith gives the release nearest to a known one that comes with a Kubernetes version, 0 for none of
// which we know.
func releaseWith(minor int, known release) int {
	found := 0
	for _, other := range releases {
		if minor < other.oldest || minor > other.newest {
			continue
		}
		if found = other.minor; minor > known.newest {
			return found
		}
	}
	return found
}
