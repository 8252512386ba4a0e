// Command eksa-gitops turns an EKS Anywhere cluster file into a cluster managed through Git.
package main

import (
	"os"

	"github.com/eksa-gitops/eksa-gitops/internal/cli"
)

func main() { os.Exit(cli.Main()) }
