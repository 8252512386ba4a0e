package gitrepo

import "github.com/go-git/go-git/v5/config"

// ConfiguredIdentity is the user.name and user.email of Git's own configuration of this system and user; empty where it has none.
// The user's wins, as in git. A configuration that cannot be read counts as none: git itself will complain about it.
func ConfiguredIdentity() Identity {
	var identity Identity
	for _, scope := range []config.Scope{config.SystemScope, config.GlobalScope} {
		settings, err := config.LoadConfig(scope)
		if err != nil {
			continue
		}
		if settings.User.Name != "" {
			identity.Name = settings.User.Name
		}
		if settings.User.Email != "" {
			identity.Email = settings.User.Email
		}
	}
	return identity
}
