package clusterspec

import (
	"encoding/json"
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestScalar_asEKSAnywhereReads reads values that YAML's versions disagree about with EKS Anywhere's own
// library, and makes sure that each means the same here, or is refused.
func TestScalar_asEKSAnywhereReads(t *testing.T) {
	t.Parallel()
	refused := map[string]bool{
		".inf": true, ".Inf": true, "-.inf": true, "+.INF": true, ".nan": true, ".NaN": true,
		"!!int \"1\"": true, "!!int 1": true, "!!float 1": true, "!!bool yes": true, "!!null x": true,
		"!!binary aGk=": true, "!foo 1": true, "!!timestamp 2020-01-01": true, "!!str {b: c}": true,
		"!!map [b]": true, "!!set {b: c}": true,
	}
	values := []string{
		"0x1F", "0X1F", "0xG", "0x", "0x_1", "0o17", "0O17", "0o8", "0o", "017", "-017", "08",
		"-08", "00", "0_7", "0b11", "0B1", "-0b11", "0b", "1_000", "1__0", "_1", "1_", "+1", "-0", "+0",
		"9223372036854775807", "-9223372036854775808", "-9223372036854775809",
		"123456789012345678901234567890", ".5", "5.", "1.30", "1.0", "0.0", "1e3", "1E3", "+1e3", "1e+3",
		"1.5e3", "1.e+3", "12e03", "1_e3", "1e_3", "0.1_2", "1e400", "685_230.15", "+", ".", "..", "-.",
		"12:30", "1:2:3", "2020-01-01", "2020-01-01T00:00:00Z", "1,000", "1 2", "=", "~", "null", "Null",
		"NULL", "nULL", "y", "Y", "n", "yes", "Yes", "on", "OFF", "true", "tRUE", "False", "'1'", "\"yes\"",
		"!!str 1", "!!str", "!!str ~", "!!map {b: c}", "!!seq [b]", "\u0661",
	}
	for value := range refused {
		values = append(values, value)
	}
	for _, value := range values {
		body := "a: " + value + "\n"
		d := &document{file: "f", body: body, firstLine: 1}
		if p := d.parse(newLimits()); p != nil {
			t.Errorf("%s: %s", value, p)
			continue
		}
		if problems := d.valueProblems(); refused[value] {
			if len(problems) != 1 || problems[0].Rule != "wrong-type" || problems[0].Line != 1 ||
				problems[0].Column != 4 || problems[0].Field != "a" {
				t.Errorf("%s gives %v", value, problems)
			}
			continue
		} else if len(problems) > 0 {
			t.Errorf("%s is refused: %v", value, problems)
			continue
		}
		var theirs, ours any
		if err := yaml.Unmarshal([]byte(body), &theirs); err != nil {
			t.Errorf("%s: EKS Anywhere refuses it: %v", value, err)
			continue
		}
		encoded, err := json.Marshal(decode(d.root))
		if err == nil {
			err = json.Unmarshal(encoded, &ours)
		}
		if err != nil || !reflect.DeepEqual(theirs, ours) {
			t.Errorf("%s: EKS Anywhere reads %v, we read %v (%v)", value, theirs, ours, err)
		}
	}
}
