package status_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/status"
)

// What somebody who may push, or who has a right in the cluster, can call things.
const hostileName = "x'$(touch owned)'`touch owned`\"; touch owned; \n touch owned # \x1b]0;x\x07"

// programs are those that are suggested, at the beginning of a command.
var programs = regexp.MustCompile(
	`(?:git|kubectl|flux|helm|gh|ssh-keyscan|ssh-keygen|ssh-add|eksa-gitops) [-a-z]`)

// Whatever a name is, whoever pastes a suggested command runs that command and nothing else: each text of
// each thing that status looks at is a hostile one in turn, in each state of trouble that it tells of. What
// is suggested then is run, in a shell whose programs are stubs.
func TestJudge_suggestsNothingHostile(t *testing.T) {
	t.Parallel()
	all := troubles()
	all["nothing"] = trouble{change: func(*status.Observation) {}}
	suggestions := map[string]bool{}
	for name, trouble := range all {
		for at := 0; ; at++ {
			o := well()
			trouble.change(o)
			left := at
			if !poison(reflect.ValueOf(o), &left, map[uintptr]bool{}) {
				break
			}
			report, err := status.Judge(o)
			if err != nil {
				continue // what is asked for is not there then
			}
			texts := slices.Clone(report.Notes)
			for _, p := range report.Problems {
				texts = append(texts, p.Next)
			}
			for _, u := range report.Unseen {
				texts = append(texts, u.Hint)
			}
			for _, text := range texts {
				if strings.Contains(text.String(), "touch owned") {
					suggestions[text.String()] = true
				}
			}
			if at > 2000 {
				t.Fatalf("%s: no end of texts", name)
			}
		}
	}
	if len(suggestions) < 10 {
		t.Fatalf("%d suggestions have a name in them: %v", len(suggestions), suggestions)
	}
	ran := 0
	for text := range suggestions {
		for _, at := range programs.FindAllStringIndex(text, -1) {
			command, hostile := untilHostileWord(text[at[0]:])
			if !hostile {
				continue
			}
			ran++
			if strings.ContainsAny(command, "\n\x1b") {
				t.Errorf("%q is not one line that can be seen", command)
			}
			if out, made := runStubbed(t, command); made {
				t.Errorf("%q has run what is in a name: %s", command, out)
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d commands were run", ran)
	}
}

// untilHostileWord is a command up to the end of the shell's word that has the hostile name in it, or all of
// it when the name is not inside quotes, so that it has no end to speak of.
func untilHostileWord(text string) (command string, hostile bool) {
	inside := strings.Index(text, "touch owned")
	if inside < 0 {
		return "", false
	}
	if next := programs.FindStringIndex(text[1:]); next != nil && next[0]+1 < inside {
		return "", false // it is another command's
	}
	for i := inside; i < len(text); i++ {
		if text[i] == '\'' && (i+1 == len(text) || strings.ContainsRune(" ,;:)/-=", rune(text[i+1]))) {
			return text[:i+1], true
		}
	}
	return text, true
}

// runStubbed runs a command with stubs for all programs, and says whether anything else happened.
func runStubbed(t *testing.T, command string) (out string, made bool) {
	t.Helper()
	dir, stubs := t.TempDir(), t.TempDir()
	for _, name := range []string{"git", "kubectl", "flux", "helm", "gh", "ssh-keyscan", "ssh-keygen",
		"ssh-add", "eksa-gitops", "date"} {
		if err := os.WriteFile(filepath.Join(stubs, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	touch, err := exec.LookPath("touch")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(touch, filepath.Join(stubs, "touch")); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"sh", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, "-c", command)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + stubs}
		printed, err := cmd.CombinedOutput()
		if err != nil {
			return string(printed) + err.Error(), true
		}
	}
	_, err = os.Stat(filepath.Join(dir, "owned"))
	return "", err == nil
}

// poison puts a hostile name into one text of a value, the one with this number, and says whether there was
// one. What is a command already, made elsewhere, is left alone.
func poison(v reflect.Value, left *int, seen map[uintptr]bool) bool {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return false
		}
		seen[v.Pointer()] = true
		return poison(v.Elem(), left, seen)
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if !v.Type().Field(i).IsExported() || name == "Next" || name == "Resume" {
				continue
			}
			if poison(v.Field(i), left, seen) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if poison(v.Index(i), left, seen) {
				return true
			}
		}
	case reflect.String:
		if !v.CanSet() || v.Len() == 0 {
			return false
		}
		if *left--; *left < 0 {
			v.SetString(v.String() + hostileName)
			return true
		}
	}
	return false
}
