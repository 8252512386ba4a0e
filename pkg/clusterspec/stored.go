package clusterspec

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// rewriting is what a mutating webhook of EKS Anywhere makes of a value that is there. What it puts in where
// there is nothing is a default and none of these.
type rewriting struct {
	about string // ends a sentence that begins with EKS Anywhere
	apply func(spec map[string]any)
}

// rewritings are the words of the column stored of the field table.
var rewritings = map[string]rewriting{
	"network-path": {"stores a name as a path among the networks of the datacenter", storeNetwork},
	"none-when-insecure": {"drops it when insecure is true", func(spec map[string]any) {
		if spec["insecure"] == true {
			delete(spec, "thumbprint")
		}
	}},
	"memory": {"raises less than 2048 to 2048", func(spec map[string]any) {
		switch memory, ok := whole(spec["memoryMiB"]); {
		case ok && memory <= 0:
			spec["memoryMiB"] = int64(8192)
		case ok && memory < 2048:
			spec["memoryMiB"] = int64(2048)
		}
	}},
	"cpus": {"takes 0 for 2", func(spec map[string]any) {
		if cpus, ok := whole(spec["numCPUs"]); ok && cpus <= 0 {
			spec["numCPUs"] = int64(2)
		}
	}},
	"os-family":          {"takes an empty one for bottlerocket", filled("osFamily", "bottlerocket")},
	"partition":          {"takes an empty one for aws", filled("partition", "aws")},
	"key":                {"drops the comment of the first user's first key", storeFirstKey},
	"cni-config":         {"stores it as cniConfig", storeCNI},
	"availability-zones": {"moves it into availabilityZones", storeZones},
}

// whole is a whole number as one of the decoders has it.
func whole(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), v == float64(int64(v))
	}
	return 0, false
}

// filled puts a value in the place of an empty text.
func filled(name, value string) func(map[string]any) {
	return func(spec map[string]any) {
		if spec[name] == "" {
			spec[name] = value
		}
	}
}

// rewritingsOf are those of a kind, each once, in the order of the table.
func rewritingsOf(kind string) []rewriting {
	var found []rewriting
	table := fields().kinds[kind]
	if table == nil {
		return nil
	}
	var names []string
	table.each(func(f *field) {
		if f.Stored != "" && !slices.Contains(names, f.Stored) {
			names = append(names, f.Stored)
			found = append(found, rewritings[f.Stored])
		}
	})
	return found
}

// Stored gives an object of a kind as the API server keeps it once it is applied: with what EKS Anywhere's
// mutating webhooks make of the values that are there. Defaults of what is missing are not put in. The object
// is in the types of [Object.Decoded], or of encoding/json; it stays as it is, and the result shares with it
// what is the same.
func Stored(kind string, object map[string]any) map[string]any {
	spec, ok := object["spec"].(map[string]any)
	rewritings := rewritingsOf(kind)
	if !ok || len(rewritings) == 0 {
		return object
	}
	stored := maps.Clone(object)
	spec = maps.Clone(spec)
	stored["spec"] = spec
	for _, rewriting := range rewritings {
		rewriting.apply(spec)
	}
	return stored
}

// storeNetwork goes by the beginning of the text alone, as EKS Anywhere does.
func storeNetwork(spec map[string]any) {
	network, _ := spec["network"].(string)
	datacenter, _ := spec["datacenter"].(string)
	if network != "" && datacenter != "" && !strings.HasPrefix(network, "/"+datacenter) {
		spec["network"] = "/" + datacenter + "/network/" + network
	}
}

func storeFirstKey(spec map[string]any) {
	users, _ := spec["users"].([]any)
	if len(users) == 0 {
		return
	}
	user, _ := users[0].(map[string]any)
	authorized, _ := user["sshAuthorizedKeys"].([]any)
	if len(authorized) == 0 {
		return
	}
	key, _ := authorized[0].(string)
	user, users, authorized = maps.Clone(user), slices.Clone(users), slices.Clone(authorized)
	authorized[0] = bareKey(key)
	user["sshAuthorizedKeys"], users[0], spec["users"] = authorized, user, users
}

// bareKey is a public key without options and comment; a text that is no key stays as it is.
func bareKey(line string) string {
	words := strings.Fields(line)
	for i := range len(words) - 1 {
		blob, err := base64.StdEncoding.DecodeString(words[i+1])
		if err != nil || len(blob) < 4 {
			continue
		}
		// The key itself begins with the name of its algorithm and the length of that.
		if size := binary.BigEndian.Uint32(blob); uint64(size) == uint64(len(words[i])) &&
			strings.HasPrefix(string(blob[4:]), words[i]) {
			return words[i] + " " + words[i+1]
		}
	}
	return line
}

func storeCNI(spec map[string]any) {
	network, _ := spec["clusterNetwork"].(map[string]any)
	plugin := pluginOf(network["cni"])
	if plugin == "" || network["cniConfig"] != nil {
		return
	}
	network = maps.Clone(network)
	delete(network, "cni")
	network["cniConfig"] = map[string]any{plugin: map[string]any{}}
	spec["clusterNetwork"] = network
}

// pluginOf is the plugin of cniConfig that a value of cni stands for, empty for none.
func pluginOf(cni any) string {
	switch cni {
	case "cilium", "cilium-enterprise":
		return "cilium"
	case "kindnetd":
		return "kindnetd"
	}
	return ""
}

func storeZones(spec map[string]any) {
	zones, _ := spec["zones"].([]any)
	if there, _ := spec["availabilityZones"].([]any); len(there) == 0 && len(zones) > 0 {
		moved := make([]any, len(zones))
		for i, zone := range zones {
			into := map[string]any{"name": fmt.Sprintf("default-az-%d", i), "credentialsRef": "global",
				"zone": zone}
			for _, name := range []string{"account", "domain", "managementApiEndpoint"} {
				if value := spec[name]; value != nil && value != "" {
					into[name] = value
				}
			}
			moved[i] = into
		}
		spec["availabilityZones"] = moved
	}
	for _, name := range []string{"zones", "account", "domain", "managementApiEndpoint"} {
		delete(spec, name)
	}
}

// judgeStored corrects what is said of changes by what EKS Anywhere stores: the same as before, or something
// that it refuses though the field that was written is free.
func (c *comparison) judgeStored(table *field, before, after map[string]any) {
	kind := c.new.object.Kind
	was, is := Stored(kind, before), Stored(kind, after)
	if len(c.changes) == 0 || reflect.DeepEqual(was, before) && reflect.DeepEqual(is, after) {
		return
	}
	stored := comparison{old: c.old, new: c.new}
	stored.diff("", "", table, was, is)
	for i := range c.changes {
		change := &c.changes[i]
		if !strings.HasPrefix(change.Field, "spec.") {
			continue
		}
		same := true
		for _, other := range stored.changes {
			if other.Message == sameMeaning ||
				!within(change.Field, other.Field) && !within(other.Field, change.Field) {
				continue
			}
			same = false
			if other.Verdict == VerdictRejected {
				change.Verdict, change.Message = other.Verdict, other.Message
			}
		}
		if same {
			change.Verdict, change.Message = VerdictApplied, sameMeaning+table.at(change.Field).storing()
		}
	}
}

// storing is why a field, or what it is a part of, is stored as something else.
func (f *field) storing() string {
	for ; f != nil; f = f.parent {
		if f.Stored != "" {
			return ": EKS Anywhere " + rewritings[f.Stored].about
		}
	}
	return ""
}
