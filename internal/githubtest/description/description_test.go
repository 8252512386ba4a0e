package description_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/githubtest/description"
)

func one(t *testing.T, version, method, path string) *description.Operation {
	t.Helper()
	operations := description.Cloud(version, description.Name{Method: method, Path: path})
	if len(operations) != 1 {
		t.Fatalf("%d operations", len(operations))
	}
	return operations[0]
}

const keys = "/repos/{owner}/{repo}/keys"

// A request is held against all that the description says: what GitHub would overlook is a problem too, and
// what it refuses comes with its words.
func TestCheckRequest(t *testing.T) {
	t.Parallel()
	repo := map[string]string{"owner": "acme", "repo": "fleet"}
	for name, tc := range map[string]struct {
		method, path, query, body string
		want                      []description.Problem
	}{
		"right": {"POST", keys, "", `{"title":"t","key":"ssh-ed25519 AAAA","read_only":true}`, nil},
		"pages": {"GET", keys, "?per_page=100&page=2", "", nil},
		"unknown query": {"GET", keys, "?per_pag=100", "",
			[]description.Problem{{Text: `unknown query parameter "per_pag"`}}},
		"type of a query": {"GET", keys, "?page=two", "", []description.Problem{
			{Text: "query parameter page: value two: an invalid integer: invalid syntax"}}},
		"value of a query": {"GET", "/repos/{owner}/{repo}/pulls", "?state=gone", "", []description.Problem{
			{Text: `query parameter state: value is not one of the allowed values ["open","closed","all"]`}}},
		"unknown field": {"POST", keys, "", `{"key":"k","readonly":true}`,
			[]description.Problem{{Text: `unknown field "readonly"`}}},
		"missing field": {"POST", keys, "", `{}`, []description.Problem{{Text: `missing field "key"`,
			Status: 422, Message: "Invalid request.\n\n\"key\" wasn't supplied."}}},
		"type": {"POST", keys, "", `{"key":7}`, []description.Problem{{Text: `field "key" is no string`,
			Status: 422, Message: "Invalid request.\n\nFor 'properties/key', 7 is not a string."}}},
		"value": {"PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", "", `{"merge_method":"fast"}`,
			[]description.Problem{
				{Text: `body /merge_method: value is not one of the allowed values ["merge","squash","rebase"]`}}},
		"no JSON": {"POST", keys, "", `key`, []description.Problem{
			{Text: "body is no JSON object: invalid character 'k' looking for beginning of value",
				Status: 400, Message: "Problems parsing JSON"}}},
		"a body where none is": {"GET", keys, "", `{}`, []description.Problem{{Text: "unexpected body"}}},
		"path": {"GET", "/repos/{owner}/{repo}/keys/{key_id}", "", "", []description.Problem{
			{Text: "path parameter key_id: value first: an invalid integer: invalid syntax"}}},
		"an empty path": {"GET", "/repos/{owner}/{repo}/contents/{path}", "", "", nil},
	} {
		params := map[string]string{"owner": "acme", "repo": "fleet", "pull_number": "1", "key_id": "first",
			"path": ""}
		r := httptest.NewRequestWithContext(t.Context(), tc.method, "https://github.test/x"+tc.query, nil)
		if _, got := one(t, "2022-11-28", tc.method, tc.path).CheckRequest(r, params,
			[]byte(tc.body)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://github.test/x", nil)
	body, _ := one(t, "2022-11-28", "POST", keys).CheckRequest(r, repo, []byte(`{"key":"k"}`))
	if len(body) != 1 || body["key"] != "k" {
		t.Errorf("body %v", body)
	}
}

// An answer is held against the schema of its status in the version that was asked for.
func TestCheckResponse(t *testing.T) {
	t.Parallel()
	const limits = `{"limit":1,"used":0,"remaining":1,"reset":1}`
	const json = "application/json; charset=utf-8"
	key := `{"id":1,"key":"k","url":"https://github.test/1","title":"t","verified":true,"created_at":"2026-11-30T00:00:00Z","read_only":true}`
	for name, tc := range map[string]struct {
		version, method, path string
		status                int
		kind, body            string
		want                  []string
	}{
		"right": {"2022-11-28", "POST", keys, 201, json, key, nil},
		"missing field": {"2022-11-28", "POST", keys, 201, json, strings.Replace(key, `"id":1,`, "", 1),
			[]string{`/id: property "id" is missing`}},
		"type": {"2022-11-28", "POST", keys, 201, json, strings.Replace(key, `"id":1`, `"id":"1"`, 1),
			[]string{"/id: value must be an integer"}},
		"null": {"2022-11-28", "POST", keys, 201, json, strings.Replace(key, `"key":"k"`, `"key":null`, 1),
			[]string{"/key: Value is not nullable"}},
		"invented field": {"2022-11-28", "POST", keys, 201, json,
			strings.Replace(key, `"id":1`, `"id":1,"fingerprint":"f"`, 1),
			[]string{"/fingerprint: not described"}},
		"no JSON": {"2022-11-28", "POST", keys, 201, json, "<html>",
			[]string{"status 201 has no JSON: invalid character '<' looking for beginning of value"}},
		"content type": {"2022-11-28", "POST", keys, 201, "text/html", key,
			[]string{`status 201 has the content type "text/html"`}},
		"no body": {"2022-11-28", "DELETE", keys + "/{key_id}", 204, "", "x",
			[]string{"status 204 has a body"}},
		"an error without its form": {"2022-11-28", "POST", keys, 422, json,
			`{"message":"Validation Failed","errors":[{"message":"m"}]}`,
			[]string{`/documentation_url: property "documentation_url" is missing`,
				`/errors/0/code: property "code" is missing`}},
		"an error that is not listed": {"2022-11-28", "POST", keys, 404, json, `{"message":404}`,
			[]string{"/message: value must be a string"}},
		"an older version": {"2022-11-28", "GET", "/rate_limit", 200, json,
			`{"resources":{"core":` + limits + `,"search":` + limits + `}}`,
			[]string{`/rate: property "rate" is missing`}},
		"a newer version": {"2026-03-10", "GET", "/rate_limit", 200, json,
			`{"resources":{"core":` + limits + `,"search":` + limits + `}}`, nil},
	} {
		if got := one(t, tc.version, tc.method, tc.path).CheckResponse(tc.status, tc.kind,
			[]byte(tc.body)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	o := one(t, "2022-11-28", "POST", keys)
	if !o.Documents(201) || o.Documents(404) {
		t.Error("the statuses of creating a deploy key are others than 201 and 422")
	}
}

// What only some servers say names them; what all say does not.
func TestAgreed(t *testing.T) {
	t.Parallel()
	operations := description.Enterprise(description.Name{Method: "GET", Path: "/meta"})
	var servers []string
	got := description.Agreed(operations, func(o *description.Operation) []string {
		servers = append(servers, o.String())
		if len(servers) == 1 {
			return []string{"one", "all"}
		}
		return []string{"all"}
	})
	if want := []string{"ghes-3.17.2022-11-28", "ghes-3.18.2022-11-28",
		"ghes-3.19.2022-11-28"}; !slices.Equal(servers, want) {
		t.Errorf("servers %v, want %v", servers, want)
	}
	if want := []string{"one (ghes-3.17.2022-11-28)", "all"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
