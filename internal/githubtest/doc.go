// Package githubtest is a stateful GitHub for tests, the end-to-end stack and the demonstration: the REST
// API, Git over HTTPS and Git over SSH on loopback ports, over one set of users, organizations, repositories,
// tokens, keys and rules. It answers with GitHub's JSON shapes, status codes, headers and error texts, as its
// REST documentation and its servers give them; Git is served by the real git binary through package gittest.
//
// # Setting up
//
//	gh := githubtest.Start(t)                                   // or New(ctx, Options{}) and Close()
//	gh.AddUser("alice")
//	gh.AddOrg("acme", githubtest.OrgOwner("alice"), githubtest.OrgMember("bob"))
//	repo := gh.AddRepo("acme/fleet", githubtest.Files(map[string]string{"README.md": "hi\n"}),
//		githubtest.Grant("bob", githubtest.Push))
//	token := gh.AddClassicToken("alice", "repo")                // ghp_ and 36 characters
//	token = gh.AddFineGrainedToken("alice", githubtest.FineGrained{
//		Owner: "acme", Repositories: []string{"fleet"},
//		Permissions: githubtest.Permissions{"contents": "write", "administration": "write"}})
//	token = gh.AddInstallationToken("acme", githubtest.Installation{
//		Permissions: githubtest.Permissions{"contents": "write"}})
//	gh.ExpireToken(token, at); gh.RevokeToken(token); gh.AuthorizeSSO(token, "acme")
//	gh.AddSSHKey("alice", authorizedKey); repo.AddDeployKey("flux", authorizedKey, true)
//	repo.Protect("main", githubtest.Protection{RequirePullRequest: true, Approvals: 1, EnforceAdmins: true})
//	repo.AddRuleset(githubtest.Ruleset{Name: "no direct pushes", Branches: []string{"main"},
//		RequirePullRequest: true})
//	repo.Archive(); repo.Rename("fleet2"); repo.Transfer("acme"); repo.RenameBranch("main", "trunk")
//	repo.Block(githubtest.BlockedForTerms); repo.Disable(); repo.DisableKey(id); gh.Suspend("alice")
//
// Nothing is kinder than the original unless a test says so: accounts are on GitHub Free, where private
// repositories have no rules ([Server.SetPlan], [OrgPlan]); an organization's settings are shown to its
// owners only; a repository that the API creates is not found at once ([Server.SetCreationLag]); and version
// 2022-11-28 of the API announces its end ([Server.AnnounceEnd]).
//
// # Pointing a client at it
//
//	gh.RootAPIURL() // https://127.0.0.1:PORT/          github.com's API
//	gh.APIURL()     // https://127.0.0.1:PORT/api/v3/   an enterprise server's, over the same content
//	gh.GitURL()     // https://127.0.0.1:PORT/          add owner/repo.git
//	gh.SSHURL()     // ssh://git@127.0.0.1:SSHPORT/     add owner/repo.git
//	gh.CAPEM(); gh.CAFile(); gh.KnownHosts(); gh.KnownHostsFile(); gh.HTTPClient()
//	gh.GitClient(githubtest.WithToken(token)) // a plain git command, see gittest.Client
//
// # Looking at it
//
//	gh.Repo("acme/fleet")                 // nil when there is none: also what the API created
//	repo.Git()                            // *gittest.Repo: Files, Log, Head, Commit, Counts
//	repo.DeployKeys(); repo.Pulls(); repo.MergePull(1); repo.Private(); repo.Description()
//	mark := gh.Mark()
//	gh.Since(mark)                        // Activity{Requests, Mutations, Fetches, Pushes}
//	gh.Requests(); gh.Mutations()         // the same since the start
//
// # Strictness
//
// A request with an unknown path or method, with an Accept, User-Agent or Content-Type header that GitHub's
// documentation does not allow, or with a query or a body that GitHub's own description of the operation does
// not (see package description), is answered as GitHub would and recorded. [Server.Verify] fails the test and
// lists such requests; a server from Start does so by itself when the test ends. [Server.TakeViolations]
// hands them over to a test that means them.
//
// The answers are held against the same description: of github.com in the version that was asked for, or of
// all enterprise servers. An answer that differs is a mistake of this server, which Verify reports too,
// unless it is among the exceptions in undocumented.go, each with the place where GitHub gives it all the
// same.
//
// # Faults
//
//	off := gh.Break("POST /repos/*/*/keys", githubtest.LoseReply(), githubtest.Times(1))
//	gh.Break("GET /repos/acme/fleet", githubtest.Respond(502, "<html>bad gateway</html>"),
//		githubtest.Skip(1), githubtest.Times(2))
//	gh.Break("* /**", githubtest.SecondaryRateLimit(2*time.Second), githubtest.Times(1))
//
// Effects: [Respond], [RespondWith], [CloseConnection], [LoseReply], [Truncate], [Latency], [RedirectTo],
// [PrimaryRateLimit], [SecondaryRateLimit], [AbuseDetection]; [Times], [Skip] and [Status] modify them. A
// star stands for one segment of the path, two stars for the rest; the path is written without /api/v3.
// [Server.SetCreationLag] says how late new repositories are found, [Server.SetRateLimit] sets the budget
// that real requests use up, and [Server.InjectGit] breaks Git traffic (see gittest.Fault).
//
// # What it refuses
//
// It is no GitHub for production: it knows the endpoints and rules that a bootstrapper needs, and everything
// else is a violation. It imports nothing of the program.
package githubtest
