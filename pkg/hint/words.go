package hint

import "github.com/eksa-gitops/eksa-gitops/internal/text"

// Words are how a program calls what hints refer to.
type Words interface {
	// Setting names an option and, where it has one, its value.
	Setting(s Setting) string
	// Run is an operation as somebody types it.
	Run(r Run) string
	// Repeat says, in the imperative, to do the same once more.
	Repeat(r Repeat) string
}

// Library are the words of who calls the packages. As long as results hold texts that are in words already,
// they are those of the command line.
type Library struct{}

// Setting is a flag, with its value.
func (Library) Setting(s Setting) string {
	flag := "--" + flagOf(s.Option)
	switch {
	case s.Placeholder != "":
		return flag + " " + s.Placeholder
	case s.Value == "":
		return flag
	case s == s.Option.Off():
		return flag + "=false" // of a switch the next word is no value
	}
	return flag + text.Command(" %s", s.Value)
}

// Run is a command line of this program.
func (w Library) Run(r Run) string {
	line := commandOf(r.Do)
	if !r.Bare {
		line = "eksa-gitops " + line
	}
	if len(r.Clusters) > 0 {
		line += text.Command(" %s", r.Clusters)
	}
	switch r.File {
	case "":
	case FileAsSaid:
		line += " -f"
	default:
		line += text.Command(" -f %s", r.File)
	}
	for _, setting := range r.With {
		line += " " + w.Setting(setting)
	}
	return line
}

// Repeat is about the command line that was typed.
func (Library) Repeat(r Repeat) string {
	switch r {
	case Again:
		return "run the same command again"
	case AgainHere:
		return "run this command again"
	case AgainThen:
		return "run the command again"
	case Otherwise:
		return "run the command"
	case WhenRepeated:
		return "the same command, run again,"
	}
	return string(r)
}

// commandOf is the command that does an operation, with the flags that make it that one.
func commandOf(operation Operation) string {
	switch operation {
	case Create:
		return "create cluster"
	case Upgrade:
		return "upgrade cluster"
	case Delete:
		return "delete cluster"
	case Pause:
		return "pause cluster"
	case Resume:
		return "resume cluster"
	case ShowStatus:
		return "status"
	case WatchStatus:
		return "status --watch"
	case GetClusters:
		return "get clusters -A"
	case Lint:
		return "lint"
	}
	return string(operation)
}

// flagOf is the name of the flag that says an option.
func flagOf(option Option) string {
	switch option {
	case Adopt:
		return "adopt"
	case AuthorEmail:
		return "author-email"
	case Build:
		return "build"
	case Bundles:
		return "bundles"
	case CAFile:
		return "ca-file"
	case ClusterPrivateKey:
		return "cluster-private-key"
	case Components:
		return "components"
	case ComponentsExtra:
		return "components-extra"
	case Context:
		return "context"
	case DryRun:
		return "dry-run"
	case From:
		return "from"
	case Kubeconfig:
		return "kubeconfig"
	case Namespace:
		return "namespace"
	case Overwrite:
		return "overwrite"
	case Prune:
		return "prune"
	case RestoreMissing:
		return "restore-missing"
	case SparseCheckout:
		return "sparse-checkout"
	case UpdateFile:
		return "update-file"
	}
	return string(option)
}
