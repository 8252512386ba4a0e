package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
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

	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests/internal/release"
)

// recipe is this file: files that an older recipe made are made again.
//
//go:embed generate.go
var recipe []byte

// controllers are Flux's default components, and folders of manifests/bases in its module.
func controllers() []string {
	return []string{"source-controller", "kustomize-controller", "helm-controller", "notification-controller"}
}

// releaseFile finds, in a base's kustomization, the files of a controller's release and the version they are
// of.
var releaseFile = regexp.MustCompile(
	`https://\S+/fluxcd/([a-z-]+)/releases/download/(v[0-9.]+)/([a-z-]+)\.(crds|deployment)\.yaml`)

// update makes the files in dir unless they are there. The marker, whose first line is the version, is taken
// away first and put back last, so that a half-made directory is known as one.
func update(ctx context.Context, dir string) error {
	marker := filepath.Join(dir, release.Marker)
	mark := fmt.Appendf(nil, "%s\n%x\n", release.Version, sha256.Sum256(recipe))
	if have, err := os.ReadFile(marker); err == nil && bytes.Equal(have, mark) {
		return nil
	}
	files, err := generate(ctx)
	if err != nil {
		return err
	}
	if err := os.Remove(marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, content := range files {
		if err := write(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return write(marker, mark)
}

// write replaces a file in one step, so that a build that runs at the same time sees the old or the new one.
func write(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// generate returns the files that Flux's generator reads, by name, and the installation with default options.
func generate(ctx context.Context) (files map[string][]byte, err error) {
	work, err := os.MkdirTemp("", "flux-manifests-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	// The generator resolves paths; a temporary directory may be reached through a link (as on macOS).
	if work, err = filepath.EvalSymlinks(work); err != nil {
		return nil, err
	}
	flux, err := module(ctx, work, "github.com/fluxcd/flux2/v2", release.Version)
	if err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for _, name := range controllers() {
		if files[name+".yaml"], err = controller(ctx, work, flux, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range []string{"rbac", "policies"} {
		if files[name+".yaml"], err = build(filepath.Join(flux, "manifests", name)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if files[release.Default], err = defaultInstallation(work, files); err != nil {
		return nil, fmt.Errorf("%s: %w", release.Default, err)
	}
	return files, nil
}

// defaultInstallation renders the installation with default options ahead of time: nearly every run wants
// exactly that, and rendering it then would take longer than all the rest of a run that finds nothing to do.
func defaultInstallation(work string, files map[string][]byte) ([]byte, error) {
	base := filepath.Join(work, "default")
	if err := os.Mkdir(base, 0o755); err != nil {
		return nil, err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(base, name), content, 0o644); err != nil {
			return nil, err
		}
	}
	options := install.MakeDefaultOptions()
	options.Version = release.Version
	manifest, err := install.Generate(options, base)
	if err != nil {
		return nil, err
	}
	return []byte(manifest.Content), nil
}

// controller builds a base of Flux with the controller's own CRDs and Deployment in the place of its
// release's.
func controller(ctx context.Context, work, flux, name string) ([]byte, error) {
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
		local, err := releaseContent(ctx, work, "github.com/fluxcd/"+string(parts[1]),
			string(parts[2]), folder)
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
	if err := os.WriteFile(kustomization, replaced, 0o644); err != nil {
		return nil, err
	}
	return build(base)
}

// releaseContent is what a controller's release file holds: the build of config/FOLDER in its module.
func releaseContent(ctx context.Context, work, path, version, folder string) ([]byte, error) {
	dir, err := module(ctx, work, path, version)
	if err != nil {
		return nil, err
	}
	return build(filepath.Join(dir, "config", folder))
}

// module downloads a module, as the user's go command is configured to, and returns where its files are.
func module(ctx context.Context, work, path, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path+"@"+version)
	// Outside any module, so that no go.mod or go.sum is asked or changed.
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS="+withoutModuleFlags(os.Getenv("GOFLAGS")))
	out, err := cmd.Output()
	var result struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(out, &result); decodeErr == nil && result.Error != "" {
		return "", fmt.Errorf("downloading %s@%s: %s", path, version, result.Error)
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return "", fmt.Errorf("downloading %s@%s: %w", path, version, err)
	}
	if _, err := os.Stat(result.Dir); err != nil {
		return "", fmt.Errorf("downloading %s@%s: %w", path, version, err)
	}
	return result.Dir, nil
}

// withoutModuleFlags takes out the flags that speak of the module a command runs in.
func withoutModuleFlags(flags string) string {
	var kept []string
	for _, flag := range strings.Fields(flags) {
		name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		if name != "mod" && name != "modfile" {
			kept = append(kept, flag)
		}
	}
	return strings.Join(kept, " ")
}

func build(dir string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", filepath.Base(dir), err)
	}
	return resources.AsYaml()
}
