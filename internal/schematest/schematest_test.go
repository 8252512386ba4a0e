package schematest_test

import (
	"strings"
	"testing"

	"github.com/eksa-gitops/eksa-gitops/internal/schematest"
)

// What is not as the schemas say is found, at whatever depth.
func TestCheck(t *testing.T) {
	t.Parallel()
	schemas, err := schematest.Published()
	if err != nil {
		t.Fatal(err)
	}
	const (
		event = `{"event":"begin","step":"Push","time":"2026-01-02T03:04:05Z"}`
		list  = `{"version":"eksa-gitops/v1","command":"get clusters","managementCluster":"mgmt","clusters":[` +
			`{"name":"dev","namespace":"default","role":"workload","managementCluster":"mgmt","controlPlane":{"desired":1},` +
			`"workers":{"desired":1},"ready":true,"created":"2026-01-02T03:04:05Z"}],"exitCode":0}`
	)
	for _, test := range []struct{ name, printed, want string }{
		{"an event", event, ""},
		{"a list", list, ""},
		{"two objects", event + "\n" + list + "\n", ""},
		{"nothing", "", "nothing was printed"},
		{"text", "done\n", "no JSON object"},
		{"a list of values", "[]", "no JSON object"},
		{"half an object", list[:len(list)-1], "no JSON object"},
		{"no kind", `{"command":"dance"}`, `an object of "dance" is of no kind`},
		{"the second object", event + strings.Replace(event, "begin", "start", 1), "at '/event'"},
		{"a field that is not known", strings.Replace(list, `"exitCode"`, `"more":1,"exitCode"`, 1),
			"'more' not allowed"},
		{"one below", strings.Replace(list, `"ready"`, `"more":1,"ready"`, 1), "at '/clusters/0'"},
		{"one below that", strings.Replace(list, `{"desired":1}`, `{"desired":1,"more":1}`, 1),
			"at '/clusters/0/controlPlane'"},
		{"a field that is missing", strings.Replace(list, `,"exitCode":0`, "", 1),
			"missing property 'exitCode'"},
		{"a list that is null", list[:strings.Index(list, "[")] + `null,"exitCode":0}`,
			"got null, want array"},
		{"a value of no constant", strings.Replace(list, "workload", "worker", 1), "at '/clusters/0/role'"},
		{"no whole number", strings.Replace(list, `"exitCode":0`, `"exitCode":0.5`, 1), "at '/exitCode'"},
		{"no time", strings.Replace(list, "2026-01-02T", "yesterday ", 1), "at '/clusters/0/created'"},
		{"another version", strings.Replace(list, "gitops/v1", "gitops/v2", 1), "at '/version'"},
	} {
		err := schemas.Check([]byte(test.printed))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// A directory without schemas would let everything pass.
func TestRead_nothing(t *testing.T) {
	t.Parallel()
	if _, err := schematest.Read(t.TempDir()); err == nil {
		t.Error("no error")
	}
}
