package fluxinstall

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/eksa-gitops/eksa-gitops/internal/localfile"
	"github.com/eksa-gitops/eksa-gitops/internal/redact"
)

// MaxKubeconfig bounds, in bytes, what is read as a kubeconfig. It is far above the size of one that anybody
// has.
const MaxKubeconfig = 16 << 20

// unreadable says which of some kubeconfigs cannot be read, and on which line. The library's own words quote
// what stands there, which may be a key or a token.
func unreadable(paths []string) error {
	for _, path := range paths {
		content, err := localfile.ReadRegular(path, MaxKubeconfig)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
		if _, err := clientcmd.Load(content); err != nil {
			if line := atLine.FindStringSubmatch(err.Error()); line != nil {
				return fmt.Errorf("%s is not a kubeconfig, because it is not valid YAML: line %s does not "+
					"fit those before it", path, line[1])
			}
			return fmt.Errorf("%s is YAML, but not a kubeconfig: a value in it has the wrong type", path)
		}
	}
	return errors.New("its files cannot be read together")
}

// atLine finds the line in an error of the YAML library.
var atLine = regexp.MustCompile(`yaml: line (\d+):`)

// withoutCredentials is an error about a kubeconfig without what its users are known by, should it quote
// that.
func withoutCredentials(err error, config *clientcmdapi.Config) error {
	if err == nil {
		return nil
	}
	hide := &redact.Redactor{}
	for _, user := range config.AuthInfos {
		hide.Know(user.Token, user.Password, string(user.ClientKeyData))
	}
	for _, cluster := range config.Clusters {
		hide.Know(redact.AddressSecrets(cluster.Server)...)
		hide.Know(redact.AddressSecrets(cluster.ProxyURL)...)
	}
	if text := hide.Text(err.Error()); text != err.Error() {
		return &hiddenError{text, err}
	}
	return err
}
