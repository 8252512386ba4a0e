package github

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v53/github"
)

// TokenKind is what kind a token is, as GitHub's answers show it.
type TokenKind string

// The kinds of tokens.
const (
	// has scopes: classic personal access tokens and those of OAuth apps
	TokenClassic TokenKind = "classic"
	// has a user and no scopes: fine-grained personal access tokens and App user tokens
	TokenFineGrained TokenKind = "fine-grained"
	// has no user: installation tokens of GitHub Apps
	TokenInstallation TokenKind = "installation"
)

// Viewer is who a token belongs to.
type Viewer struct {
	Login     string // empty for an installation token
	Kind      TokenKind
	Scopes    []string  // of a classic token
	ExpiresAt time.Time // zero when GitHub names none
}

// HasScope says whether a classic token has a scope, by itself or within a wider one. Other kinds have none.
func (v Viewer) HasScope(scope string) bool { return hasScope(v.Scopes, scope) }

// Viewer asks who the token belongs to. A token that is no good is ErrAuthentication.
func (c *Client) Viewer(ctx context.Context) (Viewer, error) {
	var viewer Viewer
	op := operation{name: "checking the token in " + TokenVariable}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		user, response, err := api.Users.Get(ctx, "")
		if response != nil && response.Response != nil {
			viewer = viewerOf(response.Header)
		}
		if err == nil {
			viewer.Login = user.GetLogin()
		}
		return response, err
	})
	var e *Error
	if errors.As(err, &e) && e.class == ErrPermission && strings.Contains(e.Message, "by integration") {
		// An App is not a user, and this is how GitHub says so.
		return Viewer{Kind: TokenInstallation, ExpiresAt: viewer.ExpiresAt}, nil
	}
	if err != nil {
		return Viewer{}, err
	}
	if viewer.Login == "" {
		return Viewer{}, &Error{Op: op.name, class: ErrUnexpected, Message: "the answer names no user"}
	}
	return viewer, nil
}

func viewerOf(header http.Header) Viewer {
	viewer := Viewer{Kind: TokenFineGrained}
	if scopes, classic := scopesOf(header); classic {
		viewer.Kind, viewer.Scopes = TokenClassic, scopes
	}
	// Some tokens have a zone and some an offset (https://github.com/google/go-github/issues/2649).
	for _, layout := range []string{"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700"} {
		if at, err := time.Parse(layout, header.Get("GitHub-Authentication-Token-Expiration")); err == nil {
			viewer.ExpiresAt = at.UTC()
			break
		}
	}
	return viewer
}

// scopesOf reads X-OAuth-Scopes, which answers to classic tokens have even when it is empty.
func scopesOf(header http.Header) (scopes []string, classic bool) {
	values := header.Values("X-OAuth-Scopes")
	for scope := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if scope = exact(strings.TrimSpace(scope)); scope != "" {
			scopes = append(scopes, scope)
		}
	}
	return scopes, len(values) > 0
}

// hasScope knows the scopes that include others which matter here (GitHub's documentation, "Scopes for OAuth
// apps").
func hasScope(scopes []string, scope string) bool {
	wider := map[string][]string{
		"public_repo": {"repo"},
		"read:org":    {"write:org", "admin:org"},
		"write:org":   {"admin:org"},
	}
	return slices.ContainsFunc(scopes, func(have string) bool {
		return have == scope || slices.Contains(wider[scope], have)
	})
}

// OwnerKind is what kind of account owns a repository.
type OwnerKind string

// The kinds of owners.
const (
	OwnerUser         OwnerKind = "User"
	OwnerOrganization OwnerKind = "Organization"
)

// Owner is an account that owns repositories.
type Owner struct {
	Login string // GitHub's own spelling
	Kind  OwnerKind
}

// Owner reads an account; ErrNotFound when there is none of that name.
func (c *Client) Owner(ctx context.Context, name string) (Owner, error) {
	if err := checkName("an owner", name); err != nil {
		return Owner{}, err
	}
	var owner Owner
	op := operation{name: "reading owner " + name}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		found, response, err := api.Users.Get(ctx, name)
		owner = Owner{Login: exact(found.GetLogin()), Kind: OwnerKind(exact(found.GetType()))}
		return response, err
	})
	if err != nil {
		return Owner{}, err
	}
	if owner.Kind != OwnerUser && owner.Kind != OwnerOrganization {
		return Owner{}, &Error{Op: op.name, class: ErrUnexpected,
			Message: "the account is neither a user nor an organization but " + quoted(string(owner.Kind))}
	}
	return owner, nil
}

// organization is what an organization lets its members do, as far as the token may read it. GitHub leaves
// out what it may not.
type organization struct {
	DeployKeys            *bool `json:"deploy_keys_enabled_for_repositories"`
	MembersCreate         *bool `json:"members_can_create_repositories"`
	MembersCreatePrivate  *bool `json:"members_can_create_private_repositories"`
	MembersCreateInternal *bool `json:"members_can_create_internal_repositories"`
}

func refuses(setting *bool) bool { return setting != nil && !*setting }

// organization reads the settings of an organization.
func (c *Client) organization(ctx context.Context, name string) (organization, error) {
	var settings organization
	op := operation{name: "reading organization " + name}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		settings = organization{}
		return get(ctx, api, "orgs/"+name, &settings)
	})
	return settings, err
}

// membership is a user's place in an organization.
type membership struct {
	State string // active, pending
	Role  string // admin, member
}

// membership reads the place of the token's user in an organization; ErrNotFound or ErrPermission when there
// is none, or when the token may not read it.
func (c *Client) membership(ctx context.Context, organization string) (membership, error) {
	var found membership
	op := operation{name: "reading the membership in " + organization}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		m, response, err := api.Organizations.GetOrgMembership(ctx, "", organization)
		found = membership{State: exact(m.GetState()), Role: exact(m.GetRole())}
		return response, err
	})
	return found, err
}
