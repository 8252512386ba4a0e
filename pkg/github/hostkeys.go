package github

import (
	"context"
	"fmt"

	gh "github.com/google/go-github/v53/github"
)

// HostKeys are the SSH host keys that the server publishes over TLS (GET /meta), each as "algorithm base64". A server that publishes
// none, as older enterprise servers do, is ErrNotFound.
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
		key := material(published)
		if key == "" {
			return nil, &Error{Op: op.name, class: ErrUnexpected, Message: fmt.Sprintf("%q is no SSH key", clean(published))}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, &Error{
			Op: op.name, class: ErrNotFound, Message: "the server publishes none (GET /meta)",
			hint: "older GitHub Enterprise servers do not publish them: upgrade the server, or use spec.git with EKSA_GIT_KNOWN_HOSTS",
		}
	}
	return keys, nil
}
