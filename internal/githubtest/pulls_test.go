package githubtest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-github/v53/github"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest"
	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

func TestBranchesAndContents(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.SetPlan("acme", githubtest.PlanPaid)
	gh.AddRepo("acme/empty")
	repo := gh.AddRepo("acme/fleet",
		githubtest.Files(map[string]string{"a/b.txt": strings.Repeat("hello ", 30), "c": "1"}),
		githubtest.Grant("bob", githubtest.Push))
	repo.Git().Commit(gittest.Change{Branch: "topic/one", Message: "Second",
		Files: map[string]string{"c": "2"}})
	repo.Protect("main", githubtest.Protection{RequirePullRequest: true, Approvals: 2, EnforceAdmins: true,
		StatusChecks: []string{"ci"}})
	repo.AddRuleset(githubtest.Ruleset{Name: "r", Branches: []string{"topic/*"}, RequirePullRequest: true,
		Approvals: 1, BlockForcePushes: true})
	repo.AddRuleset(githubtest.Ruleset{Name: "off", Branches: []string{"~ALL"}, RequirePullRequest: true,
		Enforcement: "evaluate"})
	c := client(t, gh, gh.AddClassicToken("alice", "repo"))

	branches, _, err := c.Repositories.ListBranches(ctx, "acme", "fleet", nil)
	ok(t, err)
	if len(branches) != 2 || branches[0].GetName() != "main" || !branches[0].GetProtected() ||
		!branches[1].GetProtected() {
		t.Errorf("branches %v", branches)
	}
	b, _, err := c.Repositories.GetBranch(ctx, "acme", "fleet", "topic/one", false)
	ok(t, err)
	if b.GetName() != "topic/one" || b.GetCommit().GetSHA() != repo.Git().Head("topic/one") ||
		b.GetCommit().GetCommit().GetMessage() != "Second" {
		t.Errorf("branch %v", b)
	}
	_, _, err = c.Repositories.GetBranch(ctx, "acme", "fleet", "none", false)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a branch that is not there: %v", err)
	}
	p, _, err := c.Repositories.GetBranchProtection(ctx, "acme", "fleet", "main")
	ok(t, err)
	if p.GetRequiredPullRequestReviews().RequiredApprovingReviewCount != 2 || !p.GetEnforceAdmins().Enabled ||
		p.GetRequiredStatusChecks().Contexts[0] != "ci" || p.GetAllowForcePushes().Enabled {
		t.Errorf("protection %v", p)
	}
	if _, _, err := c.Repositories.GetBranchProtection(ctx, "acme", "fleet", "topic/one"); !errors.Is(err,
		github.ErrBranchNotProtected) {
		t.Errorf("no protection: %v", err)
	}
	_, _, err = client(t, gh, gh.AddClassicToken("bob", "repo")).Repositories.GetBranchProtection(ctx, "acme",
		"fleet", "main")
	refused(t, err, 404, "Not Found")
	rules, _, err := c.Repositories.GetRulesForBranch(ctx, "acme", "fleet", "topic/one")
	ok(t, err)
	if len(rules) != 2 || rules[0].Type != "non_fast_forward" || rules[1].Type != "pull_request" ||
		!strings.Contains(string(*rules[1].Parameters), `"required_approving_review_count":1`) {
		t.Errorf("rules %+v", rules)
	}
	none, _, err := c.Repositories.GetRulesForBranch(ctx, "acme", "fleet", "main")
	ok(t, err)
	if len(none) != 0 {
		t.Errorf("rules %+v", none)
	}
	file, _, _, err := c.Repositories.GetContents(ctx, "acme", "fleet", "a/b.txt", nil)
	ok(t, err)
	if text, err := file.GetContent(); err != nil || text != strings.Repeat("hello ", 30) ||
		file.GetPath() != "a/b.txt" {
		t.Errorf("file %v %v", file, err)
	}
	_, dir, _, err := c.Repositories.GetContents(ctx, "acme", "fleet", "",
		&github.RepositoryContentGetOptions{Ref: "topic/one"})
	ok(t, err)
	if len(dir) != 1 || dir[0].GetName() != "c" {
		t.Errorf("directory %v", dir)
	}
	_, _, _, err = c.Repositories.GetContents(ctx, "acme", "fleet", "none", nil)
	refused(t, err, 404, "Not Found")
	_, _, _, err = c.Repositories.GetContents(ctx, "acme", "empty", "a", nil)
	refused(t, err, 404, "This repository is empty.")
	ref, _, err := c.Git.GetRef(ctx, "acme", "fleet", "heads/main")
	ok(t, err)
	if ref.GetObject().GetSHA() != repo.Git().Head("main") || ref.GetRef() != "refs/heads/main" {
		t.Errorf("ref %v", ref)
	}
	_, _, err = c.Git.GetRef(ctx, "acme", "empty", "heads/main")
	refused(t, err, 409, "Git Repository is empty.")
	commits, _, err := c.Repositories.ListCommits(ctx, "acme", "fleet",
		&github.CommitsListOptions{SHA: "topic/one", Path: "c"})
	ok(t, err)
	if len(commits) != 1 || commits[0].GetCommit().GetMessage() != "Second" {
		t.Errorf("commits %v", commits)
	}
	commit, _, err := c.Repositories.GetCommit(ctx, "acme", "fleet", "topic/one", nil)
	ok(t, err)
	if len(commit.Files) != 1 || commit.Files[0].GetFilename() != "c" {
		t.Errorf("commit %v", commit)
	}
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	gh, ctx := world(t), t.Context()
	gh.SetPlan("acme", githubtest.PlanPaid)
	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"a": "1"}),
		githubtest.Grant("bob", githubtest.Push))
	base := repo.Git().Head("main")
	for _, b := range []string{"one", "two"} {
		repo.Git().Git("update-ref", "refs/heads/"+b, base)
		repo.Git().Commit(gittest.Change{Branch: b, Message: b, Files: map[string]string{b: "1"}})
	}
	repo.Git().Git("update-ref", "refs/heads/same", base)
	c := client(t, gh, gh.AddClassicToken("bob", "repo"))
	open := func(head string) (*github.PullRequest, error) {
		p, _, err := c.PullRequests.Create(ctx, "acme", "fleet", &github.NewPullRequest{
			Title: github.String("T"), Head: github.String(head), Base: github.String("main"),
			Body: github.String("B")})
		return p, err
	}
	p, err := open("one")
	ok(t, err)
	if p.GetNumber() != 1 || p.GetState() != "open" || p.GetHead().GetRef() != "one" ||
		p.GetUser().GetLogin() != "bob" || !p.GetMergeable() || p.GetMergeableState() != "clean" {
		t.Errorf("pull request %v", p)
	}
	_, err = open("acme:one")
	refused(t, err, 422, "Validation Failed", github.Error{Resource: "PullRequest", Code: "custom",
		Message: "A pull request already exists for acme:one."})
	_, err = open("same")
	refused(t, err, 422, "Validation Failed",
		github.Error{Resource: "PullRequest", Code: "custom", Message: "No commits between main and same"})
	_, err = open("none")
	refused(t, err, 422, "Validation Failed",
		github.Error{Resource: "PullRequest", Code: "invalid", Field: "head"})
	_, err = open("two")
	ok(t, err)
	list, _, err := c.PullRequests.List(ctx, "acme", "fleet",
		&github.PullRequestListOptions{Head: "acme:one", Base: "main"})
	ok(t, err)
	if len(list) != 1 || list[0].GetNumber() != 1 {
		t.Errorf("list %v", list)
	}
	repo.Protect("main", githubtest.Protection{RequirePullRequest: true, Approvals: 1})
	_, _, err = c.PullRequests.Merge(ctx, "acme", "fleet", 1, "", nil)
	refused(t, err, 405, "At least 1 approving review is required by reviewers with write access.")
	blocked, _, err := c.PullRequests.Get(ctx, "acme", "fleet", 1)
	ok(t, err)
	if blocked.GetMergeableState() != "blocked" {
		t.Errorf("state %q", blocked.GetMergeableState())
	}
	sha := repo.MergePull(1)
	merged, _, err := c.PullRequests.Get(ctx, "acme", "fleet", 1)
	ok(t, err)
	if !merged.GetMerged() || merged.GetMergeCommitSHA() != sha || repo.Git().Head("main") != sha ||
		merged.GetState() != "closed" {
		t.Errorf("merged %v", merged)
	}
	repo.Unprotect("main")
	_, _, err = c.PullRequests.Merge(ctx, "acme", "fleet", 2, "", &github.PullRequestOptions{SHA: base})
	refused(t, err, 409, "Head branch was modified. Review and try the merge again.")
	result, _, err := c.PullRequests.Merge(ctx, "acme", "fleet", 2, "",
		&github.PullRequestOptions{MergeMethod: "squash"})
	ok(t, err)
	if !result.GetMerged() || repo.Git().Log("main")[0].Subject() != "T (#2)" ||
		len(repo.Git().Files("main")) != 3 {
		t.Errorf("result %v, files %v", result, repo.Git().Paths("main"))
	}
	_, err = c.Git.DeleteRef(ctx, "acme", "fleet", "heads/two")
	ok(t, err)
	_, _, err = c.PullRequests.Merge(ctx, "acme", "fleet", 2, "", nil)
	refused(t, err, 405, "Pull Request is not mergeable")
	is, _, err := c.PullRequests.IsMerged(ctx, "acme", "fleet", 2)
	ok(t, err)
	if !is {
		t.Error("not merged")
	}
}
