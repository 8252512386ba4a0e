package pack

// recentObjects keeps the objects that were unpacked last, within a bound: what falls out is unpacked again
// when somebody needs it. Two generations take the place of a list in order of use: when the young one is
// full, it becomes the old one, and that is forgotten.
type recentObjects struct {
	young, old map[int][]byte
	size       int // of the young generation
	arena      []byte
}

const (
	// generationSize bounds one generation in bytes. The directories of ten thousand clusters take 5 MB, both
	// generations together 8.
	generationSize = 4 << 20
	// keepingCost is about what it takes to keep an object beside its content.
	keepingCost = 64
	arenaSize   = 64 << 10
)

func (r *recentObjects) get(i int) ([]byte, bool) {
	if content, ok := r.young[i]; ok {
		return content, true
	}
	content, ok := r.old[i]
	if ok {
		r.put(i, content)
	}
	return content, ok
}

func (r *recentObjects) put(i int, content []byte) {
	if r.size += len(content) + keepingCost; r.size > generationSize || r.young == nil {
		r.young, r.old, r.size, r.arena = map[int][]byte{}, r.young, len(content)+keepingCost, nil
	}
	r.young[i] = content
}

// allocate gives small pieces out of large ones: a fetch has tens of thousands of small directories.
func (o *Objects) allocate(size int) []byte {
	if size > arenaSize/8 {
		return make([]byte, size)
	}
	if size > len(o.recent.arena) {
		o.recent.arena = make([]byte, arenaSize)
	}
	piece := o.recent.arena[:size:size]
	o.recent.arena = o.recent.arena[size:]
	return piece
}
