package gitrepo

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// A pack (gitformat-pack(5)) is kept as it came, and only the objects that are of use are unpacked from it: commits and directories
// at once, files when somebody reads one. This is what makes a fetch of a large repository cheap: go-git's storage unpacks
// everything, and keeps it.
//
// Packs come from servers that may be hostile, so nothing is believed: sizes are checked before memory is taken, every object is
// named by the hash of its content, and the work is bounded.

// Kinds of entries in a pack.
const (
	kindCommit   = 1
	kindTree     = 2
	kindBlob     = 3
	kindTag      = 4
	kindOfsDelta = 6
	kindRefDelta = 7
)

func objectType(kind byte) plumbing.ObjectType {
	switch kind {
	case kindCommit:
		return plumbing.CommitObject
	case kindTree:
		return plumbing.TreeObject
	case kindBlob:
		return plumbing.BlobObject
	}
	return plumbing.TagObject
}

// errBadPack is the cause of every error about what a pack holds.
var errBadPack = errors.New("the server sent a damaged pack")

func badPack(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadPack, fmt.Sprintf(format, args...))
}

// objects are the unpacked commits and directories of one repository, by name.
type objects struct {
	limits  Limits
	content map[plumbing.Hash][]byte
	packs   []*pack
	// inflated counts what was unpacked, kept what of it is in memory, both against limits.
	inflated, kept int64
	arena          []byte
	delta          []byte // memory for one delta at a time
	reader         zlibReader
	hasher         hash.Hash
}

// pack is one pack and what is known of its entries.
type pack struct {
	data    []byte
	entries []packEntry
	// blobs says that the files of the pack are in files.
	blobs bool
	files map[plumbing.Hash]int
}

type packEntry struct {
	offset int   // of the entry's header
	body   int   // of the compressed content
	size   int64 // of the content, or of the delta
	kind   byte  // as in the pack
	root   byte  // kind of the object that a chain of deltas ends at; 0 while it is not known
	base   int   // index of the base of a delta; -1 while it is not known
	ref    plumbing.Hash
	object []byte // content of commits and directories
}

func newObjects(limits Limits) *objects {
	return &objects{limits: limits, content: map[plumbing.Hash][]byte{}, hasher: newHash()}
}

const (
	packHeaderSize  = 12
	packTrailerSize = 20
	// minEntrySize is the smallest entry: one byte of header and the smallest zlib stream.
	minEntrySize = 9
	// maxRatio is more than deflate can compress: 1032 to 1.
	maxRatio = 1100
)

// add unpacks the commits and directories of a pack.
func (o *objects) add(ctx context.Context, data []byte) error {
	if len(data) < packHeaderSize+packTrailerSize || string(data[:4]) != "PACK" || binary.BigEndian.Uint32(data[4:]) != 2 {
		return badPack("no header")
	}
	body, trailer := data[:len(data)-packTrailerSize], data[len(data)-packTrailerSize:]
	o.hasher.Reset()
	o.hasher.Write(body) //nolint:errcheck // a hash does not fail
	if !bytes.Equal(o.hasher.Sum(nil), trailer) {
		return badPack("wrong checksum")
	}
	count := int(binary.BigEndian.Uint32(data[8:]))
	if count > len(body)/minEntrySize+1 {
		return badPack("%d objects in %d bytes", count, len(body))
	}
	p := &pack{data: body, entries: make([]packEntry, 0, count)}
	position := packHeaderSize
	for n := range count {
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := p.readHeader(position)
		if err != nil {
			return err
		}
		if position, err = o.scan(ctx, p, &e); err != nil {
			return err
		}
		p.entries = append(p.entries, e)
	}
	if position != len(body) {
		return badPack("%d bytes too many", len(body)-position)
	}
	o.packs = append(o.packs, p)
	return o.resolveReferences(ctx, p)
}

// readHeader reads the type, size and base of the entry at an offset.
func (p *pack) readHeader(offset int) (packEntry, error) {
	e := packEntry{offset: offset, base: -1}
	position := offset
	next := func() (byte, error) {
		if position >= len(p.data) {
			return 0, badPack("cut off")
		}
		position++
		return p.data[position-1], nil
	}
	c, err := next()
	if err != nil {
		return e, err
	}
	e.kind = c >> 4 & 7
	e.size = int64(c & 0x0f)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if shift > 53 {
			return e, badPack("an impossible size")
		}
		if c, err = next(); err != nil {
			return e, err
		}
		e.size |= int64(c&0x7f) << shift
	}
	switch e.kind {
	case kindCommit, kindTree, kindBlob, kindTag:
		e.root = e.kind
	case kindOfsDelta:
		if c, err = next(); err != nil {
			return e, err
		}
		distance := int64(c & 0x7f)
		for c&0x80 != 0 {
			if distance > int64(len(p.data)) {
				return e, badPack("a delta without a base")
			}
			if c, err = next(); err != nil {
				return e, err
			}
			distance = (distance+1)<<7 | int64(c&0x7f)
		}
		base, ok := p.at(int64(offset) - distance)
		if !ok {
			return e, badPack("a delta without a base")
		}
		e.base, e.root = base, p.entries[base].root
	case kindRefDelta:
		if len(p.data)-position < len(e.ref) {
			return e, badPack("cut off")
		}
		position += copy(e.ref[:], p.data[position:])
	default:
		return e, badPack("an object of type %d", e.kind)
	}
	e.body = position
	if e.size > int64(len(p.data)-position)*maxRatio {
		return e, badPack("an impossible size")
	}
	return e, nil
}

// at finds the entry that begins at an offset.
func (p *pack) at(offset int64) (int, bool) {
	i := sort.Search(len(p.entries), func(i int) bool { return int64(p.entries[i].offset) >= offset })
	return i, i < len(p.entries) && int64(p.entries[i].offset) == offset
}

// isStructure says whether a kind is unpacked at once.
func isStructure(root byte) bool { return root == kindCommit || root == kindTree }

// scan finds where an entry ends, and unpacks it when it is a commit or a directory whose base is known.
func (o *objects) scan(ctx context.Context, p *pack, e *packEntry) (end int, err error) {
	if e.kind == kindRefDelta {
		o.resolvable(e)
	}
	if !isStructure(e.root) {
		return o.reader.skip(ctx, o, p.data, e.body, e.size)
	}
	raw, end, err := o.inflate(p, e)
	if err != nil {
		return 0, err
	}
	if e.isDelta() {
		base := o.content[e.ref]
		if e.kind == kindOfsDelta {
			base = p.entries[e.base].object
			if base == nil {
				return end, nil // its base waits for another; resolveReferences comes back to it
			}
		}
		if raw, err = o.patch(base, raw); err != nil {
			return 0, err
		}
	}
	e.object = raw
	o.content[o.hash(e.root, raw)] = raw
	return end, nil
}

// resolvable looks whether the base of a delta by name is unpacked already, and of which kind it then is.
func (o *objects) resolvable(e *packEntry) bool {
	base, ok := o.content[e.ref]
	if !ok {
		return false
	}
	// A directory cannot begin like this: its first field is an octal mode.
	e.root = kindTree
	if bytes.HasPrefix(base, []byte("tree ")) {
		e.root = kindCommit
	}
	return true
}

func (o *objects) hash(kind byte, content []byte) plumbing.Hash {
	return hashObject(o.hasher, objectType(kind), content)
}

// maxRounds bounds the work for packs whose deltas stand before their bases. Git writes bases first, so one round is the rule.
const maxRounds = 64

// resolveReferences unpacks commits and directories that are deltas to objects which come later in the pack.
func (o *objects) resolveReferences(ctx context.Context, p *pack) error {
	again := true
	for round := 0; again; round++ {
		again = false
		if round > maxRounds {
			return badPack("deltas in an order that no git writes")
		}
		for i := range p.entries {
			e := &p.entries[i]
			if e.object != nil || !e.isDelta() {
				continue
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			var base []byte
			if e.kind == kindRefDelta {
				if !o.resolvable(e) {
					continue
				}
				base = o.content[e.ref]
			} else {
				e.root = p.entries[e.base].root
				base = p.entries[e.base].object
			}
			if base == nil || !isStructure(e.root) {
				continue
			}
			raw, _, err := o.inflate(p, e)
			if err != nil {
				return err
			}
			if e.object, err = o.patch(base, raw); err != nil {
				return err
			}
			o.content[o.hash(e.root, e.object)] = e.object
			again = true
		}
	}
	return nil
}

// inflate unpacks the body of an entry into memory. That of a delta is good until the next one is unpacked.
func (o *objects) inflate(p *pack, e *packEntry) (content []byte, end int, err error) {
	if e.size > o.limits.Object {
		return nil, 0, errObjectTooLarge
	}
	if e.isDelta() {
		if int(e.size) > cap(o.delta) {
			o.delta = make([]byte, e.size)
		}
		content = o.delta[:e.size]
	} else if content, err = o.allocate(int(e.size)); err != nil {
		return nil, 0, err
	}
	end, err = o.reader.read(o, p.data, e.body, content)
	return content, end, err
}

func (e *packEntry) isDelta() bool { return e.kind == kindOfsDelta || e.kind == kindRefDelta }

// errObjectTooLarge and errPackTooLarge say which limit a pack went over.
var (
	errObjectTooLarge = errors.New("object too large")
	errPackTooLarge   = errors.New("pack too large")
)

const arenaSize = 256 << 10

// allocate gives small pieces out of large ones: a fetch has tens of thousands of small directories.
func (o *objects) allocate(size int) ([]byte, error) {
	if o.kept += int64(size); o.kept > o.limits.Pack {
		return nil, errPackTooLarge
	}
	if size > arenaSize/8 {
		return make([]byte, size), nil
	}
	if size > len(o.arena) {
		o.arena = make([]byte, arenaSize)
	}
	piece := o.arena[:size:size]
	o.arena = o.arena[size:]
	return piece, nil
}

func (o *objects) spend(n int64) error {
	if o.inflated += n; o.inflated > o.limits.Inflated {
		return errPackTooLarge
	}
	return nil
}

// zlibReader unpacks zlib streams out of a byte slice, one after the other, with the same memory.
type zlibReader struct {
	source  bytes.Reader
	zlib    io.ReadCloser
	scratch []byte
}

func (r *zlibReader) begin(data []byte, at int) error {
	r.source.Reset(data[at:])
	if r.zlib == nil {
		z, err := zlib.NewReader(&r.source)
		if err != nil {
			return badPack("an object that is not compressed")
		}
		r.zlib = z
		return nil
	}
	resetter, ok := r.zlib.(zlib.Resetter)
	if !ok {
		return errors.New("compress/zlib cannot be reset")
	}
	if err := resetter.Reset(&r.source, nil); err != nil {
		return badPack("an object that is not compressed")
	}
	return nil
}

// finish checks that the stream ends here, with its checksum, and returns the offset behind it.
func (r *zlibReader) finish(data []byte) (int, error) {
	var one [1]byte
	if n, err := r.zlib.Read(one[:]); n != 0 || !errors.Is(err, io.EOF) {
		return 0, badPack("an object of another size than announced")
	}
	// bytes.Reader is an io.ByteReader, of which flate reads no byte too many.
	return len(data) - r.source.Len(), nil
}

func (r *zlibReader) read(o *objects, data []byte, at int, content []byte) (int, error) {
	if err := o.spend(int64(len(content))); err != nil {
		return 0, err
	}
	if err := r.begin(data, at); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(r.zlib, content); err != nil {
		return 0, badPack("an object of another size than announced")
	}
	return r.finish(data)
}

// skip unpacks without keeping anything.
func (r *zlibReader) skip(ctx context.Context, o *objects, data []byte, at int, size int64) (int, error) {
	if err := o.spend(size); err != nil {
		return 0, err
	}
	if err := r.begin(data, at); err != nil {
		return 0, err
	}
	if r.scratch == nil {
		r.scratch = make([]byte, 32<<10)
	}
	for size > 0 {
		n, err := io.ReadFull(r.zlib, r.scratch[:min(size, int64(len(r.scratch)))])
		size -= int64(n)
		if err != nil {
			return 0, badPack("an object of another size than announced")
		}
		if size > 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
	return r.finish(data)
}

// file returns a file out of the packs, nil when none has it.
func (o *objects) file(ctx context.Context, h plumbing.Hash) ([]byte, error) {
	for _, p := range o.packs {
		if err := o.indexFiles(ctx, p); err != nil {
			return nil, err
		}
		if i, ok := p.files[h]; ok {
			return o.unpack(ctx, p, i, map[int][]byte{})
		}
	}
	return nil, nil
}

// indexFiles names the files of a pack, once. Files that are too large to be read are left out.
func (o *objects) indexFiles(ctx context.Context, p *pack) error {
	if p.blobs {
		return nil
	}
	p.blobs, p.files = true, map[plumbing.Hash]int{}
	// Files of a chain follow each other; the last ones are kept so that a chain is unpacked once.
	recent, size := map[int][]byte{}, 0
	for i := range p.entries {
		if p.entries[i].object != nil || p.entries[i].root == kindTag {
			continue
		}
		content, err := o.unpack(ctx, p, i, recent)
		if errors.Is(err, errObjectTooLarge) || errors.Is(err, errNoBase) {
			continue
		}
		if err != nil {
			return err
		}
		if size += len(content); size > 8<<20 {
			clear(recent)
			size = 0
		}
		recent[i] = content
		p.files[o.hash(kindBlob, content)] = i
	}
	return nil
}

// errNoBase says that the base of a delta is in no pack.
var errNoBase = errors.New("a delta without a base")

// maxChain is the longest chain of deltas that git itself can be told to write.
const maxChain = 4095

// unpack returns the content of a file, with the help of those in known.
func (o *objects) unpack(ctx context.Context, p *pack, i int, known map[int][]byte) ([]byte, error) {
	var chain []int
	var content []byte
	for at := i; content == nil; {
		if len(chain) > maxChain {
			return nil, badPack("a chain of deltas that is too long")
		}
		e := &p.entries[at]
		if c, ok := known[at]; ok && c != nil {
			content = c
			break
		}
		chain = append(chain, at)
		switch e.kind {
		case kindOfsDelta:
			at = e.base
		case kindRefDelta:
			base, ok := p.files[e.ref]
			if !ok {
				return nil, errNoBase
			}
			at = base
		default:
			content = []byte{}
		}
	}
	for n := len(chain) - 1; n >= 0; n-- {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e := &p.entries[chain[n]]
		if e.size > o.limits.File {
			return nil, errObjectTooLarge
		}
		raw := make([]byte, e.size)
		if _, err := o.reader.read(o, p.data, e.body, raw); err != nil {
			return nil, err
		}
		if !e.isDelta() {
			content = raw
			continue
		}
		var err error
		if content, err = o.apply(content, raw, o.limits.File, func(n int) ([]byte, error) { return make([]byte, n), nil }); err != nil {
			return nil, err
		}
	}
	return content, nil
}

// patch applies a delta to a commit or a directory.
func (o *objects) patch(base, delta []byte) ([]byte, error) {
	return o.apply(base, delta, o.limits.Object, o.allocate)
}

// apply applies a delta (gitformat-pack(5), "Deltified representation").
func (o *objects) apply(base, delta []byte, limit int64, allocate func(int) ([]byte, error)) ([]byte, error) {
	baseSize, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	size, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	if baseSize != int64(len(base)) {
		return nil, badPack("a delta for another base")
	}
	if size > limit {
		return nil, errObjectTooLarge
	}
	if err := o.spend(size); err != nil {
		return nil, err
	}
	out, err := allocate(int(size))
	if err != nil {
		return nil, err
	}
	rest := out
	for len(delta) > 0 {
		var piece []byte
		if piece, delta, err = deltaStep(base, delta); err != nil {
			return nil, err
		}
		if len(piece) > len(rest) {
			return nil, badPack("a delta with too much in it")
		}
		rest = rest[copy(rest, piece):]
	}
	if len(rest) > 0 {
		return nil, badPack("a delta with too little in it")
	}
	return out, nil
}

func deltaSize(delta []byte) (int64, []byte, error) {
	var size int64
	for i, c := range delta {
		if i > 7 {
			break
		}
		size |= int64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return size, delta[i+1:], nil
		}
	}
	return 0, nil, badPack("a delta without a size")
}

// deltaStep reads one instruction: copy from the base, or take what follows.
func deltaStep(base, delta []byte) (piece, rest []byte, err error) {
	command := delta[0]
	delta = delta[1:]
	if command == 0 {
		return nil, nil, badPack("an unknown delta instruction")
	}
	if command&0x80 == 0 {
		if int(command) > len(delta) {
			return nil, nil, badPack("a delta that is cut off")
		}
		return delta[:command], delta[command:], nil
	}
	var operands [7]int
	for i := range operands {
		if command&(1<<i) == 0 {
			continue
		}
		if len(delta) == 0 {
			return nil, nil, badPack("a delta that is cut off")
		}
		operands[i], delta = int(delta[0]), delta[1:]
	}
	offset := operands[0] | operands[1]<<8 | operands[2]<<16 | operands[3]<<24
	size := operands[4] | operands[5]<<8 | operands[6]<<16
	if size == 0 {
		size = 0x10000
	}
	if offset > len(base) || size > len(base)-offset {
		return nil, nil, badPack("a delta that copies from outside its base")
	}
	return base[offset : offset+size], delta, nil
}
