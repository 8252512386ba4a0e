package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// expiresSoon is how long before its end a token's expiry is worth a warning.
const expiresSoon = 7 * 24 * time.Hour

// Severity is how much a finding matters.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // what is wanted is not going to work
	SeverityWarning Severity = "warning" // it may, or there is something else to know
)

// Kind is what a finding is about.
type Kind string

// The kinds of findings.
const (
	KindAuth        Kind = "auth"        // the token itself
	KindPermission  Kind = "permission"  // a right that the token or its user lacks
	KindConfig      Kind = "config"      // what the spec or the options say
	KindPolicy      Kind = "policy"      // a rule or setting of the repository or organization
	KindUnavailable Kind = "unavailable" // GitHub gives no usable answer
)

// Names of findings. They are stable.
const (
	FindingToken       = "token"        // who it belongs to, whether it is good
	FindingTokenExpiry = "token-expiry" // how long it is
	FindingTokenRights = "token-rights" // rights that nothing here needs
	FindingOwner       = "owner"
	FindingRepository  = "repository"
	FindingCreation    = "repository-creation"
	FindingPush        = "push"
	FindingBranch      = "branch-protection"
	FindingDeployKeys  = "deploy-keys"
)

// Finding is one thing that a check found.
type Finding struct {
	Name             string    `json:"name"`
	Severity         Severity  `json:"severity"`
	Kind             Kind      `json:"kind"`
	Message          string    `json:"message"`
	Hint             hint.Hint `json:"hint,omitempty"`
	NeededPermission string    `json:"neededPermission,omitempty"` // in GitHub's words, of KindPermission
}

// AccessRequest says what is going to be done.
type AccessRequest struct {
	Ref           RepoRef
	Personal      bool   // what the spec says of the owner
	Branch        string // to push to; empty checks no branch
	NeedDeployKey bool
}

// Access is what a check found.
type Access struct {
	Viewer Viewer
	Owner  Owner
	// Repository is nil when there is none that the token can see. After a rename or a transfer its Ref is
	// another one than was asked for, and what was asked for need not have an owner any more; what follows
	// from that is for the caller to judge.
	Repository *Repository
	Protection Protection  // of the branch
	DeployKeys []DeployKey // when they were asked for and could be read
	Findings   []Finding   // errors first; those of one severity in a fixed order
	Unseen     []Unseen
}

// Unseen is something that reading does not show to this token, so that it shows when the thing is done.
type Unseen struct {
	// of the finding that it would be: FindingCreation, FindingPush, FindingDeployKeys
	Name    string `json:"name"`
	Message string `json:"message"`
}

// OK says whether nothing found stands in the way. There may be warnings.
func (a *Access) OK() bool {
	return !slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.Severity == SeverityError })
}

// CheckAccess finds out, by reading only, whether the token can do what is going to be done. What it finds is
// in the Access: one finding for each thing to put right, and none that follows from another. The error is
// that of the request itself or the context's.
//
// Some things cannot be seen by reading and show when they are done: whether a fine-grained or App token may
// create a repository, whether it has "Contents: write" or "Administration: write" rather than read, whether
// an organization allows deploy keys and private repositories, which only its owners are shown
// (https://docs.github.com/rest/orgs/orgs#get-an-organization), and whom a ruleset lets pass. Access.Unseen
// has those that are about this token; a ruleset is a finding.
func (c *Client) CheckAccess(ctx context.Context, request AccessRequest) (*Access, error) {
	if err := request.Ref.check(); err != nil {
		return nil, err
	}
	check := &accessCheck{client: c, request: request, access: &Access{}}
	check.run(ctx)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("checking the access to %s: no answer from GitHub yet: %w",
			request.Ref, context.Cause(ctx))
	}
	slices.SortStableFunc(check.access.Findings,
		func(a, b Finding) int { return strings.Compare(string(a.Severity), string(b.Severity)) })
	return check.access, nil
}

// accessCheck is one run of CheckAccess.
type accessCheck struct {
	client  *Client
	request AccessRequest
	access  *Access
	told    []error // classes of failures that have been reported and would only be repeated
}

func (a *accessCheck) add(f Finding) { a.access.Findings = append(a.access.Findings, f) }

func (a *accessCheck) unseen(name, message string) {
	a.access.Unseen = append(a.access.Unseen, Unseen{Name: name, Message: message})
}

// fail turns a failed probe into a finding. What has one cause for all probes is reported once.
func (a *accessCheck) fail(name string, err error) {
	f := Finding{Name: name, Severity: SeverityError, Kind: KindUnavailable, Message: err.Error()}
	for _, class := range []struct {
		err  error
		kind Kind
		once bool
	}{
		{ErrAuthentication, KindAuth, true}, {ErrSSO, KindAuth, true}, {ErrUntrusted, KindConfig, true},
		{ErrUnavailable, KindUnavailable, true},
		{ErrRateLimited, KindUnavailable, true}, {ErrUnexpected, KindUnavailable, true},
		{ErrPermission, KindPermission, false}, {ErrPolicy, KindPolicy, true}, {ErrPlan, KindPolicy, true},
		{ErrNotFound, KindConfig, false}, {ErrConflict, KindPolicy, false},
	} {
		if !errors.Is(err, class.err) {
			continue
		}
		if class.once && slices.Contains(a.told, class.err) {
			return
		}
		a.told = append(a.told, class.err)
		f.Kind = class.kind
		break
	}
	var e *Error
	if errors.As(err, &e) {
		f.Hint, f.NeededPermission = e.Hint(), e.NeededPermission
	}
	a.add(f)
}

func (a *accessCheck) run(ctx context.Context) {
	var viewerErr, ownerErr, repositoryErr error
	var group crash.Group
	group.Go(func() { a.access.Viewer, viewerErr = a.client.Viewer(ctx) })
	group.Go(func() { a.access.Owner, ownerErr = a.client.Owner(ctx, a.request.Ref.Owner) })
	group.Go(func() { a.access.Repository, repositoryErr = a.client.Repository(ctx, a.request.Ref) })
	group.Wait()
	if viewerErr != nil {
		a.fail(FindingToken, viewerErr)
		if errors.Is(viewerErr, ErrAuthentication) {
			// Nothing that other answers say to a bad token is of use.
			return
		}
	} else {
		a.checkToken()
	}
	if ownerErr != nil && !errors.Is(ownerErr, ErrNotFound) {
		a.fail(FindingOwner, ownerErr)
	}
	ownerFits := ownerErr == nil && a.checkOwner()
	switch {
	case errors.Is(ownerErr, ErrNotFound) && repositoryErr != nil:
		a.add(Finding{Name: FindingOwner, Severity: SeverityError, Kind: KindConfig,
			Message: fmt.Sprintf("there is no user or organization %s on GitHub", a.request.Ref.Owner),
			Hint:    "correct spec.github.owner"})
	case repositoryErr == nil:
		a.checkRepository(ctx)
	case !errors.Is(repositoryErr, ErrNotFound):
		a.fail(FindingRepository, repositoryErr)
	case ownerFits && viewerErr == nil:
		a.checkCreation(ctx)
	}
}

// checkToken looks at what is known of the token itself.
func (a *accessCheck) checkToken() {
	viewer := a.access.Viewer
	if left := viewer.ExpiresAt.Sub(a.client.clock.Now()); !viewer.ExpiresAt.IsZero() && left < expiresSoon &&
		viewer.Kind != TokenInstallation {
		a.add(Finding{Name: FindingTokenExpiry, Severity: SeverityWarning, Kind: KindAuth,
			Message: fmt.Sprintf("the token in %s expires at %s",
				TokenVariable, viewer.ExpiresAt.Format("2006-01-02 15:04 MST")),
			Hint: "make a new one before then; the cluster has its own credential, but later commands " +
				"need one"})
	}
	var excess []string
	for _, scope := range viewer.Scopes {
		if strings.HasPrefix(scope, "admin:") || strings.HasPrefix(scope, "manage_") ||
			scope == "delete_repo" || scope == "site_admin" || scope == "write:org" {
			excess = append(excess, scope)
		}
	}
	if len(excess) > 0 {
		a.add(Finding{Name: FindingTokenRights, Severity: SeverityWarning, Kind: KindPermission,
			Message: fmt.Sprintf("the token in %s has more rights than this needs: %s",
				TokenVariable, strings.Join(excess, ", ")),
			Hint: `the scope "repo" is enough; a fine-grained token can be confined to one repository`})
	}
}

// checkOwner holds what the spec says of the owner against what it is, and returns whether that fits.
func (a *accessCheck) checkOwner() bool {
	owner := a.access.Owner
	switch {
	case a.request.Personal && owner.Kind == OwnerOrganization:
		a.add(Finding{Name: FindingOwner, Severity: SeverityError, Kind: KindConfig,
			Message: fmt.Sprintf("owner %s is an organization, and the spec says personal: true",
				owner.Login),
			Hint: "set spec.github.personal: false"})
		return false
	case !a.request.Personal && owner.Kind == OwnerUser:
		a.add(Finding{Name: FindingOwner, Severity: SeverityError, Kind: KindConfig,
			Message: fmt.Sprintf("owner %s is a user, and the spec does not say personal: true", owner.Login),
			Hint:    "set spec.github.personal: true"})
		return false
	}
	return true
}

// checkCreation looks at whether a repository that is not there, or hidden, can be made.
func (a *accessCheck) checkCreation(ctx context.Context) {
	ref, viewer := a.request.Ref, a.access.Viewer
	lacks := func(message string, help hint.Hint, needed string) {
		a.add(Finding{Name: FindingCreation, Severity: SeverityError, Kind: KindPermission,
			Message: fmt.Sprintf("repository %s does not exist or is hidden from the token, and %s",
				ref, message),
			Hint: help, NeededPermission: needed})
	}
	if viewer.Kind == TokenClassic && !viewer.HasScope("repo") {
		lacks("the token lacks the scope to create it; it has "+orNone(viewer.Scopes),
			`the token in `+TokenVariable+` needs the scope "repo"`, `the scope "repo"`)
		return
	}
	if viewer.Kind != TokenClassic {
		a.unseen(FindingCreation,
			`whether the token may create a repository, for which it needs "Administration: write" on all repositories of `+
				ref.Owner)
	}
	if a.request.Personal {
		var e *Error
		if errors.As(mayOwn(viewer, ref, ""), &e) {
			lacks(e.Message, e.Hint(), "")
		}
		return
	}
	var place membership
	var settings organization
	var placeErr, settingsErr error
	var group crash.Group
	if viewer.Kind != TokenInstallation {
		group.Go(func() { place, placeErr = a.client.membership(ctx, ref.Owner) })
	}
	group.Go(func() { settings, settingsErr = a.client.organization(ctx, ref.Owner) })
	group.Wait()
	var e *Error
	switch {
	case viewer.Kind == TokenInstallation:
	case errors.Is(placeErr, ErrSSO), errors.Is(placeErr, ErrUnavailable),
		errors.Is(placeErr, ErrRateLimited), errors.Is(placeErr, ErrPolicy),
		errors.Is(placeErr, ErrAuthentication):
		a.fail(FindingCreation, placeErr)
		return
	case errors.Is(placeErr, ErrNotFound),
		errors.As(placeErr, &e) && strings.Contains(e.Message, "must be a member"):
		lacks(viewer.Login+" is not a member of "+ref.Owner,
			hint.Text("use a token of a member of %s who may create repositories, or have it created first",
				ref.Owner),
			"")
		return
	case placeErr != nil:
		// The token may not read memberships: creating it will tell.
	case place.State == "pending":
		lacks(fmt.Sprintf("%s has not accepted the invitation to %s", viewer.Login, ref.Owner),
			"accept the invitation first", "")
		return
	case settingsErr == nil && place.Role != "admin" &&
		(refuses(settings.MembersCreate) || refuses(settings.MembersCreatePrivate)):
		lacks("members of "+ref.Owner+" may not create it", hint.Text("have an owner of %s create it, or "+
			"let members create private repositories (organization settings, Member privileges)", ref.Owner),
			"")
		return
	}
	if place.Role != "admin" && settings.MembersCreate == nil && settings.MembersCreatePrivate == nil {
		a.unseen(FindingCreation, "whether "+ref.Owner+
			" lets its members create private repositories, which GitHub does not show to this token")
	}
	if settingsErr == nil && a.request.NeedDeployKey {
		a.checkDeployKeySetting(settings)
	}
}

func (a *accessCheck) checkDeployKeySetting(settings organization) bool {
	if settings.DeployKeys == nil && a.access.Owner.Kind == OwnerOrganization {
		a.unseen(FindingDeployKeys,
			"whether "+a.request.Ref.Owner+" allows deploy keys, which GitHub does not show to this token")
	}
	if !refuses(settings.DeployKeys) {
		return true
	}
	a.add(Finding{Name: FindingDeployKeys, Severity: SeverityError, Kind: KindPolicy,
		Message: fmt.Sprintf("organization %s does not allow deploy keys", a.request.Ref.Owner),
		Hint:    deployKeysDisabledHint})
	return false
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// checkRepository looks at what can be done to a repository that is there.
func (a *accessCheck) checkRepository(ctx context.Context) {
	ref, repository := a.request.Ref, a.access.Repository
	if repository.Archived {
		a.add(Finding{Name: FindingRepository, Severity: SeverityError, Kind: KindPolicy,
			Message: fmt.Sprintf("repository %s is archived: nobody can write to it", ref),
			Hint:    "an administrator can take the repository out of the archive in its settings"})
		return
	}
	if repository.Disabled {
		a.add(Finding{Name: FindingRepository, Severity: SeverityError, Kind: KindPolicy,
			Message: fmt.Sprintf("repository %s is disabled: GitHub gives nobody access to what is in it",
				ref),
			Hint: "its owner has to turn to GitHub's support, or to the administrator of an enterprise " +
				"server"})
		return
	}
	var protectionErr, keysErr error
	var settings organization
	var group crash.Group
	if a.request.Branch != "" {
		group.Go(func() {
			a.access.Protection, protectionErr = a.client.Protection(ctx, ref, a.request.Branch)
		})
	}
	if a.request.NeedDeployKey {
		group.Go(func() { a.access.DeployKeys, keysErr = a.client.DeployKeys(ctx, ref) })
		if a.access.Owner.Kind == OwnerOrganization {
			group.Go(func() {
				var err error
				if settings, err = a.client.organization(ctx, ref.Owner); err != nil {
					// It would only tell early what the registration tells later.
					settings = organization{}
				}
			})
		}
	}
	group.Wait()
	if a.checkPush(protectionErr) {
		a.checkBranch()
		if a.request.NeedDeployKey && a.checkDeployKeySetting(settings) {
			if keysErr != nil {
				a.checkKeys(keysErr)
			} else if a.access.Viewer.Kind != TokenClassic {
				a.unseen(FindingDeployKeys,
					`whether the token may register a deploy key, for which it needs "Administration: write"`)
			}
		}
	}
}

// checkPush looks at whether the token can push at all, and returns whether it is worth looking further.
func (a *accessCheck) checkPush(protectionErr error) bool {
	ref, viewer, repository := a.request.Ref, a.access.Viewer, a.access.Repository
	lacks := func(reason, needed string) {
		a.add(Finding{Name: FindingPush, Severity: SeverityError, Kind: KindPermission,
			Message: fmt.Sprintf("the token in %s cannot push to %s: %s",
				TokenVariable, ref, reason),
			Hint:             hint.Text("the token in %s needs %s", TokenVariable, needed),
			NeededPermission: needed})
	}
	scope := "public_repo"
	if repository.Private {
		scope = "repo"
	}
	var e *Error
	switch {
	case viewer.Kind == TokenClassic && !viewer.HasScope(scope):
		lacks("it has the scopes "+orNone(viewer.Scopes), "the scope "+quoted(scope))
		return false
	case viewer.Login != "" && !repository.Permissions.Push:
		// GitHub reports no rights of an App here, so that this is about users only.
		role := "Write"
		if a.request.NeedDeployKey {
			role = "Admin"
		}
		lacks(viewer.Login+" may only read it", fmt.Sprintf("the %s role on %s for its user", role, ref))
		return false
	case errors.As(protectionErr, &e) && e.class == ErrPermission && e.rights:
		needed := e.NeededPermission
		if needed == "" || strings.HasPrefix(needed, `"Contents:`) {
			needed = `"Contents: write"`
		}
		lacks("it may not read its contents"+e.words(), needed)
		return true
	case protectionErr != nil:
		a.fail(FindingBranch, protectionErr)
	}
	if viewer.Kind != TokenClassic {
		a.unseen(FindingPush,
			`whether the token may write to `+ref.String()+`, for which it needs "Contents: write"`)
	}
	return true
}

// checkBranch looks at what protects the branch.
func (a *accessCheck) checkBranch() {
	protection := a.access.Protection
	if protection.AdminsExempt && a.access.Viewer.Kind != TokenInstallation {
		protection.Hindrances = slices.DeleteFunc(slices.Clone(protection.Hindrances),
			func(h Hindrance) bool { return h.Source == sourceProtection })
	}
	switch {
	case protection.Refuses():
		a.add(Finding{Name: FindingBranch, Severity: SeverityError, Kind: KindPolicy,
			Message: fmt.Sprintf("branch %s of %s does not accept direct pushes: %s",
				a.request.Branch, a.request.Ref, protection),
			Hint: "name another branch in spec.branch, or have an administrator let the token's user pass"})
	case protection.MayRefuse():
		a.add(Finding{Name: FindingBranch, Severity: SeverityWarning, Kind: KindPolicy,
			Message: fmt.Sprintf("branch %s of %s may refuse a direct push: %s",
				a.request.Branch, a.request.Ref, protection),
			Hint: "the push goes through if the rules let the token's user pass; otherwise name another " +
				"branch in spec.branch"})
	}
}

// checkKeys reports that deploy keys cannot be administered.
func (a *accessCheck) checkKeys(err error) {
	ref, viewer := a.request.Ref, a.access.Viewer
	var e *Error
	if !errors.As(err, &e) || e.class != ErrPermission && e.class != ErrNotFound ||
		e.Status == http.StatusForbidden && !e.rights {
		a.fail(FindingDeployKeys, err)
		return
	}
	needed := e.NeededPermission
	switch {
	case viewer.Login != "" && !a.access.Repository.Permissions.Admin:
		needed = fmt.Sprintf("the Admin role on %s for its user", ref)
	case needed == "":
		needed = `"Administration: write"`
	}
	a.add(Finding{Name: FindingDeployKeys, Severity: SeverityError, Kind: KindPermission,
		Message: fmt.Sprintf("the token in %s cannot administer the deploy keys of %s%s",
			TokenVariable, ref, e.words()),
		Hint: hint.Text("the token in %s needs %s", TokenVariable, needed), NeededPermission: needed})
}
