//go:build unix

package stack_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/eksa-gitops/eksa-gitops/test/stack"
)

// A cluster with a management cluster in it, for a program that is given its
// kubeconfig, and the record of what that program changed.
func Example() {
	ctx := context.Background()
	s, err := stack.Start(ctx, stack.Options{Flux: stack.FluxWhenInstalled, Progress: os.Stderr})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	if err := s.SeedManagementCluster(ctx, managementCluster); err != nil {
		log.Print(err)
		return
	}
	mark, err := s.Mark(ctx)
	if err != nil {
		log.Print(err)
		return
	}

	fmt.Println("run the program with KUBECONFIG=" + s.Kubeconfig())

	requests, err := s.MutatingRequests(ctx, "eksa-gitops/", mark)
	if err != nil {
		log.Print(err)
		return
	}
	for _, request := range requests {
		fmt.Println(request)
	}
}
