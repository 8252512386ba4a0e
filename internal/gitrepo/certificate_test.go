package gitrepo_test

import (
	"encoding/pem"
	"net/http/httptest"
)

func certificate(srv *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
}
