package pack

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
)

// Write packs objects. Directories are written as differences to the older ones that the server has, unless
// it cannot use such a thin pack: in a repository of ten thousand clusters, one of them is then a few hundred
// bytes on the wire, not a third of a megabyte.
func Write(objects []Object, thin bool) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("PACK")
	header := binary.BigEndian.AppendUint32(nil, 2)
	b.Write(binary.BigEndian.AppendUint32(header, uint32(len(objects))))
	z := zlib.NewWriter(&b)
	for _, o := range objects {
		kind, body := o.Kind, o.Content
		if thin && o.Delta != nil && len(o.Delta) < len(o.Content) {
			kind, body = kindRefDelta, o.Delta
		}
		b.Write(entryHeader(kind, len(body)))
		if kind == kindRefDelta {
			b.Write(o.Base[:])
		}
		z.Reset(&b)
		if _, err := z.Write(body); err != nil {
			return nil, fmt.Errorf("packing objects: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("packing objects: %w", err)
		}
	}
	h := NewHash()
	h.Write(b.Bytes()) // a hash does not fail
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

// DeltaWriter makes an object out of pieces of an older one and new ones, and the delta that says so
// (gitformat-pack(5), "Deltified representation").
type DeltaWriter struct {
	// Content is the new object, as far as it was made.
	Content []byte
	steps   []byte
	from    int // where the piece of the older object that is being copied begins
	length  int // of that piece
}

// Copy takes over a piece of the older object, which begins at a place in it.
func (w *DeltaWriter) Copy(at int, piece []byte) {
	if w.from+w.length != at {
		w.flush()
		w.from = at
	}
	w.length += len(piece)
	w.Content = append(w.Content, piece...)
}

// Insert adds a new piece.
func (w *DeltaWriter) Insert(piece []byte) {
	w.flush()
	w.Content = append(w.Content, piece...)
	for len(piece) > 0 {
		n := min(len(piece), 0x7f)
		w.steps = append(append(w.steps, byte(n)), piece[:n]...)
		piece = piece[n:]
	}
}

func (w *DeltaWriter) flush() {
	w.steps = appendCopy(w.steps, w.from, w.length)
	w.from, w.length = w.from+w.length, 0
}

// Finish returns the delta to an older object of this size. The writer cannot be used any more.
func (w *DeltaWriter) Finish(olderSize int) []byte {
	w.flush()
	delta := appendDeltaSize(make([]byte, 0, len(w.steps)+16), olderSize)
	return append(appendDeltaSize(delta, len(w.Content)), w.steps...)
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
		delta = append(delta, 0x80|0x0f|0x30, byte(offset), byte(offset>>8), byte(offset>>16),
			byte(offset>>24), byte(n), byte(n>>8))
		offset, size = offset+n, size-n
	}
	return delta
}
