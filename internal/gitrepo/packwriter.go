package gitrepo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// noThin is the capability of servers that want packs which hold every base of their deltas.
const noThin = capability.Capability("no-thin")

// writePack packs objects. Directories are written as differences to the older ones that the server has, unless it cannot use such a
// thin pack: in a repository of ten thousand clusters, one of them is then a few hundred bytes on the wire, not a third of a megabyte.
func writePack(objects []newObject, thin bool) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("PACK")
	header := binary.BigEndian.AppendUint32(nil, 2)
	b.Write(binary.BigEndian.AppendUint32(header, uint32(len(objects))))
	z := zlib.NewWriter(&b)
	for _, o := range objects {
		kind, body := o.kind, o.content
		if thin && len(o.older) > 0 {
			if delta := makeDelta(o.older, o.content); len(delta) < len(o.content)/2 {
				kind, body = kindRefDelta, delta
			}
		}
		b.Write(entryHeader(kind, len(body)))
		if kind == kindRefDelta {
			b.Write(o.base[:])
		}
		z.Reset(&b)
		if _, err := z.Write(body); err != nil {
			return nil, fmt.Errorf("packing objects: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("packing objects: %w", err)
		}
	}
	h := newHash()
	h.Write(b.Bytes()) //nolint:errcheck // a hash does not fail
	return h.Sum(b.Bytes()), nil
}

func entryHeader(kind byte, size int) []byte {
	c := kind<<4 | byte(size&0x0f)
	size >>= 4
	var header []byte
	for size > 0 {
		header = append(header, c|0x80)
		c = byte(size & 0x7f)
		size >>= 7
	}
	return append(header, c)
}

// makeDelta writes what changed as: copy the entries before the first change, insert, copy the entries behind the last change.
// Edits of one run are mostly next to each other, or few, so that the middle is small.
func makeDelta(older, newer []byte) []byte {
	prefix := 0
	for prefix < len(older) && prefix < len(newer) && older[prefix] == newer[prefix] {
		prefix++
	}
	suffix := 0
	for suffix < len(older)-prefix && suffix < len(newer)-prefix && older[len(older)-1-suffix] == newer[len(newer)-1-suffix] {
		suffix++
	}
	delta := appendDeltaSize(nil, len(older))
	delta = appendDeltaSize(delta, len(newer))
	delta = appendCopy(delta, 0, prefix)
	for middle := newer[prefix : len(newer)-suffix]; len(middle) > 0; {
		n := min(len(middle), 0x7f)
		delta = append(delta, byte(n))
		delta = append(delta, middle[:n]...)
		middle = middle[n:]
	}
	return appendCopy(delta, len(older)-suffix, suffix)
}

func appendDeltaSize(delta []byte, size int) []byte {
	for size >= 0x80 {
		delta = append(delta, byte(size)|0x80)
		size >>= 7
	}
	return append(delta, byte(size))
}

func appendCopy(delta []byte, offset, size int) []byte {
	for size > 0 {
		n := min(size, 0xffff)
		delta = append(delta, 0x80|0x0f|0x30, byte(offset), byte(offset>>8), byte(offset>>16), byte(offset>>24), byte(n), byte(n>>8))
		offset, size = offset+n, size-n
	}
	return delta
}
