package github

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// classifyTLS says whether err is about the server's certificate or TLS itself, and then describes it: who
// the certificate is for and who issued it, which is what tells a private authority from an intercepting
// proxy.
func classifyTLS(e *Error, host string, err error) bool {
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var connection *net.OpError
	switch {
	case errors.As(err, &verification):
		e.class = ErrUntrusted
		e.Message = fmt.Sprintf("%s: %v (%s)",
			host, verification.Err, chain(verification.UnverifiedCertificates))
	case errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.HostnameError)),
		errors.As(err, new(x509.CertificateInvalidError)):
		e.class = ErrUntrusted
		e.Message = fmt.Sprintf("%s: %v", host, err)
	case errors.As(err, &header), errors.Is(err, http.ErrSchemeMismatch):
		e.class = ErrUnavailable
		e.Message = host + " does not speak TLS on this port"
	case errors.As(err, &connection) && strings.HasSuffix(connection.Op, " error"):
		// A TLS alert, of either side: crypto/tls gives them the operations "local error" and "remote error".
		e.class = ErrUnavailable
		e.Message = fmt.Sprintf("%s and this program cannot agree on a TLS connection (TLS 1.2 or later is "+
			"needed): %v", host, err)
	default:
		return false
	}
	e.noEffect = true
	return true
}

// chain names the certificates that the server showed, from its own upwards.
func chain(certificates []*x509.Certificate) string {
	if len(certificates) == 0 {
		return "the server showed no certificate"
	}
	const most = 5
	var parts []string
	for _, certificate := range certificates[:min(len(certificates), most)] {
		parts = append(parts,
			fmt.Sprintf("%s, issued by %s", nameOf(certificate.Subject.String(), certificate.DNSNames),
				nameOf(certificate.Issuer.String(), nil)))
	}
	return "certificate of " + strings.Join(parts, "; then of ")
}

func nameOf(subject string, names []string) string {
	switch {
	case subject != "":
		return subject
	case len(names) > 0:
		return names[0]
	}
	return "an unnamed subject"
}
