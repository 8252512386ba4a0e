// Command fuzz runs every fuzz test of the program, one after the other, and writes how far each got into
// docs/reliability.md.
//
//	fuzz [-time 5m] [-parallel 2] [-doc FILE] [-only REGEXP] [DIRECTORY]
//
// A finding ends it at once, with the exit code 1 and what go test says: the input is then in the package's
// testdata/fuzz, where every later go test runs it. Tests are found by name in the source, so that a new one
// is run without being listed anywhere.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz: error:", err)
		stop()
		os.Exit(1) // stop is called above
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	each := flags.Duration("time", 5*time.Minute, "how long each test runs")
	parallel := flags.Int("parallel", runtime.NumCPU(), "how many processes try inputs at once")
	doc := flags.String("doc", "", "file whose fuzzing figures are replaced")
	only := flags.String("only", "", "run the tests whose name matches; the figures of the others stay")
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	root := "."
	if flags.NArg() > 0 {
		root = flags.Arg(0)
	}
	targets, err := find(root)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz test below %s", root)
	}
	for _, t := range targets {
		if !selected.MatchString(t.name) {
			continue
		}
		fmt.Fprintf(out, "%s %s ...\n", t.dir, t.name)
		f, err := t.fuzz(ctx, root, *each, *parallel)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s: %s\n", t.dir, t.name, f)
		if *doc != "" {
			// After each, so that a run that is cut short leaves what it has.
			if err := record(*doc, targets, t, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// target is one fuzz test.
type target struct{ dir, name string }

var declaration = regexp.MustCompile(`(?m)^func (Fuzz[A-Z]\w*)\(\w+ \*testing\.F\)`)

// find lists the fuzz tests of the module at root, by directory and name.
func find(root string) ([]target, error) {
	var targets []target
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root:
			if entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // another module
			}
			return nil
		case entry.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, found := range declaration.FindAllSubmatch(source, -1) {
			targets = append(targets, target{filepath.ToSlash(dir), string(found[1])})
		}
		return nil
	})
	slices.SortFunc(targets,
		func(a, b target) int { return strings.Compare(a.dir+" "+a.name, b.dir+" "+b.name) })
	return targets, err
}

// figures are what a run without a finding came to.
type figures struct {
	ran    time.Duration
	inputs int // tried
	corpus int // of them kept, since they reach code that no other does; those of earlier runs included
}

func (f figures) String() string {
	return fmt.Sprintf("%d inputs in %s, %d of interest, no finding", f.inputs, f.ran, f.corpus)
}

// progress is a line of go test: "fuzz: elapsed: 3s, execs: 102 (34/sec), new interesting: 9 (total: 61)".
var progress = regexp.MustCompile(`fuzz: elapsed: (\S+), execs: (\d+) .*\(total: (\d+)\)`)

// fuzz runs one test for the given time.
func (t target) fuzz(ctx context.Context, root string, each time.Duration, parallel int) (figures, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime",
		each.String(), "-parallel", strconv.Itoa(parallel), "-timeout", (each + 30*time.Minute).String(),
		"./"+t.dir)
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return figures{}, fmt.Errorf("%s of %s: %w\n%s", t.name, t.dir, err, out)
	}
	return read(out)
}

// read takes the figures out of the last line of progress.
func read(out []byte) (figures, error) {
	lines := progress.FindAllSubmatch(out, -1)
	if len(lines) == 0 {
		return figures{}, fmt.Errorf("go test shows no figures:\n%s", out)
	}
	last := lines[len(lines)-1]
	ran, err := time.ParseDuration(string(last[1]))
	inputs, errInputs := strconv.Atoi(string(last[2]))
	corpus, errCorpus := strconv.Atoi(string(last[3]))
	return figures{ran, inputs, corpus}, errors.Join(err, errInputs, errCorpus)
}

// The figures are between these lines of the document; everything else of it is somebody else's.
const (
	begin = "<!-- made by make fuzz -->"
	end   = "<!-- end of make fuzz -->"
)

// record sets the row of one test in the document and drops the rows of tests that are gone.
func record(path string, targets []target, t target, f figures) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(content, []byte(begin+"\n"))
	old, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return fmt.Errorf("%s has no place for the figures: the lines %s and %s", path, begin, end)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(old)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			rows[strings.TrimSpace(cells[1])] = line
		}
	}
	row := func(t target) string { return fmt.Sprintf("`%s` in `%s`", t.name, t.dir) }
	rows[row(t)] = fmt.Sprintf("| %s | %s | %s | %s |\n",
		row(t), f.ran, thousands(f.inputs), thousands(f.corpus))
	var table strings.Builder
	table.WriteString("| test | time without a finding | inputs tried | of interest |\n|---|---|---|---|\n")
	for _, t := range targets {
		table.WriteString(rows[row(t)])
	}
	return os.WriteFile(path,
		slices.Concat(before, []byte(begin+"\n"), []byte(table.String()), []byte(end), after), 0o644)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
