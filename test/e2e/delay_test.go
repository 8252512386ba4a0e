package e2e_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// far puts the API server and GitHub as far away from the program and from Flux as roundTrip says: every byte
// takes half of it, in both directions.
func (w *world) far(roundTrip time.Duration) {
	w.t.Helper()
	content, err := os.ReadFile(w.env["KUBECONFIG"])
	if err != nil {
		w.t.Fatal(err)
	}
	_, server, _ := strings.Cut(string(content), "server: ")
	server, _, _ = strings.Cut(server, "\n")
	kubeconfig := filepath.Join(w.dir, "far.kubeconfig")
	text := strings.ReplaceAll(string(content), server, throughDelay(w.t, server, roundTrip/2))
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.env["KUBECONFIG"] = kubeconfig
	for _, name := range []string{"API", "GIT", "SSH"} {
		name = "EKSA_GITOPS_GITHUB_" + name + "_URL"
		if server := w.env[name]; server != "" {
			w.env[name] = throughDelay(w.t, server, roundTrip/2)
		}
	}
}

// knownHostsAs is known_hosts lines for another address of the same server.
func knownHostsAs(t testing.TB, lines, server string) string {
	t.Helper()
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	var other strings.Builder
	for line := range strings.Lines(lines) {
		_, key, _ := strings.Cut(line, " ")
		fmt.Fprintf(&other, "[%s]:%s %s", address.Hostname(), address.Port(), key)
	}
	return other.String()
}

// throughDelay is a URL that leads to the server of another one by way of a proxy that keeps every byte for a
// time.
func throughDelay(t testing.TB, to string, delay time.Duration) string {
	t.Helper()
	address, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	server := address.Host
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer far.Close()
				go relay(far, near, delay)
				relay(near, far, delay)
			}()
		}
	}()
	address.Host = listener.Addr().String()
	return address.String()
}

// relay passes on what it reads, each piece when it is old enough, so that a stream is late and not slow.
func relay(to, from net.Conn, delay time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 32<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				pieces <- piece{buffer[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			from.Close() // ends the reading
			break
		}
	}
	for range pieces {
		continue // what is left is for nobody
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
