package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/gitrepo"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
	"github.com/eksa-gitops/eksa-gitops/pkg/git"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// A file is changed in a repository on a server, and whoever pushes at the same time loses nothing.
func Example() {
	ctx := context.Background()
	srv, err := gittest.New(ctx, gittest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.Accounts().AddToken("t0ken", "alice", gittest.Write)
	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"replicas": "1\n"}))

	remote := gitrepo.Remote{URL: srv.HTTPSURL("acme/fleet"), CAPEM: srv.CAPEM(),
		Auth: gitrepo.TokenAuth{Token: secret.New("t0ken")}}
	change := func() error {
		snapshot, err := gitrepo.Fetch(ctx, remote, "main")
		if err != nil {
			return err
		}
		defer snapshot.Close()
		commit, err := snapshot.Commit([]git.Edit{{Path: "replicas", Content: []byte("3\n")}},
			git.CommitOptions{
				Message: "Scale to three", Author: git.Identity{Name: "Alice", Email: "alice@example.com"},
				When: time.Unix(1_700_000_000, 0).UTC(),
			})
		if err != nil {
			return err
		}
		return snapshot.Push(ctx, commit)
	}
	err = change()
	for errors.As(err, new(*git.ConflictError)) {
		err = change()
	}
	fmt.Println(err, errors.Is(change(), git.ErrNoChange))
	fmt.Print(repo.Files("main")["replicas"])
	// Output:
	// <nil> true
	// 3
}
