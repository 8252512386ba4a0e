package description

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// Problem is something in a request that the description does not allow.
type Problem struct {
	Text string
	// Status and Message are how GitHub refuses the request; when Status is 0, it overlooks the problem.
	Status  int
	Message string
}

// CheckRequest checks a request: its query, the parameters in its path, and its body. The body is returned as
// far as it is an object.
func (o *Operation) CheckRequest(r *http.Request, params map[string]string,
	raw []byte) (body map[string]any, problems []Problem) {
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if o.route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			problems = append(problems, Problem{Text: fmt.Sprintf("unknown query parameter %q", name)})
		}
	}
	body, wrong := o.checkBody(raw)
	problems = append(problems, wrong...)
	if len(problems) > 0 {
		return body, problems
	}
	for _, text := range o.validate(r, params, raw, query) {
		problems = append(problems, Problem{Text: text})
	}
	return body, problems
}

// checkBody finds what is wrong with a body at its first level, in the words of GitHub's refusals.
func (o *Operation) checkBody(raw []byte) (map[string]any, []Problem) {
	schema := o.bodySchema()
	if schema == nil {
		if len(bytes.TrimSpace(raw)) > 0 {
			return nil, []Problem{{Text: "unexpected body"}}
		}
		return nil, nil
	}
	body := map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &body); err != nil {
			return nil, []Problem{{fmt.Sprintf("body is no JSON object: %v", err), http.StatusBadRequest,
				"Problems parsing JSON"}}
		}
	}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(body)) {
		property := schema.Properties[name]
		switch {
		case property == nil || property.Value == nil:
			problems = append(problems, Problem{Text: fmt.Sprintf("unknown field %q", name)})
		case !hasType(property.Value, body[name]):
			kind := strings.Join(property.Value.Type.Slice(), " or ")
			problems = append(problems, Problem{fmt.Sprintf("field %q is no %s", name, kind),
				http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\n"+
					"For 'properties/%s', %v is not a %s.", name, body[name], kind)})
		}
	}
	var missing []string
	for _, name := range schema.Required {
		if body[name] == nil {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}
	if len(missing) > 0 {
		list := strings.Join(missing, ", ")
		problems = append(problems, Problem{"missing field " + list, http.StatusUnprocessableEntity,
			"Invalid request.\n\n" + list + " wasn't supplied."})
	}
	return body, problems
}

func (o *Operation) bodySchema() *openapi3.Schema {
	if o.route.Operation.RequestBody == nil {
		return nil
	}
	media := o.route.Operation.RequestBody.Value.Content.Get("application/json")
	if media == nil || media.Schema == nil {
		return nil
	}
	return media.Schema.Value
}

// hasType says whether a value is of the property's type; null passes, which GitHub takes for left out.
func hasType(property *openapi3.Schema, value any) bool {
	if value == nil || property.Type == nil {
		return true
	}
	switch v := value.(type) {
	case string:
		return property.Type.Includes(openapi3.TypeString)
	case bool:
		return property.Type.Includes(openapi3.TypeBoolean)
	case float64:
		return property.Type.Includes(openapi3.TypeNumber) ||
			property.Type.Includes(openapi3.TypeInteger) && v == float64(int64(v))
	case map[string]any:
		return property.Type.Includes(openapi3.TypeObject)
	default:
		return property.Type.Includes(openapi3.TypeArray)
	}
}

// validate is the full check of a request in which nothing simple is wrong.
func (o *Operation) validate(r *http.Request, params map[string]string, raw []byte,
	query url.Values) []string {
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	r.Method = o.route.Method // not HEAD
	given := maps.Clone(params)
	for _, p := range o.route.Operation.Parameters {
		if p.Value.In == openapi3.ParameterInPath && given[p.Value.Name] == "" {
			given[p.Value.Name] = "." // the root of a repository's contents
		}
	}
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: given, QueryParams: query, Route: o.route,
		Options: &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
	return texts("", err)
}

// texts takes an error of the library apart, into one text a fault. It does not use errors.As, which finds
// the first of several only.
func texts(where string, err error) (list []string) {
	switch e := err.(type) {
	case nil:
		return nil
	case openapi3.MultiError:
		for _, one := range e {
			list = append(list, texts(where, one)...)
		}
		return list
	case *openapi3filter.RequestError:
		place := "body"
		if e.Parameter != nil {
			place = e.Parameter.In + " parameter " + e.Parameter.Name
		}
		if e.Err != nil {
			return texts(place, e.Err)
		}
		return []string{place + ": " + e.Reason}
	case *openapi3.SchemaError:
		if path := e.JSONPointer(); len(path) > 0 {
			where = strings.TrimSpace(where + " /" + strings.Join(path, "/"))
		}
		// Of alternatives, what is wrong with each.
		if alternatives := errors.Unwrap(errors.Unwrap(e.Origin)); alternatives != nil {
			return texts(where, alternatives)
		}
		return []string{strings.TrimPrefix(where+": "+e.Reason, ": ")}
	default:
		return []string{strings.TrimPrefix(where+": "+err.Error(), ": ")}
	}
}
