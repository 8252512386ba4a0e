package githubtest

import (
	"net/http"
	"strconv"
	"time"
)

// rateSettings are what every budget begins with.
type rateSettings struct {
	limit int
	used  int
	reset time.Time
}

// budget is what one token, or everybody without one, has left this hour.
type budget struct {
	limit int
	used  int
	reset time.Time
}

// SetRateLimit gives every token, and requests without one, a budget of limit requests of which remaining are
// left until reset. Real requests use it up; when it is empty they are refused with 403 until then.
func (s *Server) SetRateLimit(limit, remaining int, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate = rateSettings{limit, limit - remaining, reset}
	s.budgets = map[string]*budget{}
}

func (s *Server) budget(c *call) *budget {
	value := ""
	if c.actor.token != nil {
		value = c.actor.token.value
	}
	b := s.budgets[value]
	if b == nil {
		b = &budget{limit: s.rate.limit, used: s.rate.used, reset: s.rate.reset}
		if b.reset.IsZero() {
			b.reset = s.now().Add(time.Hour)
		}
		s.budgets[value] = b
	}
	if !s.now().Before(b.reset) {
		b.used, b.reset = 0, s.now().Add(time.Hour)
	}
	return b
}

// free says that the request uses up nothing.
func (c *call) free() bool { return c.path == "/rate_limit" }

// spend takes one request off the budget and sets the headers. A budget that is empty already stays at one
// too many, which limited looks for.
func (s *Server) spend(c *call) {
	b := s.budget(c)
	if !c.free() {
		b.used = min(b.used+1, b.limit+1)
	}
	s.rateHeaders(c, b)
}

func (s *Server) refund(c *call) {
	b := s.budget(c)
	b.used = max(0, b.used-1)
	s.rateHeaders(c, b)
}

func (s *Server) rateHeaders(c *call, b *budget) {
	used := min(b.used, b.limit)
	c.header.Set("X-RateLimit-Limit", strconv.Itoa(b.limit))
	c.header.Set("X-RateLimit-Used", strconv.Itoa(used))
	c.header.Set("X-RateLimit-Remaining", strconv.Itoa(b.limit-used))
	c.header.Set("X-RateLimit-Reset", strconv.FormatInt(b.reset.Unix(), 10))
	c.header.Set("X-RateLimit-Resource", "core")
}

func (c *call) limited() *reply {
	b := c.s.budget(c)
	if c.free() || b.used <= b.limit {
		return nil
	}
	r := failure(http.StatusForbidden, primaryLimitMessage, primaryLimitDoc)
	return &r
}
