package gittest

import (
	"io"
	"net/http"
	"time"
)

// Abort cuts the connection of an HTTP/1 request after the status line, or in the middle of the body when the
// handler has written some. It does not return. Merely closing the connection would go unnoticed: curl and
// Go's client repeat a request by themselves when a connection that they used before ends without one byte of
// an answer.
func Abort(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	conn, buffered, err := control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // not HTTP/1, or hijacked already
	}
	defer conn.Close()                          // that is the point
	io.WriteString(conn, "HTTP/1.1 200 OK\r\n") // the client may be gone
	conn.SetReadDeadline(time.Now().Add(time.Second))
	// so that what is unread does not reset the connection
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	io.Copy(io.Discard, buffered)
	panic(http.ErrAbortHandler)
}
