package pack

// apply applies a delta (gitformat-pack(5), "Deltified representation").
func (o *Objects) apply(base, delta []byte, limit int64) ([]byte, error) {
	baseSize, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	size, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	if baseSize != int64(len(base)) {
		return nil, Damaged("a delta for another base")
	}
	if size > limit {
		return nil, ErrObjectTooLarge
	}
	if err := o.spend(size); err != nil {
		return nil, err
	}
	out := o.allocate(int(size))
	rest := out
	for len(delta) > 0 {
		var piece []byte
		if piece, delta, err = deltaStep(base, delta); err != nil {
			return nil, err
		}
		if len(piece) > len(rest) {
			return nil, Damaged("a delta with too much in it")
		}
		rest = rest[copy(rest, piece):]
	}
	if len(rest) > 0 {
		return nil, Damaged("a delta with too little in it")
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
	return 0, nil, Damaged("a delta without a size")
}

// deltaStep reads one instruction: copy from the base, or take what follows.
func deltaStep(base, delta []byte) (piece, rest []byte, err error) {
	command := delta[0]
	delta = delta[1:]
	if command == 0 {
		return nil, nil, Damaged("an unknown delta instruction")
	}
	if command&0x80 == 0 {
		if int(command) > len(delta) {
			return nil, nil, Damaged("a delta that is cut off")
		}
		return delta[:command], delta[command:], nil
	}
	var operands [7]int
	for i := range operands {
		if command&(1<<i) == 0 {
			continue
		}
		if len(delta) == 0 {
			return nil, nil, Damaged("a delta that is cut off")
		}
		operands[i], delta = int(delta[0]), delta[1:]
	}
	offset := operands[0] | operands[1]<<8 | operands[2]<<16 | operands[3]<<24
	size := operands[4] | operands[5]<<8 | operands[6]<<16
	if size == 0 {
		size = 0x10000
	}
	if offset > len(base) || size > len(base)-offset {
		return nil, nil, Damaged("a delta that copies from outside its base")
	}
	return base[offset : offset+size], delta, nil
}
