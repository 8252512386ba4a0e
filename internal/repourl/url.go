// Package repourl reads the addresses of Git repositories. It is the one place where that is done, so that
// what the first check accepts is what every later step takes: the log-in, Flux, and the API server.
package repourl

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// URL is the address of a repository over SSH.
type URL struct {
	User string // who to log in as; git when the text names nobody
	Host string // name or address, without brackets
	Port int    // 22 when the text names none
	// Path is what the server is asked for: "/owner/repo.git", or "~user/repo.git" for a path in a home
	// directory.
	Path string
	// Notice says how the text was read when it was not in the ssh:// form; empty otherwise.
	Notice string
}

// ErrNotSSH says that an address is of another scheme.
var ErrNotSSH = errors.New("not an SSH URL")

const (
	sshPort     = 22
	defaultUser = "git"
)

// ParseSSH reads ssh://[user@]host[:port]/path and the scp form [user@]host:path, which is taken as
// ssh://user@host/path with a [URL.Notice]. The error is [ErrNotSSH] when there is another scheme. A password
// in the URL is refused; no error shows it.
func ParseSSH(text string) (*URL, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	scheme, _, hasScheme := strings.Cut(text, "://")
	switch {
	case !hasScheme:
		return parseSCP(text)
	case IsSSH(scheme):
		return parseSSH(text)
	}
	if !schemeForm.MatchString(scheme) {
		// It may be anything, a password too.
		return nil, errors.New("the repository URL is malformed: write ssh://git@host/owner/repo.git")
	}
	return nil, fmt.Errorf("the repository URL has the scheme %s: %w", scheme, ErrNotSSH)
}

// IsSSH says whether a scheme is that of SSH, under any of the names that Git and tools that wrap it take.
func IsSSH(scheme string) bool {
	return slices.Contains([]string{"ssh", "git+ssh", "ssh+git"}, strings.ToLower(scheme))
}

// schemeForm is what a scheme looks like (RFC 3986, section 3.1).
var schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

func parseSSH(text string) (*URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// What url.Parse says quotes the URL, which may hold a password.
		return nil, errors.New("the repository URL is malformed: write ssh://git@host/owner/repo.git")
	}
	if _, set := u.User.Password(); set {
		return nil, errors.New("the repository URL has a password in it, which SSH does not use: remove it")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil,
			errors.New("the repository URL has a query or a fragment, which SSH does not use: remove it")
	}
	r := &URL{User: u.User.Username(), Host: u.Hostname(), Port: sshPort, Path: u.Path}
	if p := u.Port(); p != "" {
		if r.Port, err = strconv.Atoi(p); err != nil || r.Port < 1 || r.Port > 65535 {
			return nil, fmt.Errorf("the repository URL has the port %s, which is not a port number", p)
		}
	}
	return r.check()
}

func parseSCP(text string) (*URL, error) {
	user, rest := "", text
	// The user ends at the last @ before the colon; a path may have one of its own.
	if at := strings.IndexByte(text, '@'); at >= 0 && !strings.ContainsAny(text[:at], ":/[") {
		user, rest = text[:at], text[at+1:]
	}
	var host, path string
	if strings.HasPrefix(rest, "[") {
		inner, after, ok := strings.Cut(rest[1:], "]")
		if !ok || !strings.HasPrefix(after, ":") {
			return nil, errors.New("the repository URL is malformed: write ssh://git@host/owner/repo.git")
		}
		host, path = inner, after[1:]
	} else {
		var ok bool
		host, path, ok = strings.Cut(rest, ":")
		if !ok || strings.Contains(host, "/") {
			return nil, errors.New("the repository URL has no scheme: write ssh://git@host/owner/repo.git")
		}
	}
	r := &URL{User: user, Host: host, Port: sshPort, Path: "/" + strings.TrimPrefix(path, "/")}
	r, err := r.check()
	if err != nil {
		return nil, err
	}
	r.Notice = fmt.Sprintf("the repository URL %s is taken as %s", text, r)
	return r, nil
}

// ParseHTTPS reads https://host[:port]/path. A user, a query and a fragment are refused; no error shows them.
func ParseHTTPS(text string) (*url.URL, error) {
	const form = "write https://host/owner/repo.git"
	if err := checkText(text); err != nil {
		return nil, err
	}
	u, err := url.Parse(text)
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.Hostname() == "" ||
		strings.Trim(u.Path, "/") == "" {
		// What url.Parse says quotes the URL, which may hold a password.
		return nil, errors.New("the repository URL is malformed: " + form)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the repository URL has a user, a query or a fragment in it: " + form +
			" and give credentials apart")
	}
	if p := u.Port(); p != "" {
		if port, err := strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("the repository URL has the port %s, which is not a port number", p)
		}
	}
	return u, checkParts(u.Hostname(), "", u.Path)
}

func checkText(text string) error {
	if strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) >= 0 {
		return errors.New("the repository URL has a space or a control character in it")
	}
	return nil
}

// checkParts refuses what a program that is handed the parts, decoded, may take for something else.
func checkParts(host, user, path string) error {
	switch {
	case strings.HasPrefix(host, "-"):
		return errors.New(
			"the repository URL has a host that begins with a dash, which programs take for an option")
	case !isHost(host):
		return errors.New("the repository URL has something else than a name or an address for its host")
	case strings.HasPrefix(user, "-"):
		return errors.New(
			"the repository URL has a user that begins with a dash, which programs take for an option")
	case strings.ContainsFunc(host+user+path, text.Invisible):
		return errors.New("the repository URL has a control character or an invisible one in it")
	}
	return nil
}

func (r *URL) check() (*URL, error) {
	if r.User == "" {
		r.User = defaultUser
	}
	switch {
	case r.Host == "":
		return nil, errors.New("the repository URL has no host: write ssh://git@host/owner/repo.git")
	case strings.Trim(r.Path, "/") == "":
		return nil, errors.New("the repository URL has no path: write ssh://git@host/owner/repo.git")
	}
	if err := checkParts(r.Host, r.User, r.Path); err != nil {
		return nil, err
	}
	// git asks for ~user/x, not /~user/x, so that the server looks in the home directory.
	if strings.HasPrefix(r.Path, "/~") {
		r.Path = r.Path[1:]
	}
	return r, nil
}

// isHost says whether text is an address, or letters, digits, dots, dashes and underscores, as a name is. So
// is an address's zone.
func isHost(text string) bool {
	name := text
	if address, err := netip.ParseAddr(text); err == nil {
		name = address.Zone()
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(".-_", c)
	})
}

// Address is host:port.
func (r *URL) Address() string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// String is the normal form: ssh://user@host[:port]/path.
func (r *URL) String() string {
	u := url.URL{Scheme: "ssh", User: url.User(r.User), Host: r.Host,
		Path: "/" + strings.TrimPrefix(r.Path, "/")}
	if strings.Contains(r.Host, ":") {
		u.Host = "[" + r.Host + "]"
	}
	if r.Port != sshPort {
		u.Host = r.Address()
	}
	return u.String()
}
