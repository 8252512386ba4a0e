package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gh "github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// Permissions are the rights of the token's user on a repository. GitHub reports the user's role there,
// whatever the token was granted, and no right at all for an App.
type Permissions struct{ Admin, Maintain, Push, Pull bool }

// Repository is what is known of a repository.
type Repository struct {
	Ref           RepoRef // GitHub's own spelling and present name; another one than asked for after a rename
	URL           string  // of its web page
	Private       bool
	Archived      bool
	Disabled      bool   // by GitHub: nobody can read or write its contents
	DefaultBranch string // set also when the repository is empty
	Created       time.Time
	Permissions   Permissions
}

// Repository reads a repository; ErrNotFound when there is none that the token can see.
func (c *Client) Repository(ctx context.Context, ref RepoRef) (*Repository, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	var found *Repository
	op := operation{name: "reading repository " + ref.String()}
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		repository, response, err := api.Repositories.Get(ctx, ref.Owner, ref.Name)
		found = repositoryOf(repository)
		return response, err
	})
	if err != nil {
		return nil, err
	}
	return found, checkAnswer(op.name, found)
}

func repositoryOf(r *gh.Repository) *Repository {
	may := r.GetPermissions()
	return &Repository{
		Ref: RepoRef{Owner: exact(r.GetOwner().GetLogin()), Name: exact(r.GetName())},
		URL: exact(r.GetHTMLURL()), Private: r.GetPrivate(), Archived: r.GetArchived(),
		Disabled: r.GetDisabled(), DefaultBranch: exact(r.GetDefaultBranch()), Created: r.GetCreatedAt().Time,
		Permissions: Permissions{Admin: may["admin"], Maintain: may["maintain"], Push: may["push"],
			Pull: may["pull"]},
	}
}

func checkAnswer(op string, r *Repository) error {
	if r.Ref.Owner == "" || r.Ref.Name == "" {
		return &Error{Op: op, class: ErrUnexpected, Message: "the answer describes no repository"}
	}
	return nil
}

// NewRepository describes a repository to create.
type NewRepository struct {
	Ref         RepoRef
	Personal    bool // of the token's user rather than of an organization
	Private     bool
	Description string
}

// EnsureRepository creates a repository, without a commit, if there is none, waits until reads see it, and
// says whether it did. One that exists is left as it is, whatever its settings.
func (c *Client) EnsureRepository(ctx context.Context,
	wanted NewRepository) (repository *Repository, created bool, err error) {
	op := "creating repository " + wanted.Ref.String()
	// After a lost answer the effect is looked for, and the request repeated when there is none.
	var spent patience
	for {
		repository, err = c.Repository(ctx, wanted.Ref)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return repository, created && err == nil, err
		}
		if wanted.Personal && !created {
			if err := c.checkMayOwn(ctx, wanted.Ref, op); err != nil {
				return nil, false, err
			}
		}
		_, err = c.create(ctx, wanted, op)
		switch {
		case err == nil:
			repository, err = c.waitVisible(ctx, wanted.Ref, c.retry.Attempts)
			return repository, true, err
		case errors.Is(err, ErrConflict):
			// Made by the request whose answer was lost, or by somebody else at this moment: then it shows
			// soon. Or it was there all the time and is hidden from this token.
			tries := min(3, c.retry.Attempts)
			if created {
				tries = c.retry.Attempts
			}
			repository, err = c.waitVisible(ctx, wanted.Ref, tries)
			if errors.Is(err, ErrUnavailable) && !created {
				err = hiddenError(op, wanted.Ref)
			}
			return repository, created && err == nil, err
		case !errors.Is(err, ErrUnavailable):
			return nil, false, err
		}
		// From here on a repository that shows up is taken for the one asked for.
		created = true
		if err := c.pause(ctx, op, err, &spent); err != nil {
			return nil, false, err
		}
	}
}

// create sends one request to create a repository.
func (c *Client) create(ctx context.Context, wanted NewRepository, name string) (*Repository, error) {
	op := operation{name: name, once: true, needs: need{
		permission: "Administration: write", scope: "repo",
		role: "the right to create repositories in " + wanted.Ref.Owner,
	}}
	organization := wanted.Ref.Owner
	if wanted.Personal {
		organization = ""
	}
	var made *Repository
	err := c.do(ctx, op, func(ctx context.Context, api *gh.Client) (*gh.Response, error) {
		repository, response, err := api.Repositories.Create(ctx, organization, &gh.Repository{
			Name: gh.String(wanted.Ref.Name), Private: gh.Bool(wanted.Private),
			Description: gh.String(wanted.Description),
		})
		made = repositoryOf(repository)
		return response, err
	})
	if err != nil {
		return nil, err
	}
	return made, checkAnswer(name, made)
}

// checkMayOwn asks whose the token is: GitHub creates a personal repository for them, whoever is meant.
func (c *Client) checkMayOwn(ctx context.Context, ref RepoRef, op string) error {
	viewer, err := c.Viewer(ctx)
	if err != nil {
		return err
	}
	return mayOwn(viewer, ref, op)
}

// mayOwn says whether a token can create a personal repository.
func mayOwn(viewer Viewer, ref RepoRef, op string) error {
	e := &Error{Op: op, class: ErrPermission,
		hint: hint.Text("use a token of %s, or create the repository first", ref.Owner)}
	switch {
	case viewer.Kind == TokenInstallation:
		e.Message = "a GitHub App cannot create repositories of a user"
	case !(RepoRef{Owner: viewer.Login}).SameAs(RepoRef{Owner: ref.Owner}):
		e.Message = fmt.Sprintf("the token belongs to %s and cannot create repositories of %s",
			viewer.Login, ref.Owner)
	default:
		return nil
	}
	return e
}

// hiddenError is a repository that exists, as creating it shows, and that reads deny.
func hiddenError(op string, ref RepoRef) error {
	return &Error{
		Op: op, class: ErrPermission, Status: http.StatusUnprocessableEntity,
		NeededPermission: "access to repository " + ref.String(),
		Message:          "it exists, but this token cannot see it",
	}
}

// waitVisible waits until reads see a repository that exists. GitHub's copies need a moment at times and
// answer 404 until then.
func (c *Client) waitVisible(ctx context.Context, ref RepoRef, tries int) (*Repository, error) {
	op := "waiting for repository " + ref.String()
	var spent patience
	for {
		repository, err := c.Repository(ctx, ref)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return repository, err
		}
		invisible := &Error{Op: op, class: ErrUnavailable, Status: http.StatusNotFound,
			Message: "it exists, and GitHub does not show it yet"}
		if spent.tries+1 >= tries {
			return nil, invisible
		}
		if err := c.pause(ctx, op, invisible, &spent); err != nil {
			return nil, err
		}
	}
}
