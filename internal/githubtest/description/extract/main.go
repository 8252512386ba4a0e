// Command extract records what package description embeds: of GitHub's descriptions of its REST API, in the
// npm package @octokit/openapi, the operations that the test GitHub serves. To renew them, in the root of the
// repository:
//
//	npm pack @octokit/openapi && tar -xzf octokit-openapi-*.tgz
//	go run ./internal/githubtest/description/extract package internal/githubtest/description
//
// The same package makes the same bytes. What is recorded are facts: names, types and what is required,
// without prose and examples.
package main

import (
	"fmt"
	"os"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr,
			"extract: two directories are needed, the unpacked npm package and where to write")
		return 2
	}
	if err := extract(args[0], args[1], githubtest.Operations()); err != nil {
		fmt.Fprintln(os.Stderr, "extract:", err)
		return 1
	}
	return 0
}
