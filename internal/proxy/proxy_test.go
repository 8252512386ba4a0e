package proxy

import (
	"net/http"
	"net/url"
	"testing"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host   string
		status int
		want   string
	}{
		"it connects":        {"proxy.example:3128", 200, ""},
		"it is not allowed":  {"proxy.example:3128", 403, "403 Forbidden"},
		"a status of nobody": {"proxy.example:3128", 599, "599"},
		"a name that hides":  {"proxy\u202e.exam\u200bple:3128", 407, "407 Proxy Authentication Required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := &url.URL{Scheme: "http", User: url.UserPassword("ann", "sentinel"), Host: c.host}
			err := Answer(t.Context(), proxy, &http.Request{Host: "git.example:443"},
				&http.Response{StatusCode: c.status, Status: "403 no entry for ann:sentinel"})
			want := "the proxy proxy.example:3128 does not connect to git.example:443: " + c.want
			if (err == nil) != (c.want == "") || err != nil && err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
