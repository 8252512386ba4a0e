package github

import (
	"context"
	"fmt"

	gh "github.com/google/go-github/v53/github"
)

// HostKeys are the SSH host keys that the server publishes over TLS (GET /meta), each as "algorithm base64".
// Keys of kinds that are not known here are left out. A server that publishes none, as enterprise servers do
// (3.17 to 3.19 in GitHub's API description), is ErrNotFound.
func (c *Client) HostKeys(ctx context.Context) ([]string, error) {
	op := operation{name: "reading GitHub's SSH host keys"}
	var meta *gh.APIMeta
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		found, response, err := api.APIMeta(ctx)
		meta = found
		return response, err
	})
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, published := range meta.SSHKeys {
		// One of a kind that is not known here is of no use, and no reason to do without the others.
		if key := material(published); key != "" {
			keys = append(keys, key)
		}
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case len(meta.SSHKeys) > 0:
		return nil, &Error{Op: op.name, class: ErrUnexpected,
			Message: fmt.Sprintf("none of the keys that it publishes is of a known kind, such as %q",
				clean(meta.SSHKeys[0]))}
	}
	return nil, &Error{Op: op.name, class: ErrNotFound, Message: "the server publishes none (GET /meta)"}
}
