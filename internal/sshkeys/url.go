package sshkeys

import "github.com/eksa-gitops/eksa-gitops/internal/repourl"

// URL is the address of a repository over SSH.
type URL = repourl.URL

// ErrNotSSH says that an address is of another scheme.
var ErrNotSSH = repourl.ErrNotSSH

// ParseURL reads the address of a repository over SSH, as [repourl.ParseSSH] does.
func ParseURL(text string) (*URL, error) { return repourl.ParseSSH(text) }
