package e2e_test

import (
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eksa-gitops/eksa-gitops/internal/gittest"
)

// secretEntry is an entry of the Secret that Flux reads Git with.
func secretEntry(t testing.TB, key string) string {
	t.Helper()
	encoded, _ := at(t, object(t, "", "v1", "Secret", "flux-system", "flux-system"), "data", key).(string)
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(decoded)
}

// The user documentation's part about any Git source, from an empty repository to a change that is pushed
// with plain git.
func TestCreate_openSSH(t *testing.T) {
	w := newSSHWorld(t)
	repo := w.git.AddRepo("acme/fleet")

	first := w.run("create", "cluster", "-f", "mgmt.yaml").exits(0)
	first.prints("Cluster mgmt is managed through Git.", w.ssh.URL("acme/fleet"), "Next:")
	first.tells("Flux gets your own private key, which may push", "--cluster-private-key FILE")
	if got := repo.Paths("main"); !slices.Equal(got, managementFiles) {
		t.Errorf("files in the repository: %v, want %v", got, managementFiles)
	}
	if log := repo.Log("main"); len(log) != 1 {
		t.Errorf("log: %+v, want one commit", log)
	}
	if got := secretEntry(t, "known_hosts"); got != w.ssh.KnownHosts() {
		t.Errorf("known_hosts of the Secret is %q, want %q", got, w.ssh.KnownHosts())
	}
	if got := strings.TrimSpace(secretEntry(t, "identity.pub")); got != w.operator.AuthorizedKey() {
		t.Errorf("identity.pub of the Secret is %q, want the operator's key %q",
			got, w.operator.AuthorizedKey())
	}
	source := object(t, "source.toolkit.fluxcd.io", "v1", "GitRepository", "flux-system", "flux-system")
	if url := at(t, source, "spec", "url"); url != w.ssh.URL("acme/fleet") {
		t.Errorf("Flux reads %v", url)
	}
	kustomization := object(t, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "flux-system",
		"flux-system")
	if applied := at(t, kustomization, "status", "lastAppliedRevision"); applied != "main@sha1:"+
		repo.Head("main") {
		t.Errorf("Flux has applied %v, want %s", applied, repo.Head("main"))
	}

	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints(
		"Nothing to do: cluster mgmt is managed through Git.")
	before.writesNothing()

	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev is managed through Git.")
	before = w.mark()
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()

	clone, err := w.ssh.Client(gittest.Credentials{Key: w.operator}).Clone(t.Context(),
		w.ssh.URL("acme/fleet"), filepath.Join(t.TempDir(), "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	path := "clusters/mgmt/dev/eksa-system/eksa-cluster.yaml"
	clone.Write(path,
		strings.Replace(repo.Files("main")[path], "count: 1   # scaled", "count: 3   # scaled", 1))
	if _, err := clone.Commit(t.Context(), "Scale dev to three workers"); err != nil {
		t.Fatal(err)
	}
	if err := clone.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	requestReconcile(t)
	waitFor(t, clusterObject(t, "dev"), "three workers", func(u *unstructured.Unstructured) bool {
		return at(t, u, "spec", "workerNodeGroupConfigurations", 0, "count") == int64(3)
	})

	// A key of the cluster's own takes the place of the operator's, and stays when the next run does not name
	// it.
	w.run("create", "cluster", "-f", "mgmt.yaml", "--cluster-private-key", w.clusterFile).exits(0)
	if got := strings.TrimSpace(secretEntry(t, "identity.pub")); got != w.cluster.AuthorizedKey() {
		t.Errorf("identity.pub of the Secret is %q, want the cluster's own key %q",
			got, w.cluster.AuthorizedKey())
	}
	before = w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
}

// The key that somebody chose for the cluster stays while the server refuses it for a minute, and while it
// cannot be read: the operator's own, which may push, takes its place only when a person says so.
func TestCreate_openSSHKeepsClusterKey(t *testing.T) {
	w := newSSHWorld(t)
	w.git.AddRepo("acme/fleet")
	w.run("create", "cluster", "-f", "mgmt.yaml", "--cluster-private-key", w.clusterFile).exits(0)
	holds := func(when string) {
		t.Helper()
		if got := strings.TrimSpace(secretEntry(t, "identity.pub")); got != w.cluster.AuthorizedKey() {
			t.Errorf("%s: identity.pub of the Secret is %q, want the cluster's own key %q",
				when, got, w.cluster.AuthorizedKey())
		}
	}
	ready := func(want string) {
		t.Helper()
		requestReconcile(t)
		waitFor(t, reference("source.toolkit.fluxcd.io", "v1", "GitRepository", "flux-system", "flux-system"),
			"Ready is "+want, func(u *unstructured.Unstructured) bool {
				return conditionOf(u, "Ready") == want
			})
	}

	w.ssh.SetAuthorizedKeys(w.operator.AuthorizedKey())
	ready("False")
	for _, command := range []string{"create", "upgrade"} {
		w.run(command, "cluster", "-f", "mgmt.yaml", "--dry-run").tells("its key (SHA256:",
			"--cluster-private-key FILE")
		w.run(command, "cluster", "-f", "mgmt.yaml", "--flux-timeout", "3s").tells("its key (SHA256:",
			"is kept, since that may be temporary", "--cluster-private-key FILE")
		holds(command + " while the server refuses")
	}
	w.ssh.SetAuthorizedKeys(w.operator.AuthorizedKey(),
		`environment="GITTEST_ACCESS=read" `+w.cluster.AuthorizedKey())
	ready("True")
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")

	// What is in the Secret cannot be read any more.
	patch(t, reference("", "v1", "Secret", "flux-system", "flux-system"),
		`{"stringData":{"identity":"unreadable"}}`)
	for _, command := range []string{"create", "upgrade"} {
		w.run(command, "cluster", "-f", "mgmt.yaml").exits(3).
			tells("Secret flux-system/flux-system contains a private key that cannot be read",
				"eksa-gitops does not replace it by itself", "--cluster-private-key FILE",
				"nothing has been changed")
	}
	w.run("status").exits(5).prints("it contains a private key that cannot be read")
	before.writesNothing()
	w.run("create", "cluster", "-f", "mgmt.yaml", "--cluster-private-key", w.clusterFile).exits(0)
	holds("after a person's word")
}

// What is wrong with the way to the server is found before anything is written, and said with what to do.
func TestCreate_openSSHRefusals(t *testing.T) {
	w := newSSHWorld(t)
	repo := w.git.AddRepo("acme/fleet", gittest.WithFiles(map[string]string{"README.md": "fleet\n"}))
	head := repo.Head("main")
	stranger := gittest.NewKey(t, gittest.ECDSA256)
	strangerFile, err := stranger.File(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other := gittest.NewKey(t, gittest.ED25519)
	host := strings.Fields(w.ssh.KnownHosts())[0]
	for _, tc := range []struct {
		name  string
		setUp func()
		args  []string
		code  int
		tells []string
	}{
		{"a key that may only read", func() { w.env["EKSA_GIT_PRIVATE_KEY"] = w.clusterFile }, nil, 4,
			[]string{"asking to push to the repository", gittest.ReadOnlyKey}},
		{"a key that the server does not know", func() { w.env["EKSA_GIT_PRIVATE_KEY"] = strangerFile }, nil,
			4, []string{"reading the repository", stranger.Fingerprint()}},
		{"a cluster key that the server does not know", func() {},
			[]string{"--cluster-private-key", strangerFile}, 4,
			[]string{"reading the repository with the cluster's private key", stranger.Fingerprint()}},
		{"an unknown host", func() { w.know("git.example.com " + other.AuthorizedKey() + "\n") }, nil, 4,
			[]string{"is not known", "SHA256:", "ssh-keyscan -p "}},
		{"another host key", func() { w.know(host + " " + other.AuthorizedKey() + "\n") }, nil, 4,
			[]string{"is not the one in", other.Fingerprint(), w.knownHosts + ":1", "ssh-keyscan -p "}},
		{"no such repository", func() {
			w.write("mgmt.yaml", strings.ReplaceAll(w.spec("mgmt.yaml"), "acme/fleet", "acme/other"))
		},
			nil, 3, []string{"Repository not found"}},
		{"another algorithm", func() {
			w.write("mgmt.yaml",
				strings.Replace(w.spec("mgmt.yaml"), "sshKeyAlgorithm: ecdsa", "sshKeyAlgorithm: rsa", 1))
		}, nil, 3, []string{"sshKeyAlgorithm is rsa", "is of algorithm ecdsa"}},
		{"https", func() {
			w.write("mgmt.yaml", strings.Replace(w.spec("mgmt.yaml"), w.ssh.URL("acme/fleet"),
				"https://git.example.com/acme/fleet.git", 1))
		}, nil, 3, []string{"over SSH only", "ssh://git@git.example.com/acme/fleet.git"}},
		{"no known hosts and no key",
			func() { delete(w.env, "EKSA_GIT_PRIVATE_KEY"); delete(w.env, "EKSA_GIT_KNOWN_HOSTS") }, nil, 4,
			[]string{"EKSA_GIT_KNOWN_HOSTS is not set",
				"neither EKSA_GIT_PRIVATE_KEY nor SSH_AUTH_SOCK is set"}},
	} {
		env := w.env
		w.env = map[string]string{}
		for name, value := range env {
			w.env[name] = value
		}
		tc.setUp()
		before := w.mark()
		w.run(append([]string{"create", "cluster", "-f", "mgmt.yaml"}, tc.args...)...).exits(tc.code).tells(
			append(tc.tells, "nothing has been changed")...)
		before.writesNothing()
		if got := repo.Head("main"); got != head {
			t.Errorf("%s: main is at %s", tc.name, got)
		}
		w.env = env
		w.know(w.ssh.KnownHosts())
		w.write("mgmt.yaml", w.spec("mgmt.yaml"))
	}
	if log := w.ssh.Log(); strings.Contains(log, "error:") {
		t.Errorf("sshd complains:\n%s", log)
	}
}

// A hook that refuses the push is a failure of GitOps: the server's own words, once, and creation goes on.
func TestCreate_openSSHHookRefuses(t *testing.T) {
	w := newSSHWorld(t)
	repo := w.git.AddRepo("acme/fleet")
	repo.SetHook("pre-receive", "#!/bin/sh\necho 'only the fleet team may push to main' >&2\nexit 1\n")
	out := w.run("create", "cluster", "-f", "mgmt.yaml").exits(4).tells("GitOps is NOT enabled",
		"continue with: eksa-gitops create cluster -f mgmt.yaml")
	if n := strings.Count(out.stderr, "only the fleet team may push to main"); n != 1 {
		t.Errorf("the hook's words are shown %d times:\n%s", n, out.stderr)
	}
	w.run("create", "cluster", "-f", "mgmt.yaml", "--on-gitops-failure=continue").exits(0)
	repo.SetHook("pre-receive", "#!/bin/sh\nexit 0\n")
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
}

// What a certificate authority vouches for here, it vouches for in the cluster, too; so do hashed names and
// patterns.
func TestCreate_openSSHKnownHostsInTheCluster(t *testing.T) {
	authority := gittest.NewKey(t, gittest.ECDSA256)
	w := newSSHWorldWith(t, gittest.OpenSSHOptions{HostAuthority: authority.Signer()})
	w.git.AddRepo("acme/fleet")
	w.know("@cert-authority [127.0.0.*]:* " + authority.AuthorizedKey() + "\n")
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
}

// A locked key: its passphrase comes from the environment, or is asked for on a terminal; the cluster gets
// the key unlocked, since Flux reads not every form of locked ones. An agent signs for the operator, and the
// cluster keeps the key it has.
func TestCreate_openSSHLockedKeyAndAgent(t *testing.T) {
	w := newSSHWorld(t)
	w.git.AddRepo("acme/fleet")
	locked, err := gittest.GenerateKey(gittest.ECDSA256, testPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	lockedFile, err := locked.File(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.ssh.SetAuthorizedKeys(w.operator.AuthorizedKey(), locked.AuthorizedKey())
	w.env["EKSA_GIT_PRIVATE_KEY"] = lockedFile

	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(4).tells("is protected by a passphrase",
		"EKSA_GIT_SSH_KEY_PASSPHRASE", "nothing has been changed")
	w.env["EKSA_GIT_SSH_KEY_PASSPHRASE"] = "wrong"
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(4).tells("is wrong", "ssh-keygen -y -f "+lockedFile)
	delete(w.env, "EKSA_GIT_SSH_KEY_PASSPHRASE")
	agent := w.startAgent(w.operatorFile)
	delete(w.env, "EKSA_GIT_PRIVATE_KEY")
	w.env["SSH_AUTH_SOCK"] = agent
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(4).tells("Flux needs a private key",
		"--cluster-private-key FILE")
	before.writesNothing()

	delete(w.env, "SSH_AUTH_SOCK")
	w.env["EKSA_GIT_PRIVATE_KEY"] = lockedFile
	w.runOnTerminal(130, "Passphrase for "+lockedFile+":", "half\x03", "create", "cluster", "-f", "mgmt.yaml")
	before.writesNothing()
	out := w.runOnTerminal(0, "Passphrase for "+lockedFile+":", testPassphrase+"\r", "create", "cluster",
		"-f", "mgmt.yaml")
	if !strings.Contains(out, "Cluster mgmt is managed through Git.") ||
		strings.Contains(out, testPassphrase) {
		t.Errorf("on a terminal:\n%s", out)
	}
	if got := strings.TrimSpace(secretEntry(t, "identity.pub")); got != locked.AuthorizedKey() {
		t.Errorf("identity.pub of the Secret is %q, want %q", got, locked.AuthorizedKey())
	}

	before = w.mark()
	w.env["EKSA_GIT_SSH_KEY_PASSPHRASE"] = testPassphrase
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	delete(w.env, "EKSA_GIT_SSH_KEY_PASSPHRASE")
	delete(w.env, "EKSA_GIT_PRIVATE_KEY")
	w.env["SSH_AUTH_SOCK"] = agent
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev is managed through Git.")
}

// Servers that break: a push whose answer is lost, a connection cut in the middle of a push, and garbage
// instead of Git. What can be repeated is, nothing comes to be twice, and what cannot be done is said in
// bounded time.
func TestCreate_sshFaults(t *testing.T) {
	w := newSSHWorld(t)
	repo := w.git.AddRepo("acme/fleet")
	w.git.Accounts().AddKey(w.operator.Public(), "operator", gittest.Write)
	w.know(w.git.KnownHosts())
	for _, file := range []string{"mgmt.yaml", "dev.yaml"} {
		w.write(file, strings.Replace(w.spec(file), w.ssh.URL("acme/fleet"), w.git.SSHURL("acme/fleet"), 1))
	}

	// the first session only asks
	off := w.git.Inject(gittest.Fault{Kind: gittest.LoseReply, Service: gittest.Push, Skip: 1, Times: 1})
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Cluster mgmt is managed through Git.")
	off()
	if log := repo.Log("main"); len(log) != 1 {
		t.Errorf("after a lost reply: %d commits, want 1", len(log))
	}

	off = w.git.Inject(gittest.Fault{Kind: gittest.DropAfter, Service: gittest.Push, Skip: 1, Times: 1,
		Bytes: 600})
	w.run("create", "cluster", "-f", "dev.yaml").exits(0).prints("Cluster dev is managed through Git.")
	off()
	if log := repo.Log("main"); len(log) != 2 {
		t.Errorf("after a cut push: %d commits, want 2", len(log))
	}
	repo.Git("fsck", "--strict")

	off = w.git.Inject(gittest.Fault{Kind: gittest.Garbage, Service: gittest.Fetch})
	head := repo.Head("main")
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(5).tells("Flux still applies main@"+head[:7]+
		", but this run could not finish", "continue with: eksa-gitops create cluster -f mgmt.yaml")
	off()
	if got := repo.Head("main"); got != head {
		t.Errorf("main is at %s, want %s", got, head)
	}
	before := w.mark()
	w.run("create", "cluster", "-f", "mgmt.yaml").exits(0).prints("Nothing to do")
	before.writesNothing()
}
