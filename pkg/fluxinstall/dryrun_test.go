package fluxinstall

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// fluxConfig is an object as DryRunApply takes it; its kind is known without discovery.
func fluxConfig(name, branch string) map[string]any {
	return map[string]any{
		"apiVersion": "anywhere.eks.amazonaws.com/v1alpha1", "kind": "FluxConfig",
		"metadata": map[string]any{"name": name, "namespace": "default"},
		"spec":     map[string]any{"branch": branch, "github": map[string]any{"owner": "alice"}},
	}
}

// TestDryRunApply_verdicts shows how each kind of answer is read.
func TestDryRunApply_verdicts(t *testing.T) {
	t.Parallel()
	answer := func(code int, reason, message, details string) string {
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q,"details":%s}`,
			code, reason, message, details)
	}
	for _, tc := range []struct {
		name string
		code int
		body string
		want Verdict
	}{
		{name: "taken", code: 200, body: `{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"FluxConfig","metadata":{"name":"dev"}}`},
		{
			name: "invalid, with a repeated cause", code: 422, body: answer(422, "Invalid",
				`FluxConfig.anywhere.eks.amazonaws.com "dev" is invalid: spec.branch: Required value`,
				`{"causes":[{"reason":"FieldValueRequired","message":"Required value","field":"spec.branch"},{"reason":"FieldValueRequired","message":"Required value","field":"spec.branch"},{"message":"odd","field":"<nil>"}]}`),
			want: Verdict{Refusal: RefusedInvalid, Message: "spec.branch: Required value",
				Causes: []Cause{{Field: "spec.branch", Message: "Required value"}, {Message: "odd"}}},
		},
		{
			name: "a webhook's refusal", code: 403, body: answer(403, "Forbidden",
				`admission webhook "v.example.com" denied the request: no freezing on Fridays`, `{}`),
			want: Verdict{Refusal: RefusedByAdmission, Webhook: "v.example.com",
				Message: "no freezing on Fridays"},
		},
		{
			name: "a policy's refusal", code: 403, body: answer(403, "Forbidden",
				`fluxconfigs "dev" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
				`{}`),
			want: Verdict{Refusal: RefusedByAdmission, Message: `fluxconfigs "dev" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`},
		},
		{
			name: "a webhook's refusal as 500", code: 500, body: answer(500, "InternalError",
				`admission webhook "v.example.com" denied the request: broken`, `{}`),
			want: Verdict{Refusal: RefusedByAdmission, Webhook: "v.example.com", Message: "broken"},
		},
		{
			name: "fields that the kind does not have", code: 500, body: answer(500, "",
				"failed to create typed patch object (default/dev; x/v1, Kind=FluxConfig): errors:\n"+
					"  .spec.foo: field not declared in schema\n"+
					"  .spec.branch: expected string, got &value.valueUnstructured{Value:1}", `{}`),
			want: Verdict{
				Refusal: RefusedInvalid, Message: "failed to create typed patch object (default/dev; x/v1, " +
					"Kind=FluxConfig): errors:\n  .spec.foo: field not declared in schema\n" +
					"  .spec.branch: expected string, got &value.valueUnstructured{Value:1}",
				Causes: []Cause{{Field: "spec.foo", Message: "field not declared in schema"}, {
					Field: "spec.branch", Message: "expected string, got &value.valueUnstructured{Value:1}"}},
			},
		},
		{
			name: "one field that the kind does not have", code: 500, body: answer(500, "",
				"failed to create typed patch object (default/dev; x/v1, "+
					"Kind=FluxConfig): .spec.foo: field not declared in schema", `{}`),
			want: Verdict{
				Refusal: RefusedInvalid, Message: "failed to create typed patch object (default/dev; " +
					"x/v1, Kind=FluxConfig): .spec.foo: field not declared in schema",
				Causes: []Cause{{Field: "spec.foo", Message: "field not declared in schema"}},
			},
		},
		{
			name: "no namespace", code: 404, body: answer(404, "NotFound", `namespaces "default" not found`,
				`{"kind":"namespaces","name":"default"}`),
			want: Verdict{Refusal: RefusedNoNamespace, Message: "namespace default does not exist"},
		},
		{
			name: "a namespace that is going", code: 403, body: answer(403, "Forbidden",
				"unable to create new content in namespace default because it is being terminated",
				`{"causes":[{"reason":"NamespaceTerminating","message":"namespace default is being terminated","field":"metadata.namespace"}]}`),
			want: Verdict{Refusal: RefusedNoNamespace, Message: "namespace default is being deleted"},
		},
		{
			name: "no kind", code: 404, body: answer(404, "NotFound",
				"the server could not find the requested resource", `{}`),
			want: Verdict{Refusal: RefusedNoKind,
				Message: "the cluster has no kind FluxConfig in anywhere.eks.amazonaws.com/v1alpha1"},
		},
		{
			name: "a webhook that does not answer", code: 500, body: answer(500, "InternalError",
				`Internal error occurred: failed calling webhook "v.example.com": refused`, `{}`),
			want: Verdict{Refusal: RefusedNoAnswer,
				Message: `Internal error occurred: failed calling webhook "v.example.com": refused`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
				query := r.URL.Query()
				if r.Method != http.MethodPatch ||
					r.Header.Get("Content-Type") != "application/apply-patch+yaml" ||
					query.Get("dryRun") != "All" || query.Get("force") != "true" ||
					query.Get("fieldManager") != "kustomize-controller" {
					t.Errorf("request %s %s", r.Method, r.URL)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.code)
				fmt.Fprint(w, tc.body)
			})
			c.backoff.total = 20 * time.Millisecond
			verdicts, err := c.DryRunApply(t.Context(), []map[string]any{fluxConfig("dev", "main")})
			if err != nil {
				t.Fatal(err)
			}
			tc.want.APIVersion, tc.want.Kind, tc.want.Namespace, tc.want.Name =
				"anywhere.eks.amazonaws.com/v1alpha1", "FluxConfig", "default", "dev"
			if want := []Verdict{tc.want}; !reflect.DeepEqual(verdicts, want) {
				t.Errorf("got  %+v\nwant %+v", verdicts, want)
			}
			if verdicts[0].Accepted() != (tc.code == 200) {
				t.Error("Accepted() is wrong")
			}
		})
	}
}

// TestDryRunApply_order shows that verdicts come in the order of the objects, and that the objects stay as
// they were.
func TestDryRunApply_order(t *testing.T) {
	t.Parallel()
	c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/b") {
			status(w, 422, "Invalid", "no")
			return
		}
		body(w, `{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"FluxConfig","metadata":{"name":"x","uid":"1"}}`)
	})
	objects := []map[string]any{fluxConfig("a", "main"), fluxConfig("b", "main"), fluxConfig("c", "main")}
	verdicts, err := c.DryRunApply(t.Context(), objects)
	if err != nil || len(verdicts) != 3 {
		t.Fatalf("%v, %v", verdicts, err)
	}
	for i, name := range []string{"a", "b", "c"} {
		if v := verdicts[i]; v.Name != name || v.Accepted() != (name != "b") {
			t.Errorf("verdict %d is %+v", i, v)
		}
		if !reflect.DeepEqual(objects[i], fluxConfig(name, "main")) {
			t.Errorf("object %s was changed: %v", name, objects[i])
		}
	}
	if none, err := c.DryRunApply(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no objects give %v, %v", none, err)
	}
}

// TestDryRunApply_live shows that a refused change names the fields that would change and what the cluster
// has there.
func TestDryRunApply_live(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, live string
		want       []Cause
	}{
		{
			"the branch differs, defaults do not count", `{"branch":"main","systemNamespace":"flux-system","github":{"owner":"alice","personal":false}}`,
			[]Cause{{Field: "spec.branch", Message: "Forbidden: config is immutable", Live: `"main"`}},
		},
		{"nothing that can be seen", `{"branch":"next","github":{"owner":"alice"}}`,
			[]Cause{{Field: "spec", Message: "Forbidden: config is immutable"}}},
		{
			"two fields, one of them new", `{"github":{"owner":"bob"}}`,
			[]Cause{{Field: "spec.branch", Message: "Forbidden: config is immutable"},
				{Field: "spec.github.owner", Message: "Forbidden: config is immutable", Live: `"bob"`}},
		},
		{"it cannot be read", "", []Cause{{Field: "spec", Message: "Forbidden: config is immutable"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPatch:
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(422)
					fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":422,"reason":"Invalid","message":"admission webhook \"v\" denied the request: FluxConfig.x \"dev\" is invalid: spec: Forbidden: config is immutable","details":{"causes":[{"field":"spec","message":"Forbidden: config is immutable"}]}}`)
				case tc.live == "":
					status(w, 403, "Forbidden", "no")
				default:
					body(w,
						`{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"FluxConfig","metadata":{"name":"dev"},"spec":`+
							tc.live+`}`)
				}
			})
			verdicts, err := c.DryRunApply(t.Context(), []map[string]any{fluxConfig("dev", "next")})
			if err != nil {
				t.Fatal(err)
			}
			v := verdicts[0]
			if v.Message != "spec: Forbidden: config is immutable" || v.Webhook != "v" ||
				!reflect.DeepEqual(v.Causes, tc.want) {
				t.Errorf("got %+v\nwant causes %+v", v, tc.want)
			}
		})
	}
}

// TestDryRunApply_noVerdict shows what is an error: missing rights, each once and beside the other verdicts,
// and no contact.
func TestDryRunApply_noVerdict(t *testing.T) {
	t.Parallel()
	t.Run("rights", func(t *testing.T) {
		t.Parallel()
		c := apiServer(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/ok") {
				body(w, `{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"FluxConfig","metadata":{"name":"ok"}}`)
				return
			}
			status(w, 403, "Forbidden", `fluxconfigs.anywhere.eks.amazonaws.com is forbidden: User "u" cannot patch resource "fluxconfigs" in API group "anywhere.eks.amazonaws.com" in the namespace "default"`)
		})
		verdicts, err := c.DryRunApply(t.Context(),
			[]map[string]any{fluxConfig("a", "main"), fluxConfig("ok", "main"), fluxConfig("b", "main")})
		refused := new(ForbiddenError)
		if len(verdicts) != 1 || verdicts[0].Name != "ok" || !errors.As(err, &refused) ||
			refused.Verb != "patch" || strings.Count(err.Error(), "cannot patch") != 1 {
			t.Errorf("got %+v, %v", verdicts, err)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		t.Parallel()
		c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
			status(w, 401, "Unauthorized", "Unauthorized")
		})
		_, err := c.DryRunApply(t.Context(), []map[string]any{fluxConfig("a", "main")})
		if refused := new(ForbiddenError); !errors.As(err, &refused) || !refused.Unknown {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no contact", func(t *testing.T) {
		t.Parallel()
		verdicts, err := connectTo(t, "http://127.0.0.1:1").DryRunApply(t.Context(),
			[]map[string]any{fluxConfig("a", "main"), fluxConfig("b", "main")})
		if !errors.As(err, new(*UnreachableError)) || len(verdicts) != 0 {
			t.Errorf("got %v, %v", verdicts, err)
		}
	})
	t.Run("a server that is restarting is asked again", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		calls := 0
		c := apiServer(t, func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls < 3 {
				status(w, 503, "ServiceUnavailable", "starting")
				return
			}
			body(w, `{"apiVersion":"anywhere.eks.amazonaws.com/v1alpha1","kind":"FluxConfig","metadata":{"name":"a"}}`)
		})
		verdicts, err := c.DryRunApply(t.Context(), []map[string]any{fluxConfig("a", "main")})
		if err != nil || len(verdicts) != 1 || !verdicts[0].Accepted() {
			t.Errorf("got %v, %v", verdicts, err)
		}
	})
}
