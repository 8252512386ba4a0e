package pack

import "github.com/go-git/go-git/v5/plumbing"

const (
	packHeaderSize  = 12
	packTrailerSize = 20
	// minEntrySize is the smallest entry: one byte of header and the smallest zlib stream.
	minEntrySize = 9
	// maxRatio is more than deflate can compress: 1032 to 1.
	maxRatio = 1100
)

// packedHeader is what stands before the compressed content of an object.
type packedHeader struct {
	kind     byte  // as in the pack
	size     int64 // of the content, or of the delta
	body     int   // where the compressed content begins
	distance int64 // of a delta by offset: how far before it its base begins
	ref      plumbing.Hash
}

// readHeader reads the type, size and base of the entry at an offset.
func readHeader(data *Data, offset int) (packedHeader, error) {
	var h packedHeader
	r := packReader{data: data, at: offset}
	next := func() (byte, error) {
		c, err := r.ReadByte()
		if err != nil {
			return 0, Damaged("cut off")
		}
		return c, nil
	}
	c, err := next()
	if err != nil {
		return h, err
	}
	h.kind = c >> 4 & 7
	h.size = int64(c & 0x0f)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if shift > 53 {
			return h, Damaged("an impossible size")
		}
		if c, err = next(); err != nil {
			return h, err
		}
		h.size |= int64(c&0x7f) << shift
	}
	switch h.kind {
	case Commit, Tree, Blob, Tag:
	case kindOfsDelta:
		if c, err = next(); err != nil {
			return h, err
		}
		h.distance = int64(c & 0x7f)
		for c&0x80 != 0 {
			if h.distance > int64(data.size) {
				return h, Damaged("a delta without a base")
			}
			if c, err = next(); err != nil {
				return h, err
			}
			h.distance = (h.distance+1)<<7 | int64(c&0x7f)
		}
	case kindRefDelta:
		if r.copyTo(h.ref[:]) < len(h.ref) {
			return h, Damaged("cut off")
		}
	default:
		return h, Damaged("an object of type %d", h.kind)
	}
	h.body = r.at
	if h.size > int64(r.left())*maxRatio {
		return h, Damaged("an impossible size")
	}
	return h, nil
}
