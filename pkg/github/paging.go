package github

import gh "github.com/google/go-github/v53/github"

// Pages of lists: the most that GitHub puts into one, and a bound for lists that never end.
const (
	perPage  = 100
	maxPages = 50
)

// pageAfter is the page that an answer says comes next, 0 for none. One that does not come after page would
// be read for ever.
func pageAfter(page int, response *gh.Response) int {
	if response == nil || response.NextPage <= page || response.NextPage > maxPages {
		return 0
	}
	return response.NextPage
}
