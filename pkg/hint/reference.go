package hint

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Operation is something that this project does. Its value is the function that does it.
type Operation string

// The operations that hints name.
const (
	Create      Operation = "gitops.Create"
	Upgrade     Operation = "gitops.Upgrade"
	Delete      Operation = "gitops.Delete"
	Pause       Operation = "gitops.PauseClusters"
	Resume      Operation = "gitops.ResumeClusters"
	ShowStatus  Operation = "status.Observe"
	WatchStatus Operation = "status.Observe, repeated" // until it is well
	GetClusters Operation = "status.Observe, brief"    // all clusters that there are
	Lint        Operation = "lint.CheckRepository"
)

// Operations are all of them.
func Operations() []Operation {
	return []Operation{Create, Upgrade, Delete, Pause, Resume, ShowStatus, WatchStatus, GetClusters, Lint}
}

// Option is something that can be said to an operation. Its value is the field that says it.
type Option string

// The options that hints name.
const (
	Adopt             Option = "gitops.UpgradeOptions.Adopt"
	AuthorEmail       Option = "git.Identity.Email"
	Build             Option = "gitops.Meant.Build"
	Bundles           Option = "gitops.CreateOptions.Images"
	CAFile            Option = "connect.Options.CAPEM"
	ClusterPrivateKey Option = "gitops.CreateOptions.Source"
	Components        Option = "fluxmanifests.ComponentsOptions.Components"
	ComponentsExtra   Option = "fluxmanifests.ComponentsOptions.ComponentsExtra"
	Context           Option = "fluxinstall.KubeconfigOptions.Context"
	DryRun            Option = "gitops.Settings.DryRun"
	From              Option = "gitops.DeleteOptions.From"
	Kubeconfig        Option = "connect.Options.Kubeconfig"
	Namespace         Option = "fluxinstall.ClusterName.Namespace"
	Overwrite         Option = "gitops.CreateOptions.Overwrite"
	Prune             Option = "gitops.Meant.Prune"
	RestoreMissing    Option = "gitops.Meant.RestoreMissing"
	SparseCheckout    Option = "gitops.CreateOptions.SparseCheckout"
	UpdateFile        Option = "gitops.UpgradeOptions.UpdateSources"
)

// Options are all of them.
func Options() []Option {
	return []Option{Adopt, AuthorEmail, Build, Bundles, CAFile, ClusterPrivateKey, Components,
		ComponentsExtra, Context, DryRun, From, Kubeconfig, Namespace, Overwrite, Prune, RestoreMissing,
		SparseCheckout, UpdateFile}
}

// To is the option with a value, or several.
func (o Option) To(values ...string) Setting {
	return Setting{Option: o, Value: unmarked.Replace(strings.Join(values, ","))}
}

// Any is the option with a value that is the reader's to find; what stands for it says which, such as FILE.
func (o Option) Any(placeholder string) Setting { return Setting{Option: o, Placeholder: placeholder} }

// Off is the option, switched off.
func (o Option) Off() Setting { return Setting{Option: o, Value: "false"} }

// String is the option's field.
func (o Option) String() string { return string(o) }

// Setting is an [Option] with its value.
type Setting struct {
	Option Option
	// Value is empty for an option that is only named, or switched on. Several have commas between them.
	Value string `json:",omitempty"`
	// Placeholder stands in a command line for a value that the reader has to find.
	Placeholder string `json:",omitempty"`
}

// String is the setting in the words of the library.
func (s Setting) String() string { return Library{}.Setting(s) }

// The files of a [Run] that are not known by their path.
const (
	// AnyFile is a file that the reader has to find.
	AnyFile = "FILE"
	// FileAsSaid is a file of which the words after the operation say which it is.
	FileAsSaid = "..."
)

// Run is an operation, on what and how.
type Run struct {
	Do       Operation
	Clusters []string  `json:",omitempty"` // their names
	File     string    `json:",omitempty"` // a file of clusters: its path, [AnyFile] or [FileAsSaid]
	With     []Setting `json:",omitempty"`
	// Bare leaves out the program, which the sentence has named already.
	Bare bool `json:",omitempty"`
}

// String is the run in the words of the library.
func (r Run) String() string { return Library{}.Run(r) }

// Repeat is what the reader has done, to be done once more. There are several for the sake of the sentence
// around it.
type Repeat string

// The ways to say it.
const (
	Again        Repeat = "make the same call again"
	AgainHere    Repeat = "make this call again"       // at the end of other things to do
	AgainThen    Repeat = "make the call again"        // once something has changed
	Otherwise    Repeat = "make the call"              // in another way, which follows
	WhenRepeated Repeat = "the same call, made again," // brings something about, which follows
)

// Repeats are all of them.
func Repeats() []Repeat { return []Repeat{Again, AgainHere, AgainThen, Otherwise, WhenRepeated} }

// String is the words of the library.
func (r Repeat) String() string { return string(r) }

// Reference is what a text may refer to: an [Option] or [Setting], a [Run] or an [Operation], or a [Repeat].
type Reference interface {
	fmt.Stringer
	// Hint is the reference as a text of its own.
	Hint() Hint

	reference() anyReference
}

// Hint implements [Reference].
func (o Option) Hint() Hint { return reference(o) }

// Hint implements [Reference].
func (s Setting) Hint() Hint { return reference(s) }

// Hint implements [Reference].
func (r Run) Hint() Hint { return reference(r) }

// Hint implements [Reference].
func (o Operation) Hint() Hint { return reference(o) }

// Hint implements [Reference].
func (r Repeat) Hint() Hint { return reference(r) }

func (o Option) reference() anyReference    { return anyReference{Setting: &Setting{Option: o}} }
func (s Setting) reference() anyReference   { return anyReference{Setting: &s} }
func (r Run) reference() anyReference       { return anyReference{Run: &r} }
func (o Operation) reference() anyReference { return anyReference{Run: &Run{Do: o}} }
func (r Repeat) reference() anyReference    { return anyReference{Repeat: r} }

// String is the operation's function.
func (o Operation) String() string { return Library{}.Run(Run{Do: o}) }

// anyReference is one of its fields.
type anyReference struct {
	Setting *Setting `json:",omitempty"`
	Run     *Run     `json:",omitempty"`
	Repeat  Repeat   `json:",omitempty"`
}

// reference is a text that is a reference alone.
func reference(r Reference) Hint {
	encoded, err := json.Marshal(r.reference()) // of texts alone, which always encode
	if err != nil {
		return Hint(r.String())
	}
	return Hint(opening + unmarked.Replace(string(encoded)) + closing)
}

func (r anyReference) in(words Words) string {
	switch {
	case r.Setting != nil:
		return words.Setting(*r.Setting)
	case r.Run != nil:
		return words.Run(*r.Run)
	}
	return words.Repeat(r.Repeat)
}
