// Command genmanifests makes the manifest files of the pinned Flux release that fluxmanifests embeds.
//
//	go run ./internal/genmanifests DIR
//
// Flux's release consists of kustomize builds of folders in its modules. The modules come from the Go module
// proxy, verified by the checksum database like any other; no prebuilt file is downloaded. The same versions
// make the same bytes. A directory that holds them already is left as it is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "genmanifests: one directory is needed")
		return 2
	}
	if err := update(ctx, args[0]); err != nil {
		fmt.Fprintln(os.Stderr, "genmanifests:", err)
		return 1
	}
	return 0
}
