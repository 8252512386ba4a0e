// Package gittest runs real Git servers for tests, the end-to-end stack and the demonstration: Git over
// HTTPS, Git over SSH in process, and a real OpenSSH sshd. All three serve bare repositories on disk through
// the git binary, so what a client sees is what git itself answers. Nothing of the user's git or ssh
// configuration is read or changed.
//
// # Servers and repositories
//
// A [Server] holds repositories and serves them over HTTPS and SSH, both on loopback ports of their own:
//
//	srv := gittest.Start(t)                                   // closed when the test ends
//	repo := srv.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"README.md": "hello\n"}))
//	srv.HTTPSURL("acme/fleet")                                // https://127.0.0.1:PORT/acme/fleet.git
//	srv.SSHURL("acme/fleet")                                  // ssh://git@127.0.0.1:PORT/acme/fleet.git
//	srv.CAPEM(); srv.CAFile()                                 // what a client must trust to verify HTTPS
//	srv.KnownHosts(); srv.KnownHostsFile()                    // what a client must know to verify SSH
//	srv.Accounts().AddToken("s3cret", "alice", gittest.Write) // HTTPS: any user name, password s3cret
//	srv.Accounts().AddKey(key.Public(), "deploy", gittest.Read, "acme/fleet")
//
// Without a testing.T: srv, err := gittest.New(ctx, gittest.Options{}) and srv.Close().
//
// A repository is set up and read directly on disk, past all hooks, permissions and counters:
//
//	sha := repo.Commit(gittest.Change{Branch: "main", Message: "m",
//		Files: map[string]string{"a": "1"}, Delete: []string{"b"}})
//	repo.Head("main"), repo.Files("main"), repo.File("main", "a"), repo.Log("main")
//	repo.Branches(), repo.DefaultBranch()
//	repo.SetHook("pre-receive", "#!/bin/sh\nexit 1\n"), repo.SetConfig("uploadpack.allowFilter", "false")
//	repo.Git("fsck")
//	before := repo.Counts(); ...; repo.Counts().Sub(before)
//	// {Fetches, Pushes, Sessions, BytesSent, BytesReceived}
//
// Set-up and inspection do not return errors: they fail the test given to Start. A server made with New
// panics with an error instead, because such a failure is a mistake in the caller or a machine without git.
//
// # Clients
//
// A [Client] is the plain git command with an isolated configuration and credentials that never appear in its
// arguments; a [WorkTree] is its clone, for changes by "another user":
//
//	c := srv.Client(gittest.Credentials{Username: "alice", Password: "s3cret"}) // or {Key: key}, for SSH
//	w, err := c.Clone(ctx, url, dir); w.Write("a", "2")
//	sha, err := w.Commit(ctx, "scale"); err = w.Push(ctx)
//	out, err := c.Git(ctx, dir, "ls-remote", url) // err is a *CommandError with the command's stderr
//	key := gittest.NewKey(t, gittest.ED25519) // key.PEM, key.AuthorizedKey(), key.Public(), key.File(dir)
//
// # Faults
//
// Faults are switched on and off while the server runs, for one repository or all, for fetches, pushes or
// both, from the nth session and for a number of sessions:
//
//	off := srv.Inject(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Times: 1}); off()
//
// Kinds: [Hang], [Delay], [DropAfter], [LoseReply], [Garbage], [RejectAuth], [FailReport].
// [Server.ChangeHostKeys] gives the server new SSH host keys.
//
// # OpenSSH
//
// [Server.StartOpenSSH] serves the same repositories through a real sshd, one process for each connection,
// with its own configuration, host keys and authorized keys, for the user that runs the test, root or not:
//
//	// root installs it where it is missing
//	ssh, err := srv.StartOpenSSH(ctx, gittest.OpenSSHOptions{AuthorizedKeys: []string{key.AuthorizedKey()}})
//	ssh.URL("acme/fleet"), ssh.KnownHosts(), ssh.User(), ssh.Log(), ssh.Close()
//
// # What it refuses
//
// Listening anywhere but on loopback, paths outside the server's directory, and anything but git-upload-pack
// and git-receive-pack.
package gittest
