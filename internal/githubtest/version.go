package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The versions of the REST API: see https://docs.github.com/rest/about-the-rest-api/api-versions.
const (
	version2022 = "2022-11-28"
	version2026 = "2026-03-10"
)

// apiVersions are the versions that each server knows, oldest first.
var apiVersions = map[bool][]string{
	false: {version2022, version2026}, // github.com
	true:  {version2022},              // enterprise servers 3.17 to 3.19
}

// lifetime is what a server has announced about a version of its API.
type lifetime struct {
	deprecated, sunset time.Time
}

// usualLifetimes are github.com's announcements; enterprise servers 3.17 to 3.19 have made none. The dates
// are those of https://docs.github.com/rest/about-the-rest-api/api-versions#supported-api-versions.
func usualLifetimes() map[bool]map[string]lifetime {
	return map[bool]map[string]lifetime{
		false: {version2022: {
			deprecated: time.Date(2026, time.March, 10, 0, 0, 0, 0, time.UTC),
			sunset:     time.Date(2028, time.March, 10, 0, 0, 0, 0, time.UTC),
		}},
		true: {},
	}
}

// AnnounceEnd makes both github.com and the enterprise server announce that a version of their API ends at a
// time: with the headers Deprecation, Sunset and Link on every answer in that version until then, and with
// 410 to every request for it afterwards.
func (s *Server) AnnounceEnd(version string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for enterprise, known := range apiVersions {
		if slices.Contains(known, version) {
			s.lifetimes[enterprise][version] = lifetime{deprecated: s.now(), sunset: at}
		}
	}
}

// selectVersion decides which version of the API answers. The answer is nil when one does.
//
// A request that names no version gets the oldest one that is still supported. One that was supported is "410
// Gone", as the page on API versions says; one that never was is a bad request, as enterprise servers' page
// says of every version that they do not support. With which words is told nowhere: see
// https://github.com/github/rest-api-description/issues/7054.
func (c *call) selectVersion() *reply {
	known := apiVersions[c.enterprise]
	ended := func(v string) bool {
		end, announced := c.s.lifetimes[c.enterprise][v]
		return announced && !c.s.now().Before(end.sunset)
	}
	c.version = c.r.Header.Get("X-GitHub-Api-Version")
	asked := c.version
	if asked == "" {
		for _, v := range slices.Backward(known) {
			if !ended(v) || c.version == "" {
				c.version = v
			}
		}
	}
	var refused *reply
	switch {
	case !slices.Contains(known, c.version):
		c.violate("X-GitHub-Api-Version %q is not supported", asked)
		refused = c.fail(http.StatusBadRequest, fmt.Sprintf("%q is not a supported version.", asked))
	case ended(c.version):
		refused = c.fail(http.StatusGone, fmt.Sprintf("API version %q is no longer supported.", c.version))
	}
	if refused != nil {
		c.version = known[len(known)-1]
	}
	c.header.Set("X-GitHub-Api-Version-Selected", c.version)
	if end, announced := c.s.lifetimes[c.enterprise][c.version]; announced && refused == nil {
		c.header.Set("Deprecation", end.deprecated.UTC().Format(http.TimeFormat))
		c.header.Set("Sunset", end.sunset.UTC().Format(http.TimeFormat))
		// A line of its own, before that of a list's pages. Form and address as in
		// https://github.com/integrations/terraform-provider-github/issues/3354.
		c.header.Add("Link", `<https://docs.github.com/en/rest/about-the-rest-api/api-versions>; rel="deprecation"; type="text/html"`)
	}
	return refused
}

// since2026 says whether the version has the breaking changes of 2026-03-10. Those that concern what is
// served here:
//   - GET /rate_limit has no rate,
//   - repositories have no has_downloads, master_branch and use_squash_pr_title_as_default,
//   - organizations have no secret_scanning_push_protection_custom_link_enabled,
//   - pull requests have no merge_commit_sha and no assignee.
//
// See https://docs.github.com/rest/about-the-rest-api/breaking-changes.
func (c *call) since2026() bool { return c.version >= version2026 }
