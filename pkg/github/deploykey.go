package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v53/github"
	"golang.org/x/crypto/ssh"
)

// DeployKey is an SSH key that opens one repository.
type DeployKey struct {
	ID        int64 // GitHub's; 0 for one that is to be registered
	Title     string
	PublicKey string // in authorized_keys form, with or without a comment
	ReadOnly  bool
	// Disabled says that the key is registered and opens nothing, as when the organization has switched
	// deploy keys off since.
	Disabled bool
	// Replace makes [Client.EnsureDeployKey] remove, once this key is registered, other keys of the same
	// title. Only who chose a title that nobody else uses may set it.
	Replace bool
}

// SameMaterial says whether a public key in authorized_keys form is this key, whatever its comment.
func (k DeployKey) SameMaterial(publicKey string) bool {
	return material(k.PublicKey) != "" && material(k.PublicKey) == material(publicKey)
}

// material is the algorithm and the key, without a comment; empty for what is no key.
func material(publicKey string) string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(publicKey))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// keysNeed is what deploy keys demand. Reading them asks for less of a fine-grained token, but nobody reads
// them for their own sake.
func keysNeed(ref RepoRef) need {
	return need{permission: "Administration: write", scope: "repo", role: "the Admin role on " + ref.String()}
}

// DeployKeys lists the deploy keys of a repository. A token that may not administer the repository is
// ErrPermission, also where GitHub answers 404; a repository that it cannot see is ErrNotFound.
func (c *Client) DeployKeys(ctx context.Context, ref RepoRef) ([]DeployKey, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	var spent patience
	for {
		keys, err := c.listKeys(ctx, ref)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusNotFound {
			return keys, err
		}
		// The 404 has one of three meanings.
		repository, readErr := c.Repository(ctx, ref)
		switch {
		case errors.Is(readErr, ErrNotFound):
			e.class, e.NeededPermission = ErrNotFound, ""
			return nil, e
		case readErr != nil:
			return nil, readErr
		case repository.Permissions == Permissions{}:
			// An App, of which GitHub reports no rights: the 404 may be of either of the other two.
		case !repository.Permissions.Admin, strings.HasPrefix(e.NeededPermission, "the scope"):
			e.Message = "GitHub hides what the token may not administer"
			return nil, e
		case strings.HasPrefix(e.NeededPermission, keysNeed(ref).role):
			// The role is there, and the scope.
			e.class, e.NeededPermission, e.Message = ErrUnavailable, "", "GitHub does not show them yet"
		}
		// The keys of a repository that is new are not everywhere yet.
		if err := c.pause(ctx, e.Op, e, &spent); err != nil {
			return nil, err
		}
	}
}

// listedKey is one entry of GET keys; go-github v53 does not decode whether it is enabled, which older
// enterprise servers do not say.
type listedKey struct {
	ID       int64  `json:"id"`
	Title    string `json:"title"`
	Key      string `json:"key"`
	ReadOnly bool   `json:"read_only"`
	Enabled  *bool  `json:"enabled"`
}

func (c *Client) listKeys(ctx context.Context, ref RepoRef) ([]DeployKey, error) {
	op := operation{name: "reading the deploy keys of " + ref.String(), needs: keysNeed(ref)}
	var keys []DeployKey
	for page := 1; page != 0; {
		var found []listedKey
		next := 0
		err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
			found = nil
			response, err := get(ctx, api,
				fmt.Sprintf("repos/%s/keys?per_page=%d&page=%d", ref, perPage, page), &found)
			next = pageAfter(page, response)
			return response, err
		})
		if err != nil {
			return nil, err
		}
		for _, k := range found {
			keys = append(keys, DeployKey{
				ID: k.ID, Title: exact(k.Title), PublicKey: exact(strings.TrimSpace(k.Key)),
				ReadOnly: k.ReadOnly, Disabled: k.Enabled != nil && !*k.Enabled,
			})
		}
		page = next
	}
	return keys, nil
}

// EnsureDeployKey registers a deploy key and says whether anything was written. Keys are compared by their
// material. One that is registered with other rights than wanted is replaced, since GitHub cannot change it;
// where registering is refused, it stays. One that is registered and disabled is ErrPolicy: registering it
// again would not help. Other keys are left alone, whatever their titles, unless wanted.Replace says
// otherwise.
func (c *Client) EnsureDeployKey(ctx context.Context, ref RepoRef,
	wanted DeployKey) (changed bool, err error) {
	key := material(wanted.PublicKey)
	if key == "" {
		return false,
			fmt.Errorf("registering a deploy key on %s: what is to be registered is not a public key", ref)
	}
	op := "registering a deploy key on " + ref.String()
	looked := false
	var spent patience
	for {
		keys, err := c.DeployKeys(ctx, ref)
		if err != nil {
			return changed, err
		}
		present := false
		var otherRights []DeployKey // the same key, registered with other rights
		for _, k := range keys {
			switch {
			case !k.SameMaterial(key):
			case k.Disabled:
				return changed, &Error{
					Op: op, class: ErrPolicy, hint: deployKeysDisabledHint,
					Message: "the key is registered and GitHub has disabled it, as it does with all keys " +
						"where an organization does not allow deploy keys",
				}
			case k.ReadOnly == wanted.ReadOnly:
				present = true
			default:
				otherRights = append(otherRights, k)
			}
		}
		if present {
			return c.replaceTitle(ctx, ref, wanted, keys, changed)
		}
		err = c.createKey(ctx, ref, op, wanted, key)
		if len(otherRights) > 0 && (err == nil || errors.Is(err, ErrConflict)) {
			// GitHub takes a key once only, so that the one that is there has to go first. It goes only now:
			// who may not register a key, or where none is allowed any more, hears of that instead, and keeps
			// what he has.
			for _, k := range otherRights {
				if err := c.DeleteDeployKey(ctx, ref, k.ID); err != nil {
					return changed, err
				}
				changed = true
			}
			if err != nil {
				err = c.createKey(ctx, ref, op, wanted, key)
			}
		}
		switch {
		case err == nil:
			return c.replaceTitle(ctx, ref, wanted, keys, true)
		case errors.Is(err, ErrUnavailable):
			// Its effect is looked for before it is sent again.
			changed = true
		case errors.Is(err, ErrConflict) && (changed || !looked):
			// An earlier try had its effect after all, another run registered the same key at this moment, or
			// a deleted key is not gone everywhere yet. Otherwise the key is in use elsewhere.
			looked = true
		case isNotFound(err):
			// The keys have just been listed, which takes no fewer rights. It is the repository that is new
			// and not everywhere yet.
			err = notYet(err)
		default:
			return changed, err
		}
		if err := c.pause(ctx, op, err, &spent); err != nil {
			return changed, err
		}
	}
}

// isNotFound says whether GitHub answered 404, whatever that was taken for.
func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// notYet makes a 404 what it is when a repository is new: GitHub's copies need a moment.
func notYet(err error) error {
	var e *Error
	if errors.As(err, &e) {
		late := *e
		late.class, late.NeededPermission, late.Message = ErrUnavailable, "",
			"the repository is not everywhere on GitHub yet"
		return &late
	}
	return err
}

func (c *Client) createKey(ctx context.Context, ref RepoRef, name string, wanted DeployKey,
	key string) error {
	op := operation{name: name, once: true, needs: keysNeed(ref)}
	return c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		// read_only is always sent: GitHub takes a key without it for one that may write, and go-github
		// leaves out what is nil.
		_, response, err := api.Repositories.CreateKey(ctx, ref.Owner, ref.Name, &gh.Key{
			Title: gh.String(wanted.Title), Key: gh.String(key), ReadOnly: gh.Bool(wanted.ReadOnly),
		})
		return response, err
	})
}

// replaceTitle removes other keys of the wanted title, if that is wanted.
func (c *Client) replaceTitle(ctx context.Context, ref RepoRef, wanted DeployKey, keys []DeployKey,
	changed bool) (bool, error) {
	if !wanted.Replace || wanted.Title == "" {
		return changed, nil
	}
	for _, k := range keys {
		if k.Title != wanted.Title || k.SameMaterial(wanted.PublicKey) {
			continue
		}
		if err := c.DeleteDeployKey(ctx, ref, k.ID); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

// DeleteDeployKey removes a deploy key. One that is gone already is no error.
func (c *Client) DeleteDeployKey(ctx context.Context, ref RepoRef, id int64) error {
	if err := ref.check(); err != nil {
		return err
	}
	op := operation{name: "removing a deploy key of " + ref.String(), needs: keysNeed(ref)}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		return api.Repositories.DeleteKey(ctx, ref.Owner, ref.Name, id)
	})
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusNotFound {
		return err
	}
	// The same answer stands for a key that is gone and for a token that may not know. The list tells.
	keys, listErr := c.DeployKeys(ctx, ref)
	if listErr != nil {
		return listErr
	}
	for _, k := range keys {
		if k.ID == id {
			return err
		}
	}
	return nil
}
