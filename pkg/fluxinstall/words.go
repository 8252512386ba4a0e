package fluxinstall

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// Flux's controllers write into a condition's message whatever they know: what went wrong, and what went well
// before it; where they work on their own disk; on many lines. What follows takes out of that the object that
// failed and what is said of it. The forms are those of kustomize-controller 1.9
// (internal/controller/kustomization_controller.go), of github.com/fluxcd/pkg/ssa, which applies and waits
// for it, and of kustomize.

// Words are what the condition says went wrong, on one line: the object and its message, nothing else.
// Message is the whole of it.
func (c Condition) Words() string { return conditionWords(c.Message) }

// Culprit is whom the condition blames: a path in the repository, or an object as Kind/namespace/name; empty
// when it names nobody.
func (c Condition) Culprit() string { return culpritOf(c.Message) }

// mostWords bounds words, in characters. Messages of an object with many mistakes are longer.
const mostWords = 1000

// conditionWords is [Condition.Words] of a message.
func conditionWords(message string) string {
	message = withoutChanges(message)
	message = undecoded.ReplaceAllString(message, "$1")
	message = checkedFor.ReplaceAllString(message, "")
	if strings.HasPrefix(message, "Secret/") {
		message = secretValue.ReplaceAllString(message, "$1"+redact.Mask)
	}
	switch {
	case strings.HasPrefix(message, buildFailed):
		message = briefBuild(message)
	case unhealthy.MatchString(message):
		found := unhealthy.FindStringSubmatch(message)
		message = found[1] + " " + listed(eachObject(found[2], ", "))
	case strings.HasPrefix(message, pruneFailed):
		message = listed(eachObject(strings.TrimPrefix(message, pruneFailed), ";"))
	}
	// Addresses may hold credentials, as a spec.url of Flux or a remote base of kustomize does that somebody
	// should not have written.
	message = redact.Text(message)
	message = buildTop.ReplaceAllString(buildDirectory.ReplaceAllString(message, ""), "the repository")
	return bounded(oneLine(objectText.ReplaceAllString(message, "in object $1")), mostWords)
}

// change is a line of what kustomize-controller adds to an error: an object that it has applied before, and
// that is well (fluxcd/pkg/ssa, ChangeSetEntry.String).
var change = regexp.MustCompile(
	`^[A-Z]\w*(/[^/]+){1,2} (created|configured|unchanged|deleted|skipped|unknown)$`)

// withoutChanges takes the changes off the end of a message. The last line of a message that was too long for
// a condition is cut.
func withoutChanges(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	end := len(lines)
	if cut := end - 1; cut > 1 && strings.HasSuffix(lines[cut], "...") && change.MatchString(lines[cut-1]) {
		end = cut
	}
	for end > 1 && (change.MatchString(lines[end-1]) || strings.TrimSpace(lines[end-1]) == "") {
		end--
	}
	return strings.TrimSpace(strings.Join(lines[:end], "\n"))
}

const (
	buildFailed = "kustomize build failed: "
	pruneFailed = "delete failed, errors: "
)

var (
	// What follows is the whole of an object, which may hold secrets.
	undecoded = regexp.MustCompile(`(?s)^(failed to decode Kubernetes apiVersion, kind and name) from: .*`)
	// The API server quotes values that it does not take.
	secretValue = regexp.MustCompile(`(Invalid value: |Value:)("(?:[^"\\]|\\.)*"|[^\s,}]*[^\s,}:])`)
	// The reason says it, and the time is another one at every try.
	checkedFor = regexp.MustCompile(`^health check failed after \S+: `)
	unhealthy  = regexp.MustCompile(
		`(?s)^(timeout waiting for:|failed early due to stalled resources:) \[(.*)\]$`)
	// Where kustomize-controller has unpacked the repository.
	buildDirectory = regexp.MustCompile(`(?:/[^\s':,]*)?/kustomization-\d+/`)
	buildTop       = regexp.MustCompile(`'(?:/[^\s':,]*)?/kustomization-\d+'`)
)

// namedObject is how an error about an object begins.
var namedObject = regexp.MustCompile(`^(?:can't determine status for )?[A-Z]\w*(/[^/\s]+){1,2}(?: |$)`)

// eachObject takes a list of errors apart, each of which begins with its object. They come in any order, and
// get the same one every time.
func eachObject(list, separator string) []string {
	var each []string
	for part := range strings.SplitSeq(list, separator) {
		switch {
		case strings.TrimSpace(part) == "":
		case len(each) == 0 || namedObject.MatchString(part):
			each = append(each, part)
		default:
			each[len(each)-1] += separator + part
		}
	}
	slices.Sort(each)
	return each
}

// mostListed bounds a list of objects, all of which have failed.
const mostListed = 3

func listed(each []string) string {
	if more := len(each) - mostListed; more > 0 {
		each = append(each[:mostListed:mostListed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(each, "; ")
}

// step is one of the steps by which kustomize got to a place that is wrong: what it says of it as a file, and
// what it then did.
var step = regexp.MustCompile(
	`(?s)^accumulation err='(?:accumulating|merging) resources from '[^']*': (.*?)': ` +
		`(recursed accumulation of path '[^']*': |couldn't make target for path '[^']*': |must build at directory: |cycle detected: |failed to run ')(.*)$`)

var (
	lastStep = regexp.MustCompile(`^accumulating resources from '[^']*': `)
	// What kustomize repeats of a patch, or of an object, may hold secrets.
	patchConfig = regexp.MustCompile("(?s) with config: `.*`: ")
	patchText   = regexp.MustCompile(`(?s)\[patch: ".*"\]`)
	objectText  = regexp.MustCompile(`in object \{\{([^}]*)\} .*\}\}`)
)

// briefBuild takes out of a message of kustomize how it got to the place that is wrong, and names that by its
// path in the repository.
func briefBuild(message string) string {
	place, text := culpritOf(message), strings.TrimPrefix(message, buildFailed)
	for {
		text = strings.TrimPrefix(text, "accumulating resources: ")
		found := step.FindStringSubmatch(text)
		if found == nil {
			break
		}
		asFile, then, rest := found[1], found[2], found[3]
		switch isDirectory := strings.Contains(asFile, "is a directory"); {
		case strings.HasPrefix(then, "failed to run"), then == "cycle detected: ":
			text = then + rest
		case isDirectory:
			text = rest
			continue
		default:
			text = asFile
		}
		break
	}
	text = lastStep.ReplaceAllString(text, "")
	text = patchText.ReplaceAllString(patchConfig.ReplaceAllString(text, ": "), "[patch]")
	text = buildDirectory.ReplaceAllString(objectText.ReplaceAllString(text, "in object $1"), "")
	if place == "" {
		return buildFailed + text
	}
	text = strings.TrimSuffix(text, " in File: "+path.Base(place))
	for _, verb := range []string{"open ", "read "} {
		text = strings.TrimPrefix(text, verb+place+": ")
	}
	return buildFailed + place + ": " + text
}

// oneLine joins the lines of a message: what a colon announces to it, what stands for itself after a
// semicolon.
func oneLine(message string) string {
	var b strings.Builder
	for line := range strings.Lines(message) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "- ")
		switch text := b.String(); {
		case line == "":
			continue
		case text == "":
		case strings.HasSuffix(text, ":") || strings.HasSuffix(text, ";") || strings.HasSuffix(text, ","):
			b.WriteString(" ")
		default:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// bounded shortens a text in its middle, between words: it begins with the object, and the innermost error,
// which is the cause, comes last.
func bounded(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	head, tail := string(runes[:most/2]), string(runes[len(runes)-most/2:])
	if at := strings.LastIndexByte(head, ' '); at > 0 {
		head = head[:at]
	}
	if at := strings.IndexByte(tail, ' '); at >= 0 {
		tail = tail[at+1:]
	}
	return head + " … " + tail
}

var (
	// What kustomize-controller says of an object that it cannot apply, delete or wait for.
	blamedObject = regexp.
			MustCompile(`(?m)(?:^|[\s;\[])([A-Z]\w+/[^/\s]+/[^/\s:]+) (?:dry-run failed|apply failed|delete failed|query failed|namespace not specified|not found|` +
			`immutable field detected|metadata\.managedFields cleanup failed|failed to migrate API version|is SOPS encrypted|status: ')`)
	// Where kustomize-controller works on the repository's files, and how kustomize names directories and
	// files in them.
	buildRoot = regexp.MustCompile(`kustomization-\d+/([^\s':,]+)`)
	buildFile = regexp.MustCompile(
		`accumulating resources from '([^']+\.(?:ya?ml|json))'|in File: ([^\s':]+)`)
)

// culpritOf is whom a message blames: a file or directory of the repository, or an object as
// Kind/namespace/name; "" when it names nobody.
func culpritOf(message string) string {
	message = withoutChanges(message)
	if objects := blamedObject.FindAllStringSubmatch(message, -1); len(objects) > 0 {
		if strings.HasPrefix(message, pruneFailed) ||
			unhealthy.MatchString(checkedFor.ReplaceAllString(message, "")) {
			// They come in any order.
			slices.SortFunc(objects, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
		}
		return objects[0][1]
	}
	roots := buildRoot.FindAllStringSubmatch(message, -1)
	if len(roots) == 0 {
		return ""
	}
	at := path.Clean(roots[len(roots)-1][1])
	files := buildFile.FindAllStringSubmatch(message, -1)
	if len(files) == 0 {
		return at
	}
	file := files[len(files)-1][1] + files[len(files)-1][2]
	if path.Base(at) == path.Base(file) {
		return at
	}
	return path.Join(at, file)
}
