package text_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
)

// What the libraries of this build say is what is translated: the errors are made by them.
func TestPlain(t *testing.T) {
	t.Parallel()
	_, notBool := strconv.ParseBool("may\"be")
	_, notInt := strconv.ParseInt("ten", 10, 64)
	_, notUint := strconv.ParseUint("-1", 10, 64)
	_, notNumber := strconv.Atoi("x")
	_, large := strconv.ParseInt("99999999999999999999", 10, 64)
	_, notFloat := strconv.ParseFloat("y", 64)
	_, notTime := time.ParseDuration("soon")
	_, noUnit := time.ParseDuration("10")
	_, oddUnit := time.ParseDuration("10days")
	late, cancel := context.WithTimeout(t.Context(), 0)
	cancel()
	<-late.Done()
	over, end := context.WithCancel(t.Context())
	end()
	for _, tc := range []struct {
		err  error
		want string
	}{
		{notBool, "must be true or false"}, {notInt, "must be a whole number"},
		{notUint, "must be a whole number"}, {notNumber, "must be a whole number"},
		{large, "is too large or too small"}, {notFloat, "must be a number"},
		{notTime, "must be a time such as 30s, 10m or 1h30m"},
		{noUnit, "must be a time such as 30s, 10m or 1h30m"},
		{oddUnit, "must be a time such as 30s, 10m or 1h30m"},
		{late.Err(), "it took too long"}, {over.Err(), "interrupted"},
		{fmt.Errorf("client rate limiter Wait returned an error: %w", late.Err()), "no answer in time"},
	} {
		said := fmt.Sprintf("reading x: %v; go on", tc.err)
		if got, want := text.Plain(said), "reading x: "+tc.want+"; go on"; got != want {
			t.Errorf("%s: %q, want %q", tc.err, got, want)
		}
	}
	if same := "Kustomization a/b is not ready: dependency not ready"; text.Plain(same) != same {
		t.Errorf("%q is changed", same)
	}
}
