package pack

import (
	"compress/zlib"
	"context"
	"errors"
	"io"
)

// Data is a pack as it came, in pieces of one size: a transfer grows without being copied, so that it never
// takes twice its size.
type Data struct {
	pieces [][]byte
	size   int
}

// Len is the size in bytes.
func (d *Data) Len() int { return d.size }

const pieceSize = 64 << 10

// Write adds to the end.
func (d *Data) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		last := len(d.pieces) - 1
		if last < 0 || len(d.pieces[last]) == pieceSize {
			d.pieces = append(d.pieces, make([]byte, 0, pieceSize))
			last++
		}
		piece := d.pieces[last]
		part := min(len(p), pieceSize-len(piece))
		d.pieces[last] = append(piece, p[:part]...)
		p = p[part:]
		d.size += part
	}
	return n, nil
}

// truncate takes the last n bytes away and returns them.
func (d *Data) truncate(n int) []byte {
	tail := make([]byte, n)
	(&packReader{data: d, at: d.size - n}).copyTo(tail)
	d.size -= n
	for len(d.pieces) > 0 {
		last := len(d.pieces) - 1
		if begin := last * pieceSize; begin < d.size {
			d.pieces[last] = d.pieces[last][:d.size-begin]
			break
		}
		d.pieces = d.pieces[:last]
	}
	return tail
}

// packReader reads a pack from a place on. It is an io.ByteReader, of which flate reads no byte too many.
type packReader struct {
	data *Data
	at   int
}

func (r *packReader) left() int { return r.data.size - r.at }

// Read implements io.Reader.
func (r *packReader) Read(p []byte) (int, error) {
	if r.left() <= 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data.pieces[r.at/pieceSize][r.at%pieceSize:])
	r.at += n
	return n, nil
}

// ReadByte implements io.ByteReader.
func (r *packReader) ReadByte() (byte, error) {
	if r.left() <= 0 {
		return 0, io.EOF
	}
	c := r.data.pieces[r.at/pieceSize][r.at%pieceSize]
	r.at++
	return c, nil
}

// copyTo fills p, as far as there is anything.
func (r *packReader) copyTo(p []byte) int {
	n := 0
	for n < len(p) {
		got, err := r.Read(p[n:])
		if n += got; err != nil {
			break
		}
	}
	return n
}

// zlibReader unpacks zlib streams out of packs, one after the other, with the same memory.
type zlibReader struct {
	source  packReader
	zlib    io.ReadCloser
	scratch []byte
}

func (r *zlibReader) begin(data *Data, at int) error {
	r.source = packReader{data: data, at: at}
	if r.zlib == nil {
		z, err := zlib.NewReader(&r.source)
		if err != nil {
			return Damaged("an object that is not compressed")
		}
		r.zlib = z
		return nil
	}
	resetter, ok := r.zlib.(zlib.Resetter)
	if !ok {
		return errors.New("compress/zlib cannot be reset")
	}
	if err := resetter.Reset(&r.source, nil); err != nil {
		return Damaged("an object that is not compressed")
	}
	return nil
}

// finish checks that the stream ends here, with its checksum, and returns the offset behind it.
func (r *zlibReader) finish() (int, error) {
	var one [1]byte
	if n, err := r.zlib.Read(one[:]); n != 0 || !errors.Is(err, io.EOF) {
		return 0, Damaged("an object of another size than announced")
	}
	return r.source.at, nil
}

// read unpacks an object that has exactly the size of content.
func (r *zlibReader) read(data *Data, at int, content []byte) (int, error) {
	if err := r.begin(data, at); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(r.zlib, content); err != nil {
		return 0, Damaged("an object of another size than announced")
	}
	return r.finish()
}

// skip unpacks without keeping anything.
func (r *zlibReader) skip(ctx context.Context, data *Data, at int, size int64) (int, error) {
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
			return 0, Damaged("an object of another size than announced")
		}
		if size > 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
	return r.finish()
}
