package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// changesKey is where a description of the oldest version of the API says what newer ones break: a list of
// {version, patch}.
const changesKey = "x-github-breaking-changes"

// newerVersions are the versions for which a description has patches.
func newerVersions(whole object) []string {
	var versions []string
	walk(whole, func(o object) {
		for _, c := range changes(o) {
			if !slices.Contains(versions, c.version) {
				versions = append(versions, c.version)
			}
		}
	})
	slices.Sort(versions)
	return versions
}

type change struct {
	version string
	patch   any
}

func changes(o object) (list []change) {
	all, _ := o[changesKey].([]any)
	for _, entry := range all {
		e, _ := entry.(object)
		version, _ := e["version"].(string)
		list = append(list, change{version, e["patch"]})
	}
	return list
}

func walk(value any, do func(object)) {
	switch v := value.(type) {
	case object:
		do(v)
		for key, child := range v {
			if key != changesKey {
				walk(child, do)
			}
		}
	case []any:
		for _, child := range v {
			walk(child, do)
		}
	}
}

// patched is the description as it is in a version: with the patches of all versions up to it, each a JSON
// merge patch (RFC 7386) or a list of JSON Patch operations (RFC 6902).
func patched(whole object, version string) object {
	fresh, _ := copied(whole).(object)
	walk(fresh, func(o object) {
		for _, c := range changes(o) {
			if c.version > version {
				continue
			}
			if steps, list := c.patch.([]any); list {
				for _, step := range steps {
					apply(o, step)
				}
			} else if patch, ok := copied(c.patch).(object); ok {
				merge(o, patch)
			}
		}
	})
	return fresh
}

func copied(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // it came from JSON
	}
	var fresh any
	if err := json.Unmarshal(text, &fresh); err != nil {
		panic(err)
	}
	return fresh
}

func merge(target, patch object) {
	for key, value := range patch {
		inner, isObject := value.(object)
		switch have, there := target[key].(object); {
		case value == nil:
			delete(target, key)
		case isObject && there:
			merge(have, inner)
		default:
			target[key] = value
		}
	}
}

// apply carries out one operation of JSON Patch. Of those, GitHub uses these two.
func apply(target object, step any) {
	s, _ := step.(object)
	op, _ := s["op"].(string)
	path, _ := s["path"].(string)
	keys := strings.Split(strings.TrimPrefix(path, "/"), "/")
	set := func(o object, key string) {
		switch op {
		case "remove":
			delete(o, key)
		case "replace":
			o[key] = s["value"]
		default:
			panic(fmt.Sprintf("no such operation is known: %q", op))
		}
	}
	var parent any = target
	for i, key := range keys {
		o, ok := parent.(object)
		if !ok {
			return // an earlier patch has taken it away
		}
		if list, ok := o[key].([]any); ok && i == len(keys)-2 {
			n, err := strconv.Atoi(keys[i+1])
			if err != nil || n >= len(list) || op != "remove" {
				panic(fmt.Sprintf("cannot %s %s", op, path))
			}
			o[key] = slices.Delete(list, n, n+1)
			return
		}
		if i == len(keys)-1 {
			set(o, key)
			return
		}
		parent = o[key]
	}
}
