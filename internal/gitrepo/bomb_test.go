package gitrepo

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// directoryOf makes a directory object.
func directoryOf(entries ...treeChange) []byte {
	var content []byte
	for _, e := range entries {
		content = append(content, entryBytes(e)...)
	}
	return content
}

// holding is a snapshot of these directories and files, the last directory the root.
func holding(t testing.TB, made []newObject) *Snapshot {
	t.Helper()
	content, err := writePack(made, false)
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{name: "https://git.example.com/x", limits: Limits{}.withDefaults(), stats: &Stats{}}
	s := &Snapshot{endpoint: e, branch: "main", state: BranchExists, objects: newObjects(e.limits), files: map[plumbing.Hash][]byte{}}
	if err := s.objects.add(t.Context(), packOf(content)); err != nil {
		t.Fatal(err)
	}
	s.root = made[len(made)-1].hash
	return s
}

func made(kind byte, content []byte) newObject {
	return newObject{kind: kind, content: content, hash: hashObject(newHash(), objectType(kind), content)}
}

// treeBomb is a directory of ten entries that each are one of ten, and so on; at the end are files.
func treeBomb(levels, wide int) []newObject {
	all := []newObject{made(kindBlob, []byte("kind: x\n"))}
	mode := filemode.Regular
	for range levels {
		var entries []treeChange
		for n := range wide {
			entries = append(entries, treeChange{name: fmt.Sprintf("d%02d", n), mode: mode, hash: all[len(all)-1].hash})
		}
		all, mode = append(all, made(kindTree, directoryOf(entries...))), filemode.Dir
	}
	return all
}

// below puts a directory at a path, beside a directory of one file.
func below(all []newObject, path string) []newObject {
	small := made(kindTree, directoryOf(treeChange{name: "f", mode: filemode.Regular, hash: all[0].hash}))
	top := all[len(all)-1].hash
	all = append(all, small)
	names := strings.Split(path, "/")
	for i := len(names) - 1; i >= 0; i-- {
		all = append(all, made(kindTree, directoryOf(
			treeChange{name: names[i], mode: filemode.Dir, hash: top}, treeChange{name: "zz", mode: filemode.Dir, hash: small.hash})))
		top = all[len(all)-1].hash
	}
	return all
}

// A few objects that describe more than anybody can look at are refused before anything is walked, with the directory that they are in.
func TestWalk_bombs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 250)
	deep := []newObject{made(kindTree, nil)}
	for range maxTreeDepth + 10 {
		deep = append(deep, made(kindTree, directoryOf(treeChange{name: "d", mode: filemode.Dir, hash: deep[len(deep)-1].hash})))
	}
	names := treeBomb(1, 10)
	for range 4 {
		var entries []treeChange
		for n := range 10 {
			entries = append(entries, treeChange{name: fmt.Sprintf("%s%d", long, n), mode: filemode.Dir, hash: names[len(names)-1].hash})
		}
		names = append(names, made(kindTree, directoryOf(entries...)))
	}
	for range 3 { // no more entries, longer paths
		names = append(names, made(kindTree, directoryOf(treeChange{name: long, mode: filemode.Dir, hash: names[len(names)-1].hash})))
	}
	for name, c := range map[string]struct {
		objects []newObject
		dir     string
		what    string
	}{
		"a trillion files":      {treeBomb(12, 10), "clusters/mgmt/bomb", "files and directories"},
		"more than is counted":  {treeBomb(40, 100), "clusters/mgmt/bomb", "files and directories"},
		"one in another":        {deep, "clusters", "directories in each other"},
		"long names, few files": {names, "clusters/mgmt/bomb/" + long + "/" + long, "bytes of names"},
	} {
		s := holding(t, below(c.objects, "clusters/mgmt/bomb"))
		for _, dir := range []string{"", "clusters", "clusters/mgmt"} {
			visits := 0
			start := time.Now()
			err := s.Walk(t.Context(), dir, func(Entry) error { visits++; return nil })
			limit, ok := errors.AsType[*TreeLimitError](err)
			if !ok || limit.Dir != c.dir || limit.What != c.what || visits != 0 {
				t.Errorf("%s, walking %q: %d visits, %v", name, dir, visits, err)
			}
			if err := s.CheckSize(t.Context(), dir); !errors.As(err, &limit) {
				t.Errorf("%s, measuring %q: %v", name, dir, err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: %s", name, took)
			}
		}
		visits := 0
		if err := s.Walk(t.Context(), "clusters/zz", func(Entry) error { visits++; return nil }); err != nil || visits != 1 {
			t.Errorf("%s, beside it: %d visits, %v", name, visits, err)
		}
	}
}

// What is within the bounds is walked whole, in git's order, unsafe names marked and not followed; the visitor and the context end it.
func TestWalk(t *testing.T) {
	t.Parallel()
	all := treeBomb(2, 2)
	file, dir := all[0].hash, all[2].hash
	all = append(all, made(kindTree, directoryOf(
		treeChange{name: "..", mode: filemode.Dir, hash: dir}, treeChange{name: ".git", mode: filemode.Dir, hash: dir},
		treeChange{name: "a", mode: filemode.Dir, hash: dir}, treeChange{name: "b/c", mode: filemode.Dir, hash: dir},
		treeChange{name: "m", mode: filemode.Submodule, hash: file}, treeChange{name: "z\x1b", mode: filemode.Regular, hash: file})))
	s := holding(t, below(all, "x"))
	var got []string
	note := func(e Entry) error {
		line := e.Mode.String() + " " + e.Path
		if e.Unsafe {
			line = "unsafe " + line
		}
		got = append(got, line)
		return nil
	}
	if err := s.Walk(t.Context(), "x", note); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"unsafe directory x/..", "unsafe directory x/.git", "directory x/a", "directory x/a/d00", "file x/a/d00/d00", "file x/a/d00/d01",
		"directory x/a/d01", "file x/a/d01/d00", "file x/a/d01/d01", "unsafe directory x/b/c", "submodule x/m", "unsafe file x/z\x1b",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	got = nil
	if err := s.Walk(t.Context(), "x", func(e Entry) error { note(e); return fs.SkipAll }); err != nil || len(got) != 1 { // it has none
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Walk(t.Context(), "x", func(Entry) error { return errTooLarge }); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
	if err := s.Walk(t.Context(), "nothing/here", note); err != nil {
		t.Error(err)
	}
	if err := s.Walk(t.Context(), "zz/f", note); !is[*PathError](err) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTooLarge)
	if err := s.Walk(ctx, "x", note); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

// A name is found in a wide directory as in a narrow one, whatever the order of the entries, and of two entries the first.
func TestLookup_wideDirectory(t *testing.T) {
	t.Parallel()
	all := []newObject{made(kindBlob, []byte("a")), made(kindBlob, []byte("b"))}
	var entries []treeChange
	for n := range 1000 {
		entries = append(entries, treeChange{name: fmt.Sprintf("n%03d", n*7%1000), mode: filemode.Regular, hash: all[0].hash})
	}
	entries = append(entries, treeChange{name: "n500", mode: filemode.Regular, hash: all[1].hash})
	s := holding(t, append(all, made(kindTree, directoryOf(entries...))))
	for n := range 1000 {
		if e, found, err := s.Lookup(fmt.Sprintf("n%03d", n)); err != nil || !found || e.BlobID != all[0].hash.String() {
			t.Fatalf("%d: %v, %v, %v", n, e, found, err)
		}
	}
	for _, name := range []string{"n", "n1000", "a", "z"} {
		if _, found, err := s.Lookup(name); err != nil || found {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// One file at many paths, and many files, are not read when all of them together are too much.
func TestReadAll_tooMuch(t *testing.T) {
	t.Parallel()
	all := []newObject{made(kindBlob, bytes.Repeat([]byte("x"), 1<<20))}
	var entries []treeChange
	var paths []string
	for n := range 1000 {
		name := fmt.Sprintf("f%03d.yaml", n)
		entries, paths = append(entries, treeChange{name: name, mode: filemode.Regular, hash: all[0].hash}), append(paths, name)
	}
	s := holding(t, append(all, made(kindTree, directoryOf(entries...))))
	if _, err := s.ReadAll(t.Context(), paths); !is[*LimitError](err) {
		t.Errorf("a gigabyte: %v", err)
	}
	if got, err := s.ReadAll(t.Context(), paths[:8]); err != nil || len(got["f007.yaml"]) != 1<<20 {
		t.Errorf("eight megabytes: %d, %v", len(got), err)
	}
}

// packBombs are packs of so many bytes that unpack to much more, or have very many objects.
func packBombs(size int) map[string]func() []byte {
	packOf := func(size int, kind byte, content func(n int) []byte) func() []byte {
		return func() []byte {
			var b bytes.Buffer
			b.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
			z, _ := zlib.NewWriterLevel(&b, zlib.BestSpeed) // the level is right
			n := 0
			for ; b.Len() < size; n++ {
				body := content(n)
				b.Write(entryHeader(kind, len(body)))
				z.Reset(&b)
				z.Write(body)
				z.Close()
			}
			binary.BigEndian.PutUint32(b.Bytes()[8:], uint32(n))
			h := newHash()
			h.Write(b.Bytes())
			return h.Sum(b.Bytes())
		}
	}
	small := func(kind byte, content func(n int) []byte) func() []byte { return packOf(size, kind, content) }
	// Of these a whole one is made too slowly; they unpack to a thousand times their size.
	zero := func(kind byte, content func(n int) []byte) func() []byte { return packOf(size/64, kind, content) }
	noise := func(n, size int) []byte {
		out := make([]byte, 0, size+20)
		for i := 0; len(out) < size; i++ {
			name := hashObject(newHash(), plumbing.BlobObject, fmt.Appendf(nil, "%d-%d", n, i))
			out = append(out, name[:]...)
		}
		return out[:size]
	}
	return map[string]func() []byte{
		"empty files":         small(kindBlob, func(int) []byte { return nil }),
		"small files":         small(kindBlob, func(n int) []byte { return noise(n, 24) }),
		"small directories":   small(kindTree, func(n int) []byte { return append([]byte("40000 a\x00"), noise(n, 20)...) }),
		"directories":         small(kindTree, func(n int) []byte { return append([]byte("40000 a\x00"), noise(n, 320)...) }),
		"much that is zero":   zero(kindTree, func(n int) []byte { return append(make([]byte, 100_000), noise(n, 20)...) }),
		"large and zero":      zero(kindTree, func(n int) []byte { return append(make([]byte, 16_000_000), noise(n, 20)...) }),
		"large files of zero": zero(kindBlob, func(n int) []byte { return append(make([]byte, 16_000_000), noise(n, 20)...) }),
	}
}

// What a pack takes in memory follows from its size, not from what it unpacks to, nor from its number of objects.
func TestObjects_memory(t *testing.T) {
	const size = 512 << 10
	for name, bomb := range packBombs(size) {
		if strings.HasPrefix(name, "large") {
			continue // as "much that is zero", and slow
		}
		content := bomb()
		live := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := live()
		o := newObjects(Limits{Inflated: 128 << 20}.withDefaults())
		err := o.add(t.Context(), packOf(content))
		if err == nil {
			_, err = o.file(t.Context(), plumbing.ZeroHash)
		}
		if err != nil && !errors.Is(err, errPackTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		// The pack, its index, and what is kept unpacked.
		if took := int64(live()) - int64(before); took > 4*size+2*generationSize { // far from that
			t.Errorf("%s: %d kB", name, took>>10)
		}
		runtime.KeepAlive(o)
		runtime.KeepAlive(content)
	}
}

// More objects than the limit are refused by the number that the pack names, before any is looked at.
func TestObjects_tooMany(t *testing.T) {
	t.Parallel()
	content := packBombs(64 << 10)["empty files"]()
	o := newObjects(Limits{Objects: 1000}.withDefaults())
	if err := o.add(t.Context(), packOf(content)); !errors.Is(err, errTooManyObjects) || cap(o.entries) > 0 {
		t.Errorf("%v, %d entries", err, cap(o.entries))
	}
	s := &Snapshot{endpoint: &endpoint{name: "ssh://git@example.com/x", limits: Limits{}.withDefaults()}}
	const want = "ssh://git@example.com/x: the transfer has more than the limit of 750000 objects"
	if err := s.damage(errTooManyObjects); !is[*LimitError](err) || err.Error() != want {
		t.Error(err)
	}
}

const bombEnv = "GITREPO_PACK_BOMB"

// TestPackBombProcess is the body of the process that BenchmarkPackBombs measures.
func TestPackBombProcess(t *testing.T) {
	file := os.Getenv(bombEnv)
	if file == "" {
		t.Skip("only run by BenchmarkPackBombs")
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	pack := &packData{}
	buffer := make([]byte, 32<<10)
	for {
		n, err := f.Read(buffer)
		pack.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	start := time.Now()
	o := newObjects(Limits{}.withDefaults())
	failed := o.add(t.Context(), pack)
	if failed == nil {
		_, failed = o.file(t.Context(), plumbing.ZeroHash)
	}
	said := "accepted"
	if failed != nil {
		said = failed.Error()
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	var rss int64
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &rss) // the kernel's own
		}
	}
	out, err := json.Marshal(bombFigures{rss, time.Since(start).Milliseconds(), len(o.entries), said})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("figures %s\n", out)
}

type bombFigures struct {
	RSS, Milliseconds int64
	Objects           int
	Said              string
}

// The most memory that a process takes for a hostile pack of 32 MiB, this test binary's own included.
func BenchmarkPackBombs(b *testing.B) {
	for name, bomb := range packBombs(32<<20 - packTrailerSize - 64) {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			file := b.TempDir() + "/pack"
			if err := os.WriteFile(file, bomb(), 0o600); err != nil {
				b.Fatal(err)
			}
			var figures bombFigures
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestPackBombProcess$", "-test.v") // this binary
				cmd.Env = append(os.Environ(), bombEnv+"="+file)
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				_, text, _ := strings.Cut(string(out), "figures ")
				text, _, _ = strings.Cut(text, "\n")
				if err := json.Unmarshal([]byte(text), &figures); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
			}
			b.ReportMetric(float64(figures.RSS)/1000, "peak-MB")
			b.ReportMetric(float64(figures.Milliseconds), "run-ms")
			b.ReportMetric(float64(figures.Objects), "objects")
			b.Log(figures.Said)
		})
	}
}
