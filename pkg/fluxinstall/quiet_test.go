package fluxinstall

import (
	"bytes"
	stdlog "log"
	"os"
	"os/exec"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestQuiet(t *testing.T) {
	t.Parallel()
	if sink := log.FromContext(quiet(t.Context())).GetSink(); sink != nil {
		t.Errorf("the libraries log to %T", sink)
	}
}

// The libraries' loggers are the process's: what they do is seen in a process of its own, whose standard
// error holds nothing but what it wrote by itself.
func TestDiscardLogs(t *testing.T) {
	t.Parallel()
	const variable = "EKSA_GITOPS_TEST_DISCARD_LOGS"
	if os.Getenv(variable) != "" {
		DiscardLogs()
		klog.Error("klog")
		klog.Background().Info("klog with a context")
		runtime.HandleError(os.ErrInvalid)
		log.Log.WithName("client").Error(os.ErrInvalid, "controller-runtime")
		stdlog.Print("own")
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiscardLogs$")
	child.Env = append(os.Environ(), variable+"=1")
	printed := &bytes.Buffer{}
	child.Stderr = printed
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if _, text, _ := strings.Cut(printed.String(), " own"); text != "\n" ||
		strings.Count(printed.String(), "\n") != 1 {
		t.Errorf("standard error holds\n%s", printed)
	}
}
