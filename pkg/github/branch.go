package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	gh "github.com/google/go-github/v53/github"
)

// BranchName returns how a branch is called at present: another name than was asked for after it was renamed,
// and none when there is no such branch. GitHub redirects from the former name (301,
// https://docs.github.com/en/rest/branches/branches#get-a-branch), in its API only: Git does not know the
// former name any more. It also redirects from master to the default branch of a repository that never had a
// master (https://github.com/github/rest-api-description/issues/7096), so that the answer alone does not
// prove a rename.
func (c *Client) BranchName(ctx context.Context, ref RepoRef, branch string) (string, error) {
	if err := ref.check(); err != nil {
		return "", err
	}
	if branch == "" || branch == "." || branch == ".." {
		return "", &NameError{What: "a branch", Name: branch}
	}
	var found branchSummary
	op := operation{name: fmt.Sprintf("reading branch %s of %s", clean(branch), ref)}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		found = branchSummary{}
		return get(ctx, api, "repos/"+ref.String()+"/branches/"+url.PathEscape(branch), &found)
	})
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return exact(found.Name), err
}
