//go:build unix

package stack

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestBinaries_built has programs in the cache, so that nothing is built.
func TestBinaries_built(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	t.Setenv("EKSA_GITOPS_STACK_CACHE", cache)
	t.Setenv("KUBEBUILDER_ASSETS", "")
	key, err := buildKey(t.Context(), "build")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(cache, key), 0o755); err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	bins, err := Binaries(t.Context(), &progress)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(cache, key, "controlplane") +
		" kube-apiserver"; strings.Join(bins.APIServer, " ") != want {
		t.Errorf("API server is %q, want %q", bins.APIServer, want)
	}
	if progress.Len() > 0 {
		t.Errorf("something was built: %s", &progress)
	}

	assets := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	if _, err := Binaries(t.Context(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with empty KUBEBUILDER_ASSETS: %v, want that a file is missing", err)
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := os.WriteFile(filepath.Join(assets, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bins, err = Binaries(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(bins.Etcd) != 1 || bins.Etcd[0] != filepath.Join(assets, "etcd") {
		t.Errorf("etcd is %q, want that of KUBEBUILDER_ASSETS", bins.Etcd)
	}
	if bins.Kwok[0] != filepath.Join(cache, key, "kwok") {
		t.Errorf("kwok is %q, want ours", bins.Kwok)
	}

	for range 2 {
		if err := Clean(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(cache); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after Clean the cache is there: %v", err)
		}
	}
}

func TestBinaries_failedBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	cache, source := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module empty\n\ngo 1.26.0\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	err := buildLocked(t.Context(), source, filepath.Join(cache, "key"), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "building the stack's programs") {
		t.Errorf("building nothing: %v", err)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 0 {
		t.Errorf("left in the cache: %v, %v", entries, err)
	}
}

func TestLockFile_excludes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lockFile(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locking what is locked: %v, want to wait", err)
	}
	unlock()
	unlock, err = lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestReservePort_notGivenToOthers(t *testing.T) {
	t.Parallel()
	port, err := reservePort()
	if err != nil {
		t.Fatal(err)
	}
	defer port.release()
	for range 100 {
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(address, ":0") || address == "127.0.0.1:"+strconv.Itoa(port.port) {
			t.Fatalf("%s was given although port %d is reserved", address, port.port)
		}
	}
}

func TestReadAudit_waitsForResults(t *testing.T) {
	t.Parallel()
	const received = `{"kind":"Event","stage":"RequestReceived","auditID":"1","verb":"create","requestURI":"/api/v1/x","user":{"username":"operator"},"objectRef":{"resource":"x"}}` +
		"\n"
	const complete = `{"kind":"Event","stage":"ResponseComplete","auditID":"1","verb":"create","user":{"username":"operator"},"responseStatus":{"code":201}}` +
		"\n"
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, test := range []struct {
		name, log  string
		requests   int
		unfinished bool
	}{
		{"nothing", "", 0, false},
		{"in progress", received, 1, true},
		{"line in progress", received[:40], 0, false},
		{"done", received + complete, 1, false},
		{"killed in a line", received[:40] + received + complete, 1, false},
		{"dry run", strings.Replace(received, "/x", "/x?a=b&dryRun=All", 1), 0, false},
		{"somebody else", strings.Replace(received, "operator", "other", 1), 0, false},
		{"review", strings.Replace(received, `{"resource":"x"}`,
			`{"resource":"selfsubjectaccessreviews","apiGroup":"authorization.k8s.io"}`, 1),
			0, false},
	} {
		if err := os.WriteFile(path, []byte(test.log), 0o600); err != nil {
			t.Fatal(err)
		}
		events, err := readAudit(path, Marker{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		requests, unfinished := collect(events, "operator")
		if len(requests) != test.requests || unfinished != test.unfinished {
			t.Errorf("%s: %v, unfinished %t; want %d, %t",
				test.name, requests, unfinished, test.requests, test.unfinished)
		}
	}
}

// A mark can fall into a line that the API server is writing: its request lies before it.
func TestReadAudit_markWithinLine(t *testing.T) {
	t.Parallel()
	line := func(id string) string {
		return `{"kind":"Event","stage":"RequestReceived","auditID":"` + id +
			`","verb":"create","requestURI":"/api/v1/x","user":{"username":"operator"},"objectRef":{"resource":"x"}}` +
			"\n"
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(line("1")+line("2")), 0o600); err != nil {
		t.Fatal(err)
	}
	for offset := range len(line("1")) + 1 {
		want := []string{"2"}
		if offset == 0 {
			want = []string{"1", "2"}
		}
		events, err := readAudit(path, Marker{int64(offset)})
		if err != nil {
			t.Fatalf("a mark at %d: %v", offset, err)
		}
		var got []string
		for _, event := range events {
			got = append(got, event.AuditID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("a mark at %d: requests %v, want %v", offset, got, want)
		}
	}
}

func TestCopyTree(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	content := []byte("something")
	if err := os.MkdirAll(filepath.Join(from, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "sub", "file"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(to, "sub", "file"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the copy differs (%d bytes, %v)", len(got), err)
	}
}

func TestWantedPods_newestReadyOne(t *testing.T) {
	t.Parallel()
	pod := func(uid string, age time.Duration, ready, going bool) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "flux-system", UID: types.UID(uid),
			Labels:            map[string]string{"app": "source-controller"},
			CreationTimestamp: metav1.NewTime(time.Unix(1000, 0).Add(-age)),
		}}
		if ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		if going {
			p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1000, 0)}
		}
		return p
	}
	wanted := wantedPods([]corev1.Pod{
		pod("old", 3*time.Second, true, false),
		pod("new", 2*time.Second, true, false),
		pod("going", time.Second, true, true),
		pod("unready", 0, false, false),
	})
	if len(wanted) != 1 || wanted["flux-system/source-controller"].UID != "new" {
		t.Errorf("wanted are %v, want the pod new", wanted)
	}
}

// A program of the control plane that gives up is started again, until the stack ends.
func TestProcesses_keep(t *testing.T) {
	p := newProcesses(t.TempDir())
	if err := p.keep("quitter", Command{"/bin/sh", "-c", "echo begun; exit 1"}, nil); err != nil {
		t.Fatal(err)
	}
	begun := func() int { return strings.Count(tail(filepath.Join(p.logs, "quitter.log"), 100), "begun") }
	for deadline := time.Now().Add(2 * time.Minute); begun() < 3; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("begun %d times", begun())
		}
	}
	p.close() // returns when nobody is left who would start it again
	if len(p.running) != 0 {
		t.Errorf("%d programs still run", len(p.running))
	}
}
