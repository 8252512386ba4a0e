package github_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// A bootstrapper looks at what it may do, then makes the repository and gives the cluster its key. Doing it
// again changes nothing.
func Example() {
	ctx := context.Background()
	server, err := githubtest.New(ctx, githubtest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.AddOrg("acme", githubtest.OrgOwner("alice"))

	client, err := github.New(github.Options{
		APIURL:    server.APIURL(), // empty for github.com
		CAPEM:     server.CAPEM(),
		Token:     secret.New(server.AddClassicToken("alice", "repo")),
		UserAgent: "example/1.0",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fleet := github.RepoRef{Owner: "acme", Name: "fleet"}
	access, err := client.CheckAccess(ctx,
		github.AccessRequest{Ref: fleet, Branch: "main", NeedDeployKey: true})
	if err != nil || !access.OK() {
		fmt.Println(err, access)
		return
	}
	fmt.Println("token of", access.Viewer.Login, "may go on; repository exists:", access.Repository != nil)

	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtHGLqVp8wtZr8mGtGpFQMxAXEmRAdgDTtkSFzjQvh8"
	for range 2 {
		repository, created, err := client.EnsureRepository(ctx,
			github.NewRepository{Ref: fleet, Private: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		registered, err := client.EnsureDeployKey(ctx, fleet,
			github.DeployKey{Title: "eksa-gitops mgmt/flux-system", PublicKey: key, ReadOnly: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(repository.Ref, "created:", created, "key registered:", registered)
	}
	// Output:
	// token of alice may go on; repository exists: false
	// acme/fleet created: true key registered: true
	// acme/fleet created: false key registered: false
}

// Failures have a class, name what is missing and say what to do about it.
func ExampleError() {
	ctx := context.Background()
	server, err := githubtest.New(ctx, githubtest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.AddUser("alice")
	server.AddRepo("alice/fleet")
	token := server.AddFineGrainedToken("alice",
		githubtest.FineGrained{Permissions: githubtest.Permissions{"contents": "write"}})
	client, err := github.New(github.Options{APIURL: server.APIURL(), CAPEM: server.CAPEM(),
		Token: secret.New(token)})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.DeployKeys(ctx, github.RepoRef{Owner: "alice", Name: "fleet"})
	var failure *github.Error
	if errors.Is(err, github.ErrPermission) && errors.As(err, &failure) {
		fmt.Println("error:", strings.Replace(failure.Error(), "): ", "):\n", 1))
		fmt.Println("hint:", failure.Hint())
	}
	// Output:
	// error: reading the deploy keys of alice/fleet: permission denied (HTTP 403):
	// Resource not accessible by personal access token
	// hint: the token in EKSA_GITHUB_TOKEN needs "Administration: write"
}
