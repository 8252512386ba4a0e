package github

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The versions of the API that the program speaks
// (https://docs.github.com/rest/about-the-rest-api/api-versions). What changed between them
// (github/rest-api-description, CHANGELOG.md) touches nothing that is read or sent here.
const (
	version2022 = "2022-11-28"
	version2026 = "2026-03-10"
)

// Sunset says that a server has announced the end of the version of its API that the program speaks with it.
type Sunset struct {
	Version string    // such as 2022-11-28
	At      time.Time // when requests begin to fail; zero when the server names no time that can be read
}

// String says it for people.
func (s Sunset) String() string {
	end := "at a time that it does not name"
	if !s.At.IsZero() {
		end = "on " + s.At.UTC().Format(time.DateOnly)
	}
	return fmt.Sprintf("GitHub ends version %s of its API %s: have a newer eksa-gitops by then",
		s.Version, end)
}

// versions is which version of the API is spoken with a server: the newest that it knows. github.com knows
// both; an enterprise server, whose API is below /api/v3/, has got the newer one only of late, and answers
// 400 to a version that it does not know. A version that is no longer supported is answered with 410.
type versions struct {
	mu     sync.Mutex
	left   []string // the one that is spoken, and those to try when the server refuses it
	told   bool
	notice func(Sunset)
}

func newVersions(basePath string, notice func(Sunset)) *versions {
	v := &versions{left: []string{version2026, version2022}, notice: notice}
	if strings.HasSuffix(basePath, "/api/v3/") {
		v.left = []string{version2022, version2026}
	}
	return v
}

func (v *versions) current() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.left[0]
}

// giveUp goes on to the next version, and says whether there is one: the server has refused this one.
func (v *versions) giveUp(version string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left[0] == version && len(v.left) > 1 {
		v.left = v.left[1:]
		return true
	}
	// Another request has found out before.
	return v.left[0] != version
}

// heard looks for the announcement of a version's end in an answer (RFC 8594), and passes the first one on.
func (v *versions) heard(version string, header http.Header) {
	text := header.Get("Sunset")
	if text == "" || v.notice == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.told {
		return
	}
	v.told = true
	// A time that cannot be read is no time.
	at, _ := http.ParseTime(text)
	v.notice(Sunset{Version: version, At: at})
}

// refusesVersion says whether an answer is a refusal of the version that its request named. GitHub documents
// 410 for one that is no longer supported, which nothing that is used here answers with otherwise, and no
// words. The body can be read again afterwards.
func refusesVersion(response *http.Response) bool {
	if response.StatusCode == http.StatusGone {
		return true
	}
	if response.StatusCode != http.StatusBadRequest {
		return false
	}
	// It is in memory.
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil && saysVersion(string(body))
}

// saysVersion says whether the words of a bad request are about a version.
func saysVersion(text string) bool { return strings.Contains(strings.ToLower(text), "version") }
