package gittest_test

import (
	"context"
	"fmt"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// A repository is served over HTTPS, and another user changes it with a plain git client.
func Example() {
	ctx := context.Background()
	srv, err := gittest.New(ctx, gittest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.Accounts().AddToken("s3cret", "alice", gittest.Write)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"replicas": "1\n"}))

	client := srv.Client(gittest.Credentials{Username: "alice", Password: "s3cret"})
	tree, err := client.Clone(ctx, srv.HTTPSURL("acme/fleet"), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := tree.Write("replicas", "3\n"); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := tree.Commit(ctx, "Scale to three"); err != nil {
		fmt.Println(err)
		return
	}
	if err := tree.Push(ctx); err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(repo.Log("main")[0].Subject())
	fmt.Print(repo.Files("main")["replicas"])
	fmt.Println(repo.Counts().Fetches, repo.Counts().Pushes)
	// Output:
	// Scale to three
	// 3
	// 1 1
}
