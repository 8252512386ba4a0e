package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/internal/ui"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// What a page shows at most: it is meant for one screen, -o json has everything.
const (
	maxClusterRows = 15
	maxDriftRows   = 20
	maxProblems    = 10
	maxValue       = 60
)

// printStatus writes the page.
func printStatus(d *deps, r *status.Report, name string) {
	p := &page{lines: lines{w: d.streams.Out}, now: r.Time}
	p.section("Cluster", "%s at %s", r.ManagementCluster, r.Server)
	p.repository(r)
	p.flux(r)
	p.clusters(r, name)
	p.drift(r)
	for _, note := range r.Notes {
		p.section("Note", "%s", note)
	}
	for _, u := range r.Unseen {
		if u.Problem {
			continue // it is told there
		}
		p.section("Not seen", "%s: %s", u.What, u.Reason)
		if u.Hint != "" {
			p.detail("", "%s", u.Hint)
		}
	}
	p.problems(r)
}

type page struct {
	lines
	now time.Time
}

func (p *page) section(title, format string, args ...any) {
	p.printf("%-12s %s", title, ui.CleanLine(fmt.Sprintf(format, args...)))
}

func (p *page) detail(title, format string, args ...any) {
	p.printf("  %-10s %s", title, ui.CleanLine(fmt.Sprintf(format, args...)))
}

func (p *page) repository(r *status.Report) {
	repo := r.Repository
	if repo == nil {
		return
	}
	p.section("Repository", "%s, branch %s, path %s", repo.URL, repo.Branch, repo.Path)
	switch {
	case !repo.Seen:
		p.detail("head", "not seen")
	case repo.Commit == "":
		p.detail("head", "there is no branch %s", repo.Branch)
	default:
		p.detail("head", "%s %q by %s, %s", repo.Commit[:min(7, len(repo.Commit))],
			shorten(repo.Subject, maxValue), repo.Author, ago(p.now, repo.Time))
	}
	if key := r.DeployKey; key != nil {
		p.section("Deploy key", "%s", describeKey(key))
	}
}

func describeKey(key *status.DeployKeyStatus) string {
	switch {
	case key.Username != "" && key.Fingerprint == "":
		return fmt.Sprintf("none: Secret %s has the HTTPS credentials of %s", key.Secret, key.Username)
	case key.Fingerprint == "":
		return fmt.Sprintf("none in Secret %s", key.Secret)
	case key.Registered == nil:
		return fmt.Sprintf("%s in Secret %s", key.Fingerprint, key.Secret)
	case !*key.Registered:
		return fmt.Sprintf("%s in Secret %s is NOT registered", key.Fingerprint, key.Secret)
	case key.Disabled:
		return fmt.Sprintf("%s, registered as %q, DISABLED", key.Fingerprint, key.Title)
	case *key.ReadOnly:
		return fmt.Sprintf("%s, registered as %q, read-only", key.Fingerprint, key.Title)
	default:
		return fmt.Sprintf("%s, registered as %q, may WRITE", key.Fingerprint, key.Title)
	}
}

func (p *page) flux(r *status.Report) {
	f := r.Flux
	if f == nil {
		return
	}
	if !f.Installed {
		p.section("Flux", "NOT installed in namespace %s", f.Namespace)
		return
	}
	ready := 0
	for _, c := range f.Controllers {
		if c.Ready {
			ready++
		}
	}
	p.section("Flux", "%s in namespace %s, %d of %s ready", fluxRelease(f.Version, len(f.Controllers)),
		f.Namespace, ready, count(len(f.Controllers), "controller"))
	for _, c := range f.Controllers {
		switch {
		case c.Asleep:
			p.detail("", "%s is scaled to zero", c.Name)
		case !c.Ready:
			p.detail("", "%s is not ready", c.Name)
		}
	}
	if f.Source != nil {
		text := syncText(p.now, f.Source) + ", fetched " + orNothing(shortRevision(f.Fetched))
		if f.Interval != "" {
			text += ", looks every " + f.Interval
		}
		if len(f.SparseCheckout) > 0 {
			text += ", fetches only " + strings.Join(f.SparseCheckout, ", ")
		}
		p.detail("source", "%s", text)
	}
	if f.Kustomization != nil {
		text := syncText(p.now, f.Kustomization) + ", applied " + orNothing(shortRevision(f.Applied))
		switch {
		case f.UpToDate != nil && *f.UpToDate:
			text += ", up to date"
		case f.Behind != nil:
			text += ", " + count(*f.Behind, "commit") + " behind"
		case f.UpToDate != nil:
			text += ", NOT up to date"
		}
		p.detail("apply", "%s", text)
	}
}

func orNothing(revision string) string {
	if revision == "" {
		return "nothing"
	}
	return revision
}

// syncText says how an object of Flux is: Ready, or what its Ready condition says, and since when.
func syncText(now time.Time, s *status.SyncObjectStatus) string {
	text := "no condition yet"
	for _, c := range s.Conditions {
		if c.Type != "Ready" {
			continue
		}
		switch {
		case s.Ready:
			text = "Ready"
		case c.Status == "Unknown":
			text = "working (" + c.Reason + ")"
		default:
			text = "NOT ready (" + c.Reason + ")"
		}
		if c.Since != nil {
			text += " since " + strings.TrimSuffix(ago(now, c.Since), " ago")
		}
	}
	if s.Suspended {
		text = "SUSPENDED, " + text
	}
	if s.Deleting {
		text = "BEING DELETED, " + text
	}
	return text
}

func (p *page) clusters(r *status.Report, name string) {
	ready := 0
	var odd []status.ClusterStatus
	for _, c := range r.Clusters {
		if c.Ready {
			ready++
		}
		if !c.Ready || c.State != "" || len(c.Paused) > 0 {
			odd = append(odd, c)
		}
	}
	if name == "" {
		p.section("Clusters", "%d of %d Ready", ready, len(r.Clusters))
	}
	show, rest := r.Clusters, ""
	if len(show) > maxClusterRows {
		show, rest = odd, "the others are Ready; all: eksa-gitops get clusters -A"
	}
	if len(show) > maxClusterRows {
		rest = fmt.Sprintf("and %d more; all: eksa-gitops get clusters -A", len(show)-maxClusterRows)
		show = show[:maxClusterRows]
	}
	if len(show) > 0 {
		p.printf("")
		table := ui.NewTable(p.w, clusterColumns(true, false)...)
		for _, c := range show {
			table.Row(clusterCells(p.now, &c, true, false)...)
		}
		_ = table.Flush() // standard output that is gone is noticed by the next command in the pipe
	}
	if rest != "" {
		p.printf("%s", rest)
	}
	if name != "" {
		p.conditions(r)
	}
	if len(show) > 0 {
		p.printf("")
	}
}

// conditions shows more of the one cluster that was asked for.
func (p *page) conditions(r *status.Report) {
	for _, c := range r.Clusters {
		if len(c.Conditions) > 0 {
			p.printf("")
			table := ui.NewTable(p.w, "CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE")
			for _, condition := range c.Conditions {
				table.Row(condition.Type, condition.Status,
					strings.TrimSuffix(ago(p.now, condition.Since), " ago"), condition.Reason,
					condition.Message)
			}
			_ = table.Flush() // as above
		}
		if c.FailureMessage != "" {
			p.detail("failure", "%s", c.FailureMessage)
		}
	}
}

func (p *page) drift(r *status.Report) {
	if r.Repository == nil || !r.Repository.Seen {
		return
	}
	drifted, pending := 0, 0
	for _, d := range r.Drift {
		if d.Pending {
			pending++
		} else {
			drifted++
		}
	}
	switch {
	case drifted > 0:
		p.section("Drift", "%s different in the cluster", are(drifted, "field"))
	case pending > 0:
		p.section("Drift", "not checked until Flux has applied the commit; %s will change",
			count(pending, "field"))
	default:
		p.section("Drift", "none")
	}
	for i, d := range r.Drift {
		if i == maxDriftRows {
			p.detail("", "and %d more (-o json shows all)", len(r.Drift)-i)
			break
		}
		git, live := shorten(d.Git, maxValue), shorten(d.Live, maxValue)
		if git == live {
			git, live = text.Apart(d.Git, d.Live, maxValue)
		}
		d.Git, d.Live = git, live
		p.detail("", "%s: %s", d.Object, d.Text())
	}
	for _, n := range r.NotCompared {
		p.detail("", "%s is not compared: %s", n.Cluster, n.Reason)
	}
}

func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return fmt.Sprintf("%d %ss are", n, noun)
}

func (p *page) problems(r *status.Report) {
	p.printf("")
	if r.Healthy {
		if len(r.Unseen) > 0 {
			p.printf("All that was looked at is well.")
		} else {
			p.printf("All is well.")
		}
		return
	}
	p.printf("%s:", capital(are(len(r.Problems), "thing")+" not well"))
	for i, problem := range r.Problems {
		if i == maxProblems {
			p.printf("")
			p.printf("and %d more (-o json shows all)", len(r.Problems)-i)
			break
		}
		p.printf("")
		p.printf("%d. %s", i+1, ui.CleanLine(problem.Object))
		p.printf("   seen:   %s", ui.CleanLine(problem.Message))
		if problem.Cause != "" {
			p.printf("   cause:  %s", ui.CleanLine(problem.Cause))
		}
		if problem.File != "" {
			p.printf("   file:   %s", ui.CleanLine(problem.File))
		}
		if problem.Next != "" {
			p.printf("   next:   %s", ui.CleanLine(problem.Next.String()))
		}
	}
}

// ago says how long ago something was, in the largest unit that fits, as kubectl does.
func ago(now time.Time, then *time.Time) string {
	if then == nil {
		return "at an unknown time"
	}
	return age(now.Sub(*then)) + " ago"
}

// age is a duration in one or two units: 8s, 5m, 3h, 2d.
func age(since time.Duration) string {
	switch {
	case since < 0:
		return "0s"
	case since < 2*time.Minute:
		return fmt.Sprintf("%ds", int(since.Seconds()))
	case since < 3*time.Hour:
		return fmt.Sprintf("%dm", int(since.Minutes()))
	case since < 48*time.Hour:
		return fmt.Sprintf("%dh", int(since.Hours()))
	default:
		return fmt.Sprintf("%dd", int(since.Hours()/24))
	}
}
