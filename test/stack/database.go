//go:build unix

package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// database is the etcd of a stack, read and written past the API server
// through etcd's JSON interface (https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/).
// The API server and all that watches it learn of a change as they would of
// anybody's.
type database struct {
	address string // http://host:port
}

// content is all objects that a database holds, value by key.
type content map[string][]byte

// keyValue is a pair as etcd's JSON has it: both in base64.
type keyValue struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value,omitempty"`
}

// read returns what the database holds at one moment, and the revision that
// this is.
func (d database) read(ctx context.Context) (content, int64, error) {
	var answer struct {
		Header struct {
			Revision int64 `json:"revision,string"`
		} `json:"header"`
		KVs []keyValue `json:"kvs"`
	}
	// '0' comes after '/'
	objects := map[string][]byte{"key": []byte("/registry/"), "range_end": []byte("/registry0")}
	if err := d.call(ctx, "range", objects, &answer); err != nil {
		return nil, 0, err
	}
	all := make(content, len(answer.KVs))
	for _, pair := range answer.KVs {
		if !ownedByServer(string(pair.Key)) {
			all[string(pair.Key)] = pair.Value
		}
	}
	return all, answer.Header.Revision, nil
}

// ownedByServer says of an object that the API server that runs keeps it for
// itself: the sign of life that it writes every few seconds. What it keeps
// outside of /registry, such as how far it has compacted, is not ours either:
// it dies when that is gone.
func ownedByServer(key string) bool { return strings.HasPrefix(key, "/registry/leases/kube-system/") }

// writers is how many changes are made at once.
const writers = 8

// write makes the database hold what is wanted, in the place of what it holds.
// Each object is a change of its own, as Kubernetes expects: no two have the
// same resource version. Definitions come before what they define, and go
// after it.
func (d database) write(ctx context.Context, holds, wanted content) error {
	var puts, deletions [2][]string // [0]: of definitions
	kind := func(key string) int {
		if strings.HasPrefix(key, definitionsPrefix) {
			return 0
		}
		return 1
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if value, there := holds[key]; !there || !bytes.Equal(value, wanted[key]) {
			puts[kind(key)] = append(puts[kind(key)], key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(holds)) {
		if _, stays := wanted[key]; !stays {
			deletions[kind(key)] = append(deletions[kind(key)], key)
		}
	}
	put := func(ctx context.Context, key string) error {
		return d.call(ctx, "put", keyValue{[]byte(key), wanted[key]}, nil)
	}
	remove := func(ctx context.Context, key string) error {
		return d.call(ctx, "deleterange", keyValue{Key: []byte(key)}, nil)
	}
	for _, batch := range []struct {
		keys []string
		do   func(context.Context, string) error
	}{{puts[0], put}, {puts[1], put}, {deletions[1], remove}, {deletions[0], remove}} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(writers)
		for _, key := range batch.keys {
			group.Go(func() error { return batch.do(ctx, key) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (d database) call(ctx context.Context, method string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.address+"/v3/kv/"+method,
		bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s: %s", response.Status, said)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}

// definitionsPrefix is where the API server keeps CustomResourceDefinitions,
// as JSON.
const definitionsPrefix = "/registry/apiextensions.k8s.io/customresourcedefinitions/"

// resource is one that the API server serves, such as clusters of
// anywhere.eks.amazonaws.com/v1alpha1.
type resource struct{ group, version, plural string }

// defined lists the resources that CustomResourceDefinitions in the database
// define, and that are served.
func (c content) defined() (map[resource]bool, error) {
	all := map[resource]bool{}
	for key, value := range c {
		if !strings.HasPrefix(key, definitionsPrefix) {
			continue
		}
		var definition struct {
			Spec struct {
				Group string `json:"group"`
				Names struct {
					Plural string `json:"plural"`
				} `json:"names"`
				Versions []struct {
					Name   string `json:"name"`
					Served bool   `json:"served"`
				} `json:"versions"`
			} `json:"spec"`
			Status struct {
				Conditions []struct{ Type, Status string } `json:"conditions"`
			} `json:"status"`
		}
		if err := json.Unmarshal(value, &definition); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		established := false
		for _, condition := range definition.Status.Conditions {
			established = established || condition.Type == "Established" && condition.Status == "True"
		}
		for _, version := range definition.Spec.Versions {
			if established && version.Served {
				all[resource{definition.Spec.Group, version.Name, definition.Spec.Names.Plural}] = true
			}
		}
	}
	return all, nil
}
