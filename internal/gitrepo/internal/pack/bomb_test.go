package pack

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

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
			h := NewHash()
			h.Write(b.Bytes()) // a hash does not fail
			return h.Sum(b.Bytes())
		}
	}
	small := func(kind byte, content func(n int) []byte) func() []byte { return packOf(size, kind, content) }
	// Of these a whole one is made too slowly; they unpack to a thousand times their size.
	zero := func(kind byte, content func(n int) []byte) func() []byte {
		return packOf(size/64, kind, content)
	}
	noise := func(n, size int) []byte {
		out := make([]byte, 0, size+20)
		for i := 0; len(out) < size; i++ {
			name := HashObject(NewHash(), plumbing.BlobObject, fmt.Appendf(nil, "%d-%d", n, i))
			out = append(out, name[:]...)
		}
		return out[:size]
	}
	return map[string]func() []byte{
		"empty files": small(Blob, func(int) []byte { return nil }),
		"small files": small(Blob, func(n int) []byte { return noise(n, 24) }),
		"small directories": small(Tree,
			func(n int) []byte { return append([]byte("40000 a\x00"), noise(n, 20)...) }),
		"directories": small(Tree,
			func(n int) []byte { return append([]byte("40000 a\x00"), noise(n, 320)...) }),
		"much that is zero": zero(Tree,
			func(n int) []byte { return append(make([]byte, 100_000), noise(n, 20)...) }),
		"large and zero": zero(Tree,
			func(n int) []byte { return append(make([]byte, 16_000_000), noise(n, 20)...) }),
		"large files of zero": zero(Blob,
			func(n int) []byte { return append(make([]byte, 16_000_000), noise(n, 20)...) }),
	}
}

// What a pack takes in memory follows from its size, not from what it unpacks to, nor from its number of
// objects.
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
		limits := testLimits
		limits.Inflated = 128 << 20
		o := NewObjects(limits)
		err := o.Add(t.Context(), packOf(content))
		if err == nil {
			_, err = o.File(t.Context(), plumbing.ZeroHash)
		}
		if err != nil && !errors.Is(err, ErrTooLarge) {
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
	limits := testLimits
	limits.Objects = 1000
	o := NewObjects(limits)
	if err := o.Add(t.Context(), packOf(content)); !errors.Is(err, ErrTooManyObjects) || cap(o.entries) > 0 {
		t.Errorf("%v, %d entries", err, cap(o.entries))
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
	data := &Data{}
	buffer := make([]byte, 32<<10)
	for {
		n, err := f.Read(buffer)
		data.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	start := time.Now()
	o := NewObjects(testLimits)
	failed := o.Add(t.Context(), data)
	if failed == nil {
		_, failed = o.File(t.Context(), plumbing.ZeroHash)
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
				// this binary
				cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestPackBombProcess$",
					"-test.v")
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
