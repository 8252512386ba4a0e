package githubtest

// Lag is how many requests find nothing yet of a repository that the API has just created: GitHub answers
// from several machines, and not all of them know it at once. Reads and writes of the API, and Git, over
// HTTPS or SSH, have their own machines.
type Lag struct{ Reads, Writes, Git int }

// usualLag is the lag of a server that was not told otherwise.
var usualLag = Lag{Reads: 1, Writes: 1, Git: 1}

// SetCreationLag makes repositories that the API creates from now on answer "not found" to so many requests
// of each kind. The default is one of each; a test that counts requests sets the zero Lag.
func (s *Server) SetCreationLag(l Lag) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.createLag = l
}

// DelayVisibility makes repositories that the API creates from now on answer 404 to their first n reads, and
// nothing else.
func (s *Server) DelayVisibility(n int) { s.SetCreationLag(Lag{Reads: n}) }

// late uses up one request of a kind and says whether it came too early.
func late(left *int) bool {
	if *left == 0 {
		return false
	}
	*left--
	return true
}
