// Command genmanifests makes the manifest files of the pinned Flux release that fluxinstall embeds.
//
//	go run ./internal/genmanifests DIR
//
// Flux's release consists of kustomize builds of folders in its modules. The modules come from the Go module proxy, verified by the
// checksum database like any other; no prebuilt file is downloaded. The same versions make the same bytes.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall/internal/release"
)

// controllers are Flux's default components, and folders of manifests/bases in its module.
func controllers() []string {
	return []string{"source-controller", "kustomize-controller", "helm-controller", "notification-controller"}
}

// releaseFile finds, in a base's kustomization, the files of a controller's release and the version they are of.
var releaseFile = regexp.MustCompile(`https://\S+/fluxcd/([a-z-]+)/releases/download/(v[0-9.]+)/([a-z-]+)\.(crds|deployment)\.yaml`)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "genmanifests: one directory is needed")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "genmanifests:", err)
		os.Exit(1)
	}
}

// generate writes the files into dir and, last, a marker with the version, so that a half-made directory is made again.
func generate(dir string) error {
	marker := filepath.Join(dir, release.Marker)
	if have, err := os.ReadFile(marker); err == nil && string(have) == release.Version {
		return nil
	}
	work, err := os.MkdirTemp("", "flux-manifests-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	flux, err := module("github.com/fluxcd/flux2/v2", release.Version)
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, name := range controllers() {
		content, err := controller(work, flux, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files[name+".yaml"] = content
	}
	for _, name := range []string{"rbac", "policies"} {
		content, err := build(filepath.Join(flux, "manifests", name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files[name+".yaml"] = content
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := generateDefault(work, dir, files); err != nil {
		return fmt.Errorf("%s: %w", release.Default, err)
	}
	return os.WriteFile(marker, []byte(release.Version), 0o644)
}

// generateDefault renders the installation with default options ahead of time: nearly every run wants exactly that, and rendering it
// then would take longer than all the rest of a run that finds nothing to do.
func generateDefault(work, dir string, files map[string][]byte) error {
	base := filepath.Join(work, "default")
	if err := os.Mkdir(base, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(base, name), content, 0o644); err != nil {
			return err
		}
	}
	options := install.MakeDefaultOptions()
	options.Version = release.Version
	manifest, err := install.Generate(options, base)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, release.Default), []byte(manifest.Content), 0o644)
}

// controller builds a base of Flux with the controller's own CRDs and Deployment in the place of its release's.
func controller(work, flux, name string) ([]byte, error) {
	base := filepath.Join(work, name)
	if err := os.CopyFS(base, os.DirFS(filepath.Join(flux, "manifests", "bases", name))); err != nil {
		return nil, err
	}
	kustomization := filepath.Join(base, "kustomization.yaml")
	content, err := os.ReadFile(kustomization)
	if err != nil {
		return nil, err
	}
	var problems []error
	replaced := releaseFile.ReplaceAllFunc(content, func(url []byte) []byte {
		parts := releaseFile.FindSubmatch(url)
		folder := map[string]string{"crds": "crd", "deployment": "manager"}[string(parts[4])]
		local, err := releaseContent("github.com/fluxcd/"+string(parts[1]), string(parts[2]), folder)
		if err != nil {
			problems = append(problems, err)
			return url
		}
		file := string(parts[3]) + "." + string(parts[4]) + ".yaml"
		problems = append(problems, os.WriteFile(filepath.Join(base, file), local, 0o644))
		return []byte(file)
	})
	if bytes.Equal(replaced, content) {
		problems = append(problems, errors.New("the base names no release files"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := os.Chmod(kustomization, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(kustomization, replaced, 0o644); err != nil {
		return nil, err
	}
	return build(base)
}

// releaseContent is what a controller's release file holds: the build of config/FOLDER in its module.
func releaseContent(path, version, folder string) ([]byte, error) {
	dir, err := module(path, version)
	if err != nil {
		return nil, err
	}
	return build(filepath.Join(dir, "config", folder))
}

// module downloads a module and returns where its files are.
func module(path, version string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", path+"@"+version)
	// Outside any module, so that no go.mod or go.sum is asked or changed.
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	var result struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(out, &result); decodeErr == nil && result.Error != "" {
		return "", fmt.Errorf("downloading %s@%s: %s", path, version, result.Error)
	}
	if err != nil {
		return "", fmt.Errorf("downloading %s@%s: %w", path, version, err)
	}
	if _, err := os.Stat(result.Dir); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("downloading %s@%s: no files", path, version)
	}
	return result.Dir, nil
}

func build(dir string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", strings.TrimPrefix(dir, os.TempDir()), err)
	}
	return resources.AsYaml()
}
