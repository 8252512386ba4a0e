package clusterspec

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The forms of values that Kubernetes, and with it EKS Anywhere, asks for in more than one place.
var (
	qualifiedNameForm = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	domainForm        = regexp.MustCompile(
		`([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]`)
)

// isQualifiedName says whether a text can be the key of a label or an annotation.
func isQualifiedName(key string) bool {
	prefix, name, has := strings.Cut(key, "/")
	if !has {
		return len(key) <= 63 && qualifiedNameForm.MatchString(key)
	}
	return isDNSName(prefix) && len(name) <= 63 && qualifiedNameForm.MatchString(name)
}

func isLabelValue(value string) bool {
	return value == "" || len(value) <= 63 && qualifiedNameForm.MatchString(value)
}

const (
	qualifiedNameExpected = `at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends, after an optional "domain/"`
	labelValueExpected    = `at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`
)

// checkLabels makes sure that Kubernetes takes a map for labels; for annotations only the keys have a form.
func (r *report) checkLabels(path string, labels *yaml.Node, annotations bool) {
	for _, e := range entries(labels) {
		at := joinField(path, e.key.Value)
		if r.known(at) {
			continue
		}
		switch kind := kindOf(e.value); {
		// as the API server does
		case !isQualifiedName(e.key.Value) && !(annotations && isQualifiedName(strings.ToLower(e.key.Value))):
			p := r.add(SeverityError, "labels", e.key, at, "Kubernetes does not accept this key for a label")
			if annotations {
				p.Message = "Kubernetes does not accept this key for an annotation"
			}
			p.Found, p.Expected = quote(e.key.Value), qualifiedNameExpected
		case !annotations && kind == kindString && !isLabelValue(e.value.Value):
			p := r.add(SeverityError, "labels", e.value, at,
				"Kubernetes does not accept this value for a label")
			p.Found, p.Expected = quote(e.value.Value), labelValueExpected
		}
	}
}

// checkMetadata holds labels and annotations of any object against what the API server takes.
func (r *report) checkMetadata() {
	_, labels := lookup(r.object.root(), "metadata", "labels")
	r.checkLabels("metadata.labels", labels, false)
	_, annotations := lookup(r.object.root(), "metadata", "annotations")
	r.checkLabels("metadata.annotations", annotations, true)
}

// checkAddress makes sure that a value is an IP address.
func (r *report) checkAddress(path, value string) {
	if _, err := netip.ParseAddr(value); err != nil {
		e := r.wrong("invalid-value", path, "not an IP address")
		e.Found, e.Expected = quote(value), "an IP address"
	}
}

// checkURL makes sure that the text at a path, if there is one, is a URL.
func (r *report) checkURL(path string) {
	value := text(r.object.root(), keys(path)...)
	if value == "" {
		return
	}
	if parsed, err := url.ParseRequestURI(value); err != nil || parsed.Host == "" {
		e := r.wrong("invalid-value", path, "not a URL")
		e.Found, e.Expected = quote(value), "a URL such as https://host/path"
	}
}

// checkCertificates makes sure that a text holds certificates in PEM form.
func (r *report) checkCertificates(path, value string) {
	found := false
	for rest := []byte(value); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found = true
		if _, err := x509.ParseCertificates(block.Bytes); err != nil {
			e := r.wrong("invalid-value", path, "a PEM block is not a certificate")
			e.Expected = "certificates in PEM form"
			return
		}
	}
	if !found {
		e := r.wrong("invalid-value", path, "not certificates in PEM form")
		e.Found, e.Expected = quote(value), "-----BEGIN CERTIFICATE-----"
	}
}

// checkPort makes sure that a text is the number of a TCP port.
func (r *report) checkPort(path, value string) {
	if port, err := strconv.Atoi(value); err != nil || port < 1 || port > 65535 {
		e := r.wrong("invalid-value", path, "not a port")
		e.Found, e.Expected = quote(value), "1 to 65535"
	}
}

// checkHostOS: time servers have a host; what is for Bottlerocket is for Bottlerocket only. The same for all
// kinds that have hostOSConfiguration.
func (r *report) checkHostOS(family string) {
	const at = "spec.hostOSConfiguration"
	_, host := lookup(r.object.root(), "spec", "hostOSConfiguration")
	if host == nil {
		return
	}
	for i, server := range items(host, "ntpConfiguration", "servers") {
		if kindOf(server) == kindString && !isTimeServer(server.Value) {
			e := r.wrong("invalid-value", fmt.Sprintf("%s.ntpConfiguration.servers[%d]", at, i),
				"not a time server")
			e.Found, e.Expected = quote(server.Value), "a host name or IP address"
		}
	}
	if family != "bottlerocket" {
		for _, name := range []string{"bottlerocketConfiguration", "certBundles"} {
			if _, value := lookup(host, name); value != nil && len(value.Content) > 0 {
				e := r.wrong("bottlerocket", at+"."+name, "this works with Bottlerocket only")
				e.Found, e.Expected = "osFamily "+family, "osFamily bottlerocket, or no such setting"
			}
		}
		return
	}
	for i, bundle := range items(host, "certBundles") {
		if data := text(bundle, "data"); data != "" {
			r.checkCertificates(fmt.Sprintf("%s.certBundles[%d].data", at, i), data)
		}
	}
	for i, ip := range items(host, "bottlerocketConfiguration", "kubernetes", "clusterDNSIPs") {
		if kindOf(ip) == kindString {
			r.checkAddress(fmt.Sprintf("%s.bottlerocketConfiguration.kubernetes.clusterDNSIPs[%d]", at, i),
				ip.Value)
		}
	}
	for i, name := range items(host, "bottlerocketConfiguration", "kubernetes", "allowedUnsafeSysctls") {
		if kindOf(name) == kindString && name.Value == "" {
			r.wrong("invalid-value",
				fmt.Sprintf("%s.bottlerocketConfiguration.kubernetes.allowedUnsafeSysctls[%d]", at, i),
				"the name of the setting is empty")
		}
	}
}

func isTimeServer(server string) bool {
	if !strings.Contains(server, "://") {
		if address, err := netip.ParseAddr(server); err == nil && address.Is6() {
			return true
		}
		server = "udp://" + server
	}
	parsed, err := url.ParseRequestURI(server)
	return err == nil && parsed.Scheme != "" && parsed.Host != ""
}

// canonicalHost gives one text for all ways to write a host: an IP address as it is written shortest, a name
// in small letters, without the port of the API server.
func canonicalHost(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil && port == "6443" {
		host = name
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// minorOf gives 33 for "1.33".
func minorOf(version string) (int, bool) {
	minor, ok := strings.CutPrefix(version, "1.")
	if !ok {
		return 0, false
	}
	number, err := strconv.Atoi(minor)
	return number, err == nil
}
