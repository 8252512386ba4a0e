// Package spelling finds what was probably meant by a misspelled name.
package spelling

import "strings"

// Nearest gives the candidate that was probably meant by a misspelled word, or "".
func Nearest(word string, candidates []string) string {
	const longest = 64 // no name is longer, and the work grows with the product of the lengths
	if word == "" || len(word) > longest {
		return ""
	}
	best, bestDistance := "", 0
	for _, candidate := range candidates {
		if strings.EqualFold(word, candidate) {
			return candidate
		}
		distance := Distance(strings.ToLower(word), strings.ToLower(candidate))
		// A third of the word may be wrong, and not more than four letters: two of a word of four are too
		// many, and long words share long endings.
		if limit := min(max(len(candidate), len(word))/3, 4); distance > max(limit, 1) ||
			distance >= len(word) {
			continue
		}
		if best == "" || distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	if best == "" {
		best = contained(word, candidates)
	}
	return best
}

// contained finds the one candidate that holds the word or is held by it, as "workerNodeGroups" is by the
// full name.
func contained(word string, candidates []string) string {
	found := ""
	for _, candidate := range candidates {
		short, long := strings.ToLower(word), strings.ToLower(candidate)
		if len(short) > len(long) {
			short, long = long, short
		}
		short = strings.TrimSuffix(short, "s")
		if len(short) < 4 || !strings.Contains(long, short) {
			continue
		}
		if found != "" {
			return ""
		}
		found = candidate
	}
	return found
}

// Distance counts the letters to insert, delete, replace or swap with their neighbour to turn a into b. It
// works on bytes, and its work grows with the product of the lengths.
func Distance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
