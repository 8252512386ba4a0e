package files

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/fluxbuild"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
)

// BuildCluster replaces the objects of a spec by what the directory's own kustomizations make of them, since
// that is what Flux applies. Files outside of the cluster's directory are not read; a kustomization that
// needs them cannot be built here.
func BuildCluster(c *facts.GitCluster, files []string, contents map[string][]byte) {
	own := make(map[string][]byte, len(files))
	for _, file := range files {
		own[file] = contents[file]
	}
	built, err := fluxbuild.Build(Of(own), path.Dir(path.Dir(c.Path)), fluxbuild.Settings{})
	if err == nil && len(built.Unseen) > 0 {
		err = built.Unseen[0]
	}
	if err != nil {
		var cause *fluxbuild.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		c.Objects, c.Broken = nil,
			fmt.Sprintf("its own kustomization cannot be built from the cluster's directory alone: %v",
				text.FirstLine(err.Error()))
		return
	}
	TakeBuilt(c, built)
}

// TakeBuilt replaces the objects by those that were built of the spec and of what lies beside it; with none,
// nothing leads to the spec, and it is judged as it is written.
func TakeBuilt(c *facts.GitCluster, built *fluxbuild.Built) {
	var objects []facts.GitObject
	for _, o := range built.Objects {
		if strings.HasPrefix(o.File, path.Dir(c.Path)+"/") {
			namespace := o.Namespace
			if namespace == "" {
				namespace = "default"
			}
			objects = append(objects,
				facts.GitObject{Kind: o.Kind, Namespace: namespace, Name: o.Name.Name, Fields: o.Fields()})
		}
	}
	if len(objects) > 0 {
		c.Objects = objects
	}
}
