// Package buildinfo says which build of the program this is.
package buildinfo

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// These are set by the release build through the linker (-X); a build with the plain go command leaves them
// empty and is described by what the toolchain recorded.
var (
	version string
	commit  string
	date    string
)

// Info describes the running binary.
type Info struct {
	Version string `json:"version"` // a semantic version with a leading v, a short commit ID, or "dev"
	// full Git commit ID; "-dirty" is added when the tree was changed
	Commit    string `json:"commit,omitempty"`
	Date      string `json:"date,omitempty"` // of the commit, RFC 3339
	GoVersion string `json:"goVersion"`      // of the toolchain that built it
	Platform  string `json:"platform"`       // GOOS/GOARCH
	Flux      string `json:"flux"`           // the Flux version that is installed by default
}

// Read returns the description of the running binary. flux is the pinned Flux version.
func Read(flux string) Info {
	info := Info{Version: version, Commit: commit, Date: date, GoVersion: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Flux: flux}
	if build, ok := debug.ReadBuildInfo(); ok {
		if info.Version == "" && build.Main.Version != "" && build.Main.Version != "(devel)" {
			info.Version = build.Main.Version
		}
		settings := map[string]string{}
		for _, s := range build.Settings {
			settings[s.Key] = s.Value
		}
		if info.Commit == "" {
			info.Commit = settings["vcs.revision"]
			if info.Commit != "" && settings["vcs.modified"] == "true" {
				info.Commit += "-dirty"
			}
		}
		if info.Date == "" {
			info.Date = settings["vcs.time"]
		}
	}
	if info.Version == "" {
		info.Version = "dev"
	}
	// A checkout without a tag is named by its commit, which stays as it is.
	if strings.Contains(info.Version, ".") && !strings.HasPrefix(info.Version, "v") {
		info.Version = "v" + info.Version
	}
	return info
}
