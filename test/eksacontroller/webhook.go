package eksacontroller

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Webhook serves Review on loopback, over TLS.
type Webhook struct {
	server      *http.Server
	url         string
	certificate []byte // PEM; it is its own authority
}

// Serve starts a webhook server on a free loopback port. Close ends it.
func Serve() (*Webhook, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making the webhook's certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // does not block
	if err != nil {
		return nil, fmt.Errorf("listening for the webhook: %w", err)
	}
	w := &Webhook{
		server: &http.Server{
			Handler: http.HandlerFunc(serveReview),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate},
				MinVersion: tls.VersionTLS12},
			ReadHeaderTimeout: 10 * time.Second,
		},
		url:         "https://" + listener.Addr().String(),
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
	}
	go func() { _ = w.server.ServeTLS(listener, "", "") }()
	return w, nil
}

// Close ends the server. Requests that need it are refused from then on.
func (w *Webhook) Close() { _ = w.server.Close() }

// Register tells the API server about the webhooks, the mutating ones first,
// and waits until it asks them.
func (w *Webhook) Register(ctx context.Context, c client.Client) error {
	mutating := Object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "",
		"eksa-mutating-webhook-configuration")
	var mutations, validations []any
	for _, kind := range mutatedKinds() {
		mutations = append(mutations, w.webhook("mutation", mutatePath, kind, "CREATE", "UPDATE"))
	}
	mutating.Object["webhooks"] = mutations
	validating := Object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "",
		"eksa-validating-webhook-configuration")
	for _, kind := range reviewedKinds() {
		operations := []any{"UPDATE"}
		if kind == "Cluster" {
			operations = []any{"CREATE", "UPDATE"}
		}
		validations = append(validations, w.webhook("validation", "/validate", kind, operations...))
	}
	validating.Object["webhooks"] = validations
	for _, configuration := range []*unstructured.Unstructured{mutating, validating} {
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(configuration),
			client.FieldOwner("eks-a-controller"), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("registering the webhook: %w", err)
		}
	}
	return w.WaitActive(ctx, c)
}

// mutatePath is where the mutating webhook is served.
const mutatePath = "/mutate"

// webhook is how the API server asks about one kind.
func (w *Webhook) webhook(purpose, path, kind string, operations ...any) map[string]any {
	return map[string]any{
		"name":                    purpose + "." + strings.ToLower(kind) + ".anywhere.amazonaws.com",
		"admissionReviewVersions": []any{"v1"},
		"sideEffects":             "None",
		"failurePolicy":           "Fail",
		"timeoutSeconds":          int64(10),
		"clientConfig": map[string]any{
			"url":      w.url + path,
			"caBundle": base64.StdEncoding.EncodeToString(w.certificate),
		},
		"rules": []any{map[string]any{
			"apiGroups": []any{group}, "apiVersions": []any{"v1alpha1"},
			"operations": operations, "resources": []any{plural(kind)},
		}},
	}
}

// WaitActive waits until the API server, which learns of a webhook by a watch,
// asks a registered one.
func (w *Webhook) WaitActive(ctx context.Context, c client.Client) error {
	// A creation that must be refused shows it. It is an apply, not a create:
	// creates wait two seconds in the API server when the kind was defined just
	// now.
	for {
		probe := client.ApplyConfigurationFromUnstructured(Object(APIVersion, "Cluster", "default",
			"webhook-probe"))
		err := c.Apply(ctx, probe, client.DryRunAll, client.FieldOwner("eks-a-controller"))
		if apierrors.IsBadRequest(err) {
			return nil
		}
		if err != nil && ctx.Err() == nil && !notServed(err) {
			return fmt.Errorf("probing the webhook: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server to take note of the webhook: %w",
				context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// notServed says that the API server does not serve a kind, or not yet.
func notServed(err error) bool {
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err)
}

func serveReview(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	response := answer(review.Request)
	if r.URL.Path == mutatePath {
		if response, err = mutated(review.Request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	response.UID = review.Request.UID
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func answer(request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	old, err1 := decodeRaw(request.OldObject)
	new, err2 := decodeRaw(request.Object)
	err := errors.Join(err1, err2)
	if err == nil {
		err = Review(request.Operation, old, new)
	}
	if err == nil {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	status := apierrors.NewBadRequest(err.Error()).Status()
	var refused apierrors.APIStatus
	if errors.As(err, &refused) {
		status = refused.Status()
	}
	return &admissionv1.AdmissionResponse{Result: &status}
}

func decodeRaw(raw runtime.RawExtension) (*unstructured.Unstructured, error) {
	if len(raw.Raw) == 0 {
		return nil, nil
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(raw.Raw)
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "eksa-webhook"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
