package githubtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
)

// A client creates a repository; the server shows what it got, and what the client did.
func Example() {
	ctx := context.Background()
	gh, err := githubtest.New(ctx, githubtest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gh.Close()
	gh.AddUser("alice")
	token := gh.AddClassicToken("alice", "repo")

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gh.APIURL()+"user/repos",
		strings.NewReader(`{"name":"fleet","private":true}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "example")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := gh.HTTPClient().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	fmt.Println(resp.Status, resp.Header.Get("X-OAuth-Scopes"))
	fmt.Println(gh.Repo("alice/fleet").Private(), gh.Repo("alice/fleet").Git().Branches())
	fmt.Println(gh.Mutations())
	fmt.Println(len(gh.TakeViolations()))
	// Output:
	// 201 Created repo
	// true []
	// [POST /user/repos 201]
	// 0
}
