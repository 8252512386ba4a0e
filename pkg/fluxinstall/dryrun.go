package fluxinstall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eksa-gitops/eksa-gitops/internal/crash"
)

// syncFieldManager is who owns what Flux applies from Git (fluxcd/kustomize-controller, the name of its
// controller).
const syncFieldManager = "kustomize-controller"

// dryRunPatience is how long a dry run is repeated that fails for a passing reason. Somebody waits for the
// verdict.
const dryRunPatience = 5 * time.Second

// Refusal is the kind of reason for which an object would not be applied.
type Refusal string

// The refusals.
const (
	// RefusedInvalid: the kind's definition or a check of the API server is against the object.
	RefusedInvalid Refusal = "invalid"
	// RefusedByAdmission: an admission webhook or policy of the cluster is against it.
	RefusedByAdmission Refusal = "admission"
	// RefusedNoNamespace: its namespace does not exist, and Flux would not create it.
	RefusedNoNamespace Refusal = "no-namespace"
	// RefusedNoKind: the cluster does not serve its kind.
	RefusedNoKind Refusal = "no-kind"
	// RefusedNoAnswer: the API server could not come to a verdict, such as when a webhook does not answer.
	RefusedNoAnswer Refusal = "no-answer"
)

// Verdict is what the API server says of one object. The zero Refusal is that it would take it.
type Verdict struct {
	APIVersion, Kind, Namespace, Name string
	Refusal                           Refusal
	// Webhook is the name of the admission webhook that refused; empty for others.
	Webhook string
	// Message is the server's or the webhook's own text, without the words around it that name webhook and
	// object.
	Message string
	// Causes are the fields that the refusal is about. It may be empty.
	Causes []Cause
}

// Accepted says whether the API server would take the object.
func (v Verdict) Accepted() bool { return v.Refusal == "" }

// Cause is one reason of a refusal.
type Cause struct {
	// Field is a path such as "spec.workerNodeGroupConfigurations[0].count". It may be empty.
	Field string
	// Message is the server's own text.
	Message string
	// Live is what the object in the cluster has there, as JSON, when the message says that the field cannot
	// be changed. It is empty when there is nothing or it cannot be read.
	Live string
}

// Server is the address of the API server, as the kubeconfig has it.
func (c *Cluster) Server() string { return c.server }

// DryRunApply sends every object to the API server as Flux would apply it, server-side and with force, but as
// a dry run: admission and validation take place and nothing is stored. It gives a verdict for each object in
// the given order, and may be repeated.
//
// The error is for what is no verdict on the objects. A *ForbiddenError for each right that is missing,
// joined, comes beside the verdicts on the other objects; after an *UnreachableError or the end of the
// context there are no verdicts.
func (c *Cluster) DryRunApply(ctx context.Context, objects []map[string]any) ([]Verdict, error) {
	verdicts := make([]*Verdict, len(objects))
	errs := make([]error, len(objects))
	var group crash.Group
	places := make(chan struct{}, applyConcurrency)
	for i := range objects {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			verdicts[i], errs[i] = c.dryRunOne(ctx, &unstructured.Unstructured{Object: objects[i]})
		})
		// An address that does not answer is not asked once for every object.
		if i == 0 {
			group.Wait()
			if errs[0] != nil && !isForbidden(errs[0]) {
				return nil, errs[0]
			}
		}
	}
	group.Wait()
	var missing []error
	var rights []string
	for _, err := range errs {
		forbidden := new(ForbiddenError)
		switch {
		case err == nil:
		case !isForbidden(err):
			return nil, err
		case errors.As(err, &forbidden) && !slices.Contains(rights, forbidden.Hint()):
			rights, missing = append(rights, forbidden.Hint()), append(missing, err)
		}
	}
	out := make([]Verdict, 0, len(objects))
	for _, v := range verdicts {
		if v != nil {
			out = append(out, *v)
		}
	}
	return out, errors.Join(missing...)
}

// dryRunOne asks about one object. The verdict is nil when there is an error.
func (c *Cluster) dryRunOne(ctx context.Context, object *unstructured.Unstructured) (*Verdict, error) {
	var verdict *Verdict
	patience := c.backoff
	patience.total = min(patience.total, dryRunPatience)
	err := c.retryEvery(ctx, patience, func() error {
		// A copy, because applying changes the object. Objects must not hold Go's int, which DeepCopy does
		// not take.
		copied := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(object.Object)}
		err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(copied), client.DryRunAll,
			client.ForceOwnership, client.FieldOwner(syncFieldManager))
		verdict = verdictOf(object, err)
		if verdict != nil && verdict.Refusal != RefusedNoAnswer {
			return nil
		}
		return err
	})
	if verdict == nil || ctx.Err() != nil {
		return nil, err
	}
	c.addLive(ctx, verdict, object)
	return verdict, nil
}

// addLive fills in what the cluster has where a field cannot be changed; for a frozen object it names the
// fields that would change. It is a courtesy: what cannot be read is left out.
func (c *Cluster) addLive(ctx context.Context, v *Verdict, sent *unstructured.Unstructured) {
	immutable := func(cause Cause) bool {
		return cause.Field != "" && strings.Contains(cause.Message, "immutable")
	}
	if !slices.ContainsFunc(v.Causes, immutable) {
		return
	}
	gvk := sent.GroupVersionKind()
	live, err := c.fetch(ctx, kind{gvk.Group, gvk.Version, gvk.Kind}, v.Namespace, v.Name)
	if err != nil || live == nil {
		return
	}
	var causes []Cause
	for _, cause := range v.Causes {
		if !immutable(cause) {
			causes = append(causes, cause)
			continue
		}
		path := strings.Split(cause.Field, ".")
		before, _, errBefore := unstructured.NestedFieldNoCopy(live.Object, path...)
		after, _, errAfter := unstructured.NestedFieldNoCopy(sent.Object, path...)
		var narrower []Cause
		if errBefore == nil && errAfter == nil {
			narrower = narrow(cause, before, after)
		}
		if len(narrower) == 0 {
			narrower = []Cause{cause}
		}
		causes = append(causes, narrower...)
	}
	v.Causes = causes
}

// narrow finds the fields at and below a cause that differ from the cluster's. A field that only the cluster
// has may be a default and does not count.
func narrow(cause Cause, before, after any) []Cause {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	was, isMap := before.(map[string]any)
	is, both := after.(map[string]any)
	if !isMap || !both {
		if encoded, err := json.Marshal(before); err == nil && before != nil {
			cause.Live = string(encoded)
		}
		return []Cause{cause}
	}
	var causes []Cause
	for _, key := range slices.Sorted(maps.Keys(is)) {
		causes = append(causes,
			narrow(Cause{Field: cause.Field + "." + key, Message: cause.Message}, was[key], is[key])...)
	}
	return causes
}

// verdictOf reads the answer to a dry run. It is nil when the answer is not about the object.
func verdictOf(object *unstructured.Unstructured, err error) *Verdict {
	v := &Verdict{APIVersion: object.GetAPIVersion(), Kind: object.GetKind(),
		Namespace: object.GetNamespace(), Name: object.GetName()}
	if err == nil {
		return v
	}
	if meta.IsNoMatchError(err) {
		return v.noKind()
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return nil
	}
	status := answer.Status()
	v.Message = strings.TrimSpace(status.Message)
	v.Causes = causesOf(status)
	switch {
	case apierrors.IsUnauthorized(err) || apierrors.IsConflict(err) || apierrors.IsTooManyRequests(err):
		return nil
	case apierrors.IsNotFound(err):
		if status.Details != nil && status.Details.Kind == "namespaces" {
			v.Refusal, v.Message, v.Causes = RefusedNoNamespace,
				"namespace "+v.Namespace+" does not exist", nil
			return v
		}
		return v.noKind()
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		v.Refusal, v.Message, v.Causes = RefusedNoNamespace, "namespace "+v.Namespace+" is being deleted", nil
		return v
	case denial.MatchString(v.Message):
		parts := denial.FindStringSubmatch(v.Message)
		v.Refusal, v.Webhook, v.Message = RefusedByAdmission, parts[1], plain(parts[2])
		return v
	case apierrors.IsForbidden(err):
		if !policy.MatchString(v.Message) {
			return nil
		}
		v.Refusal = RefusedByAdmission
		return v
	case undeclared.MatchString(v.Message):
		v.Refusal, v.Causes = RefusedInvalid, schemaCauses(v.Message)
		return v
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err):
		v.Refusal, v.Message = RefusedInvalid, plain(v.Message)
		return v
	default:
		v.Refusal = RefusedNoAnswer
		return v
	}
}

func (v *Verdict) noKind() *Verdict {
	v.Refusal, v.Message, v.Causes = RefusedNoKind,
		fmt.Sprintf("the cluster has no kind %s in %s", v.Kind, v.APIVersion), nil
	return v
}

// causesOf gives the fields that a refusal names. The server repeats a cause for each of its checks that
// found it.
func causesOf(status metav1.Status) []Cause {
	if status.Details == nil {
		return nil
	}
	var causes []Cause
	for _, cause := range status.Details.Causes {
		c := Cause{Field: cause.Field, Message: strings.TrimSpace(cause.Message)}
		if c.Field == "<nil>" {
			c.Field = ""
		}
		if !slices.Contains(causes, c) {
			causes = append(causes, c)
		}
	}
	return causes
}

var (
	// denial is how the API server introduces a webhook's refusal (apiserver,
	// admission/plugin/webhook/errors).
	denial = regexp.MustCompile(`(?s)^admission webhook "([^"]+)" denied the request:? ?(.*)$`)
	// undeclared is how it says that an applied object does not fit the kind's schema
	// (structured-merge-diff); it has no status reason.
	undeclared = regexp.MustCompile(`failed to create typed patch object`)
	// schemaError is one field of such a message.
	schemaError = regexp.MustCompile(`(?m)(?:^|[ :])\.((?:spec|metadata|status)[^:\s]*): ([^\n]+)`)
	// invalidObject is how a refusal of fields begins; it repeats which object was sent.
	invalidObject = regexp.MustCompile(`^[\w.-]+ "[^"]*" is invalid: `)
)

// plain takes away the beginning of a message that repeats which object was sent.
func plain(message string) string { return invalidObject.ReplaceAllString(message, "") }

// schemaCauses reads the fields out of a message about a kind's schema.
func schemaCauses(message string) []Cause {
	var causes []Cause
	for _, parts := range schemaError.FindAllStringSubmatch(message, -1) {
		cause := Cause{Field: parts[1], Message: strings.TrimSpace(parts[2])}
		if !slices.Contains(causes, cause) {
			causes = append(causes, cause)
		}
	}
	return causes
}
