package pack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// Kinds of entries in a pack.
const (
	Commit       = 1
	Tree         = 2
	Blob         = 3
	Tag          = 4
	kindOfsDelta = 6
	kindRefDelta = 7
)

// ObjectType is a kind of object as go-git knows it.
func ObjectType(kind byte) plumbing.ObjectType {
	switch kind {
	case Commit:
		return plumbing.CommitObject
	case Tree:
		return plumbing.TreeObject
	case Blob:
		return plumbing.BlobObject
	}
	return plumbing.TagObject
}

// ErrDamaged is the cause of every error about what a pack holds.
var ErrDamaged = errors.New("the server sent a damaged pack")

// Damaged is an error about what a pack, or an object out of one, holds.
func Damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// These say which limit a pack went over.
var (
	ErrObjectTooLarge = errors.New("object too large")
	ErrTooLarge       = errors.New("pack too large")
	ErrTooManyObjects = errors.New("too many objects")
	ErrChainTooLarge  = errors.New("too many deltas on the way to an object")
)

// Limits bound what is taken in of packs. They have no defaults.
type Limits struct {
	// Object and File are the size in bytes of one commit or directory, and of one file.
	Object, File int64
	// Objects is the number of objects in all packs together.
	Objects int64
	// Inflated is the size in bytes of all objects, unpacked.
	Inflated int64
}

// Objects are the objects of one repository, as they came in packs. Nothing in the index is a pointer: it may
// have a million entries.
type Objects struct {
	limits  Limits
	packs   []*Data
	entries []packEntry // of all packs, one pack after the other
	// names lead to commits and directories, and to files once one was asked for.
	names  map[plumbing.Hash]uint32
	filed  int // how many of the packs have the names of their files there
	recent recentObjects
	// inflated counts what was unpacked, against the limits.
	inflated int64
	delta    []byte // memory for one delta at a time
	reader   zlibReader
	hasher   hash.Hash
}

// packEntry is where an object is, and what is known of it.
type packEntry struct {
	offset uint32 // of the entry's header in its pack
	base   int32  // index of the base of a delta; -1 while it is not known
	pack   uint16
	root   byte // kind of the object that a chain of deltas ends at; 0 while it is not known
	flags  byte
}

const (
	entryDelta byte = 1 << iota // it is a difference to another one
	entryNamed                  // its name is known
)

func (e *packEntry) is(flag byte) bool { return e.flags&flag != 0 }

// NewObjects is an empty store, whose packs together keep to the limits.
func NewObjects(limits Limits) *Objects {
	return &Objects{limits: limits, names: map[plumbing.Hash]uint32{}, hasher: NewHash()}
}

// Add takes a pack over, and unpacks its commits and directories to learn their names.
func (o *Objects) Add(ctx context.Context, data *Data) error {
	var header [packHeaderSize]byte
	if n := (&packReader{data: data}).copyTo(header[:]); n < len(header) ||
		data.size < packHeaderSize+packTrailerSize || string(header[:4]) != "PACK" ||
		binary.BigEndian.Uint32(header[4:]) != 2 {
		return Damaged("no header")
	}
	if int64(data.size) > math.MaxUint32 || len(o.packs) == math.MaxUint16 {
		return ErrTooLarge
	}
	trailer := data.truncate(packTrailerSize)
	o.hasher.Reset()
	for _, piece := range data.pieces {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o.hasher.Write(piece)
	}
	if string(o.hasher.Sum(nil)) != string(trailer) {
		return Damaged("wrong checksum")
	}
	count := int(binary.BigEndian.Uint32(header[8:]))
	if count > data.size/minEntrySize+1 {
		return Damaged("%d objects in %d bytes", count, data.size)
	}
	if int64(len(o.entries)+count) > o.limits.Objects {
		return ErrTooManyObjects
	}
	first := len(o.entries)
	o.packs = append(o.packs, data)
	o.entries = append(make([]packEntry, 0, first+count), o.entries...)
	position := packHeaderSize
	for n := range count {
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		end, err := o.scan(ctx, first, position)
		if err != nil {
			return err
		}
		position = end
	}
	if position != data.size {
		return Damaged("%d bytes too many", data.size-position)
	}
	return o.resolveReferences(ctx, first)
}

// at finds the entry that begins at an offset, among those from first on.
func (o *Objects) at(first int, offset int64) (int, bool) {
	entries := o.entries[first:]
	i := sort.Search(len(entries), func(i int) bool { return int64(entries[i].offset) >= offset })
	return first + i, i < len(entries) && int64(entries[i].offset) == offset
}

// isStructure says whether a kind is unpacked at once.
func isStructure(root byte) bool { return root == Commit || root == Tree }

// scan notes the entry at an offset of the last pack, whose entries begin at first, finds where it ends, and
// unpacks it when it is a commit or a directory whose base is known.
func (o *Objects) scan(ctx context.Context, first, offset int) (end int, err error) {
	data := o.packs[len(o.packs)-1]
	h, err := readHeader(data, offset)
	if err != nil {
		return 0, err
	}
	// both are checked in add
	e := packEntry{offset: uint32(offset), pack: uint16(len(o.packs) - 1), base: -1}
	switch h.kind {
	case kindOfsDelta:
		base, ok := o.at(first, int64(offset)-h.distance)
		if !ok {
			return 0, Damaged("a delta without a base")
		}
		e.flags, e.base, e.root = entryDelta, int32(base), o.entries[base].root // there are fewer, see add
	case kindRefDelta:
		e.flags = entryDelta
		o.findBase(&e, h.ref)
	default:
		e.root = h.kind
	}
	i := len(o.entries)
	o.entries = append(o.entries, e)
	if !isStructure(e.root) || e.is(entryDelta) && !o.entries[e.base].is(entryNamed) {
		// resolveReferences comes back to what waits for its base.
		if err := o.spend(h.size); err != nil {
			return 0, err
		}
		return o.reader.skip(ctx, data, h.body, h.size)
	}
	if err := o.name(ctx, i); err != nil {
		return 0, err
	}
	return o.reader.source.at, nil
}

// findBase looks for the base of a delta by name.
func (o *Objects) findBase(e *packEntry, ref plumbing.Hash) bool {
	base, ok := o.names[ref]
	if ok {
		e.base, e.root = int32(base), o.entries[base].root // there are fewer, see add
	}
	return ok
}

// name unpacks an entry whose base is known, and notes its name. The reader then stands behind it.
func (o *Objects) name(ctx context.Context, i int) error {
	content, err := o.unpack(ctx, i)
	if err != nil {
		return err
	}
	e := &o.entries[i]
	e.flags |= entryNamed
	name := HashObject(o.hasher, ObjectType(e.root), content)
	if _, again := o.names[name]; !again {
		o.names[name] = uint32(i) // there are fewer, see add
	}
	return nil
}

// maxRounds bounds the work for packs whose deltas stand before their bases. Git writes bases first, so one
// round is the rule.
const maxRounds = 64

// resolveReferences names the commits and directories from first on that are deltas to objects which come
// later in the pack.
func (o *Objects) resolveReferences(ctx context.Context, first int) error {
	again := true
	for round := 0; again; round++ {
		again = false
		if round > maxRounds {
			return Damaged("deltas in an order that no git writes")
		}
		for i := first; i < len(o.entries); i++ {
			e := &o.entries[i]
			if i%1024 == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if e.is(entryNamed) || !e.is(entryDelta) || e.root != 0 && !isStructure(e.root) {
				continue
			}
			if e.base < 0 {
				h, err := readHeader(o.packs[e.pack], int(e.offset))
				if err != nil {
					return err
				}
				if !o.findBase(e, h.ref) {
					continue
				}
			}
			base := &o.entries[e.base]
			e.root = base.root
			if !isStructure(e.root) || !base.is(entryNamed) {
				continue
			}
			if err := o.name(ctx, i); err != nil {
				return err
			}
			again = true
		}
	}
	return nil
}

func (o *Objects) spend(n int64) error {
	if o.inflated += n; o.inflated > o.limits.Inflated {
		return ErrTooLarge
	}
	return nil
}

// Structure returns a commit or a directory, nil and false when it is not there.
func (o *Objects) Structure(h plumbing.Hash) ([]byte, bool, error) {
	i, ok := o.names[h]
	if !ok || !isStructure(o.entries[i].root) {
		return nil, false, nil
	}
	// One object is bounded in the work that it makes, so that it needs no context.
	content, err := o.unpack(context.Background(), int(i))
	return content, err == nil, err
}

// Has says whether a commit or a directory is there.
func (o *Objects) Has(h plumbing.Hash) bool {
	i, ok := o.names[h]
	return ok && isStructure(o.entries[i].root)
}

// File returns a file, nil when no pack has it.
func (o *Objects) File(ctx context.Context, h plumbing.Hash) ([]byte, error) {
	if err := o.nameFiles(ctx); err != nil {
		return nil, err
	}
	i, ok := o.names[h]
	if !ok || o.entries[i].root != Blob {
		return nil, nil
	}
	content, err := o.unpack(ctx, int(i))
	if content == nil && err == nil {
		content = []byte{}
	}
	return content, err
}

// nameFiles names the files of the packs, once. Files that are too large to be read are left out.
func (o *Objects) nameFiles(ctx context.Context) error {
	if o.filed == len(o.packs) {
		return nil
	}
	for i := range o.entries {
		e := &o.entries[i]
		if i%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if e.is(entryNamed) || int(e.pack) < o.filed || e.root != 0 && e.root != Blob {
			continue
		}
		if e.is(entryDelta) {
			if e.base < 0 {
				h, err := readHeader(o.packs[e.pack], int(e.offset))
				if err != nil {
					return err
				}
				if !o.findBase(e, h.ref) {
					continue // its base is in no pack
				}
			}
			if e.root = o.entries[e.base].root; e.root != Blob {
				continue
			}
		}
		if err := o.name(ctx, i); err != nil && !errors.Is(err, ErrObjectTooLarge) &&
			!errors.Is(err, errNoBase) {
			return err
		}
	}
	o.filed = len(o.packs)
	return nil
}

// errNoBase says that the base of a delta is in no pack.
var errNoBase = errors.New("a delta without a base")

const (
	// maxChain is the longest chain of deltas that git itself can be told to write.
	maxChain = 4095
	// MaxChainWork bounds in bytes what is unpacked on the way to one object.
	MaxChainWork = 256 << 20
)

// unpack returns the content of an object, which nobody may change, and leaves the reader behind its entry.
func (o *Objects) unpack(ctx context.Context, i int) ([]byte, error) {
	content, known := o.recent.get(i)
	if known {
		return content, nil
	}
	limit := o.limits.File
	if isStructure(o.entries[i].root) {
		limit = o.limits.Object
	}
	var chain []int
	for at := i; ; at = int(o.entries[at].base) {
		if len(chain) > maxChain {
			return nil, Damaged("a chain of deltas that is too long")
		}
		if at < 0 {
			return nil, errNoBase
		}
		if content, known = o.recent.get(at); known {
			break
		}
		chain = append(chain, at)
		if !o.entries[at].is(entryDelta) {
			break
		}
	}
	before := o.inflated
	for n := len(chain) - 1; n >= 0; n-- {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if o.inflated-before > MaxChainWork {
			return nil, ErrChainTooLarge
		}
		e := &o.entries[chain[n]]
		raw, err := o.inflate(e, limit)
		if err != nil {
			return nil, err
		}
		if !e.is(entryDelta) {
			content = raw
		} else if content, err = o.apply(content, raw, limit); err != nil {
			return nil, err
		}
		o.recent.put(chain[n], content)
	}
	return content, nil
}

// inflate unpacks the body of an entry into memory. That of a delta is good until the next one is unpacked.
func (o *Objects) inflate(e *packEntry, limit int64) ([]byte, error) {
	data := o.packs[e.pack]
	h, err := readHeader(data, int(e.offset))
	if err != nil {
		return nil, err
	}
	if h.size > limit {
		return nil, ErrObjectTooLarge
	}
	if err := o.spend(h.size); err != nil {
		return nil, err
	}
	var content []byte
	if !e.is(entryDelta) {
		content = o.allocate(int(h.size))
	} else {
		if int(h.size) > cap(o.delta) {
			o.delta = make([]byte, h.size)
		}
		content = o.delta[:h.size]
	}
	_, err = o.reader.read(data, h.body, content)
	return content, err
}
