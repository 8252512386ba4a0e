package description

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Documents says whether the description lists a status among the operation's answers.
func (o *Operation) Documents(status int) bool {
	return o.route.Operation.Responses.Status(status) != nil
}

// CheckResponse checks an answer's body against the one that the description lists for its status; where it
// lists none, a redirect's or an error's against GitHub's usual form of them.
func (o *Operation) CheckResponse(status int, contentType string, body []byte) []string {
	var content openapi3.Content
	if response := o.route.Operation.Responses.Status(status); response != nil {
		content = response.Value.Content
	}
	if len(content) == 0 {
		content = o.errorContent(status)
	}
	if len(content) == 0 {
		if len(body) > 0 {
			return []string{fmt.Sprintf("status %d has a body", status)}
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	media := content[kind]
	if err != nil || media == nil {
		return []string{fmt.Sprintf("status %d has the content type %q", status, contentType)}
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{fmt.Sprintf("status %d has no JSON: %v", status, err)}
	}
	list := texts("", media.Schema.Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsResponse(),
		openapi3.EnableFormatValidation()))
	if status < http.StatusMultipleChoices {
		list = append(list, undescribed("", []*openapi3.Schema{media.Schema.Value}, value)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// undescribed finds fields that no schema of a place describes. GitHub may send more than it describes; a
// client cannot rely on it, so the test server sends nothing of the kind.
func undescribed(where string, schemas []*openapi3.Schema, value any) (list []string) {
	schemas = alternatives(schemas)
	switch v := value.(type) {
	case []any:
		var items []*openapi3.Schema
		for _, s := range schemas {
			if s.Items != nil {
				items = append(items, s.Items.Value)
			}
		}
		for _, item := range v {
			list = append(list, undescribed(where+"/*", items, item)...)
		}
	case map[string]any:
		known, open := map[string][]*openapi3.Schema{}, true
		for _, s := range schemas {
			open = open && len(s.Properties) == 0 || s.AdditionalProperties.Schema != nil
			for name, p := range s.Properties {
				known[name] = append(known[name], p.Value)
			}
		}
		for name, field := range v {
			switch inner := known[name]; {
			case inner != nil:
				list = append(list, undescribed(where+"/"+name, inner, field)...)
			case !open:
				list = append(list, where+"/"+name+": not described")
			}
		}
	}
	return list
}

// alternatives are schemas with all that they are put together from.
func alternatives(schemas []*openapi3.Schema) (all []*openapi3.Schema) {
	for _, s := range schemas {
		all = append(all, s)
		for _, ref := range slices.Concat(s.OneOf, s.AnyOf, s.AllOf) {
			all = append(all, alternatives([]*openapi3.Schema{ref.Value})...)
		}
	}
	return all
}

// errorContent is the usual form of an error's body.
func (o *Operation) errorContent(status int) openapi3.Content {
	name := "basic-error"
	if status == http.StatusUnprocessableEntity {
		name = "validation-error"
	}
	schema := o.document.spec.Components.Schemas[name]
	if status < http.StatusMultipleChoices || status == http.StatusNotModified || schema == nil {
		return nil
	}
	return openapi3.NewContentWithJSONSchemaRef(schema)
}

// Agreed merges what several descriptions say about the same thing: what only some say names them.
func Agreed(operations []*Operation, check func(*Operation) []string) []string {
	var order []string
	said := map[string][]string{}
	for _, o := range operations {
		for _, text := range check(o) {
			if said[text] == nil {
				order = append(order, text)
			}
			said[text] = append(said[text], o.String())
		}
	}
	for i, text := range order {
		if len(said[text]) < len(operations) {
			order[i] = text + " (" + strings.Join(said[text], ", ") + ")"
		}
	}
	return order
}
