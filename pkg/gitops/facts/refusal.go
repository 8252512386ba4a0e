package facts

import (
	"errors"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// IsAccessError says whether err is, at its root, a credential that was refused or a permission that is
// missing.
func IsAccessError(err error) bool {
	return errors.Is(err, github.ErrAuthentication) || errors.Is(err, github.ErrPermission) ||
		errors.Is(err, github.ErrSSO) || errors.As(err, new(*git.AuthError)) ||
		errors.As(err, new(*git.PermissionError)) || errors.As(err, new(*fluxinstall.ForbiddenError)) ||
		errors.As(err, new(*fluxinstall.CredentialsError))
}

// IsRuleError says whether err is, at its root, a rule of the Git host, of the Git server or of the
// management cluster that is against what was asked: a protected branch, a hook, a policy of the
// organization, an admission policy. Better credentials of the same account do not help.
func IsRuleError(err error) bool {
	refused := new(fluxinstall.RefusedError)
	return errors.Is(err, github.ErrPolicy) || errors.Is(err, github.ErrPlan) ||
		errors.As(err, new(*git.RejectedError)) || errors.As(err, &refused) && refused.Policy
}

// IsRefusal says whether err is, at its root, what somebody has to allow before the same command can succeed:
// an access error or a rule. It is one kind of failure wherever it comes up: before the first write or after
// it, at the host, in Git or in the cluster.
func IsRefusal(err error) bool { return IsAccessError(err) || IsRuleError(err) }

// HintOf is the first hint that an error or what it wraps offers.
func HintOf(err error) string { return hint.Of(err).String() }
