package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eksa-gitops/eksa-gitops/internal/sshkeys"
	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxmanifests"
	"github.com/eksa-gitops/eksa-gitops/pkg/github"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/facts"
	"github.com/eksa-gitops/eksa-gitops/pkg/gitops/step"
	"github.com/eksa-gitops/eksa-gitops/pkg/secret"
)

// The way from the cluster to the repository: on GitHub a deploy key that is made during the run; on a
// generic Git server a key that the operator gives.

// sourceSecret is what the Secret of Flux's source has to hold.
func (r *clustersRun) sourceSecret(namespace string) (fluxinstall.SourceSecret, error) {
	if r.open.host == nil {
		source := *r.options.Source
		source.Namespace, source.Name = namespace, fluxmanifests.SourceSecretName
		source.Unwanted, source.ForWantOfAnother = r.foreignKey, r.options.SourceIsOperators
		if r.keepsSourceKey() {
			source.PrivateKey, source.Passphrase = secret.Value{}, secret.Value{}
		}
		if len(source.KnownHosts) > 0 {
			return source, nil
		}
		known, err := sshkeys.KnownHostsForKeys(r.seen.Remote().Push, []string{r.snapshot.HostKey()})
		if err != nil {
			return source, fmt.Errorf("reading the host key of %s: %w", r.seen.Remote().Push, err)
		}
		source.KnownHosts = known
		return source, nil
	}
	return fluxinstall.SourceSecret{
		Namespace: namespace, Name: fluxmanifests.SourceSecretName, GenerateAlgorithm: deployKeyAlgorithm,
		Unwanted: r.foreignKey, KnownHosts: r.seen.KnownHosts(),
	}, nil
}

// choosesSourceKey says whether a person has chosen a private key for the cluster. The operator's own, which
// the cluster gets for want of another, is no choice: it may push, and a key that is in the cluster is not
// replaced with it, whether Flux reads the repository just now or not.
func (r *clustersRun) choosesSourceKey() bool {
	return !r.options.Source.PrivateKey.IsZero() && !r.options.SourceIsOperators
}

// keepsSourceKey says whether the key that is in the cluster stays there.
func (r *clustersRun) keepsSourceKey() bool {
	flux := r.seen.Cluster().Flux
	return flux.SourcePublicKey != "" && flux.SourcePublicKey != r.foreignKey && !r.choosesSourceKey()
}

// checkSourceKey makes sure that a private key in the cluster that cannot be read is not replaced unasked,
// and says how a key is replaced with which Flux does not get on.
func (r *clustersRun) checkSourceKey(found *findings) {
	if r.management == nil || r.seen.Cluster() == nil || r.seen.Cluster().Flux.SourceSecret == nil {
		return
	}
	flux := &r.seen.Cluster().Flux
	overSSH := r.ports.OpenHost == nil
	if overSSH && r.choosesSourceKey() {
		return
	}
	replace := "to give Flux another key, say which: --cluster-private-key FILE"
	if reason := flux.SourceSecret.Unreadable; reason != "" {
		kept := &fluxinstall.UnreadableKeyError{Namespace: r.seen.Config().SystemNamespace,
			Name: fluxmanifests.SourceSecretName, Reason: reason}
		finding := facts.AreaCluster.Finding(kept.Error(), kept.Hint().String())
		if overSSH {
			finding.Hint = joinedHints(replace, kept.Hint().String())
		}
		found.addFinding(finding)
		return
	}
	if !overSSH || flux.GitRepository == nil || !r.keepsSourceKey() || r.options.Source.PrivateKey.IsZero() ||
		r.givenKeyIs(flux.SourcePublicKey) {
		return
	}
	if c := facts.Failing(flux.GitRepository.Conditions); c != nil {
		r.steps.Note(step.LevelWarning,
			fmt.Sprintf("Flux cannot fetch the repository (%s: %s); its key (%s) is kept, since that may "+
				"be temporary; %s", c.Reason, c.Words(), flux.SourceSecret.Fingerprint, replace))
	}
}

// sourceInPlace says whether the source's Secret needs nothing.
func (r *clustersRun) sourceInPlace() bool {
	there := r.seen.Cluster().Flux.SourceSecret
	wanted, err := r.sourceSecret(r.seen.Config().SystemNamespace)
	if there == nil || there.PublicKey == "" || there.PublicKey == r.foreignKey || err != nil {
		return false
	}
	if len(wanted.KnownHosts) > 0 && !bytes.Equal(there.KnownHosts, wanted.KnownHosts) {
		return false
	}
	return wanted.PrivateKey.IsZero() || r.givenKeyIs(there.PublicKey)
}

// givenKeyIs says whether the given private key is the one of a public key in authorized_keys form.
func (r *clustersRun) givenKeyIs(public string) bool {
	source := r.options.Source
	key, err := sshkeys.ParseKey([]byte(source.PrivateKey.Reveal()), source.Passphrase,
		"the cluster's private key")
	return err == nil && sameKeyMaterial(key.AuthorizedKey(), public)
}

// sameKeyMaterial compares two public keys in authorized_keys form without their comments.
func sameKeyMaterial(a, b string) bool {
	fields := func(line string) (algorithm, material string) {
		fmt.Sscan(line, &algorithm, &material) // what is missing is empty
		return algorithm, material
	}
	algorithmA, materialA := fields(a)
	algorithmB, materialB := fields(b)
	return algorithmA == algorithmB && materialA == materialB && materialA != ""
}

// checkSource makes sure that there is a key for the cluster, and warns about one that can do more than it
// should.
func (r *clustersRun) checkSource(found *findings) {
	r.checkSourceKey(found)
	if r.management == nil || r.ports.OpenHost != nil || r.seen.Cluster() == nil || r.open.repo == nil {
		return
	}
	given := !r.options.Source.PrivateKey.IsZero()
	switch {
	case r.seen.Cluster().Flux.SourceSecret != nil && r.seen.Cluster().Flux.SourceSecret.Unreadable != "" &&
		!r.choosesSourceKey():
		return // checkSourceKey says so
	case !given &&
		(r.seen.Cluster().Flux.SourcePublicKey == "" ||
			r.seen.Cluster().Flux.SourcePublicKey == r.foreignKey):
		found.addFinding(facts.AreaAccess.Finding(
			"Flux needs a private key to read the repository with, and "+
				"there is none to use: an SSH agent does not hand out its keys",
			"name a key that may only read the repository with --cluster-private-key FILE, or your own "+
				"with EKSA_GIT_PRIVATE_KEY=FILE"))
	case given && r.options.SourceIsOperators && !r.keepsSourceKey() && r.checkSourceAlgorithm(found):
	case r.snapshot == nil:
		return
	case given && r.options.SourceIsOperators && !r.sourceInPlace():
		r.steps.Note(step.LevelWarning,
			fmt.Sprintf("Flux gets your own private key, which may push: everybody who may read Secrets in "+
				"namespace %s can use it; give Flux a key that may only read with --cluster-private-key FILE",
				r.seen.Config().SystemNamespace))
	}
}

// checkSourceAlgorithm makes sure that the key that the cluster gets is of the kind that the spec names, and
// says whether it is not.
func (r *clustersRun) checkSourceAlgorithm(found *findings) bool {
	if r.seen.Config().Git == nil {
		return false
	}
	key, err := sshkeys.ParseKey([]byte(r.options.Source.PrivateKey.Reveal()), r.options.Source.Passphrase,
		"that is your own, and that Flux would get,")
	if err == nil {
		err = key.CheckAlgorithm(r.seen.Config().Git.SSHKeyAlgorithm)
	}
	if err != nil {
		found.add(facts.AreaSpec, err)
	}
	return err != nil
}

// noteAuthority says what follows from a server that is known by a certificate authority only.
func (r *clustersRun) noteAuthority() {
	if r.open.host == nil && len(r.options.Source.KnownHosts) == 0 && !r.sourceInPlace() {
		r.steps.Note(step.LevelWarning, "the known-hosts file knows the server by a certificate authority, "+
			"which Flux does not understand: Flux gets the host key that the authority vouches for today; "+
			"when the server changes it, run this command again")
	}
}

// observeClusterKey tries the key that the cluster gets: it has to read the repository, and better not write
// it.
func (r *run) observeClusterKey(ctx context.Context, isNew func() bool, found *findings) {
	if !r.keepsFlux || r.ports.OpenClusterRepository == nil {
		return
	}
	repo, err := r.ports.OpenClusterRepository(ctx)
	if err != nil {
		found.addOpening(err)
		return
	}
	var snapshot Snapshot
	err = r.persistWhile(ctx, isNew, func() error {
		var err error
		snapshot, err = repo.Fetch(ctx, r.seen.Config().Branch)
		return err
	})
	if err != nil {
		classifyFetch(fmt.Errorf("reading the repository with the cluster's private key: %w", err), found)
		return
	}
	defer snapshot.Close()
	if snapshot.CheckPush(ctx) == nil {
		r.steps.Note(step.LevelWarning,
			"Flux's key can also push to the repository; one that may only read is safer")
	}
}

// observePush finds out before the first write whether the operator's credentials may push. Of a classic
// token GitHub's API has said so; of others it says what the user may do, and not what the token was granted.
func (r *run) observePush(ctx context.Context, found *findings) {
	if r.planned == nil || len(r.planned.Changes) == 0 || r.snapshot == nil {
		return
	}
	if access := r.seen.Access(); access != nil && access.Viewer.Kind == github.TokenClassic {
		return
	}
	err := r.persist(ctx, func() error { return r.snapshot.CheckPush(ctx) })
	if err != nil {
		classifyFetch(fmt.Errorf("asking to push to the repository: %w", err), found)
	}
}

// tellBranchRule adds, once, what keeps the run from pushing to the branch, unless it is known to have
// nothing to push.
func (r *run) tellBranchRule(found *findings) {
	rule := r.seen.BranchRule()
	if rule == nil || r.planned != nil && len(r.planned.Changes) == 0 || slices.Contains(found.soft, rule) {
		return
	}
	found.addSoft(rule)
}

// addOpening adds why a port could not be opened, each reason by itself.
func (f *findings) addOpening(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			f.addOpening(one)
		}
		return
	}
	area := facts.AreaAccess
	if errors.As(err, new(*sshkeys.AlgorithmError)) {
		area = facts.AreaSpec
	}
	f.add(area, err)
}

// noteUnseen says what no check can show to this token and so shows when it is done, of the things that this
// run is going to do.
func (r *run) noteUnseen() {
	access := r.seen.Access()
	if access == nil {
		return
	}
	registered := access.Repository != nil && r.seen.Cluster() != nil && r.seen.SourceKeyRegistered()
	for _, u := range access.Unseen {
		switch {
		case u.Name == github.FindingPush, u.Name == github.FindingDeployKeys && registered:
			// observePush asks about the first, and the second has been done.
		default:
			r.steps.Note(step.LevelInfo, "can only be found out by trying: "+u.Message)
		}
	}
}

// noteFormerKeys names deploy keys with the title of this cluster's that are of another key: those of a
// cluster of the same name that was there before. They open the repository as long as somebody has their
// private half; whether that cluster is gone is for a person to say.
func (r *clustersRun) noteFormerKeys() {
	access := r.seen.Access()
	if access == nil || r.management == nil {
		return
	}
	for _, key := range access.DeployKeys {
		if key.Title != r.deployKeyTitle() || key.SameMaterial(r.seen.Cluster().Flux.SourcePublicKey) {
			continue
		}
		r.steps.Note(step.LevelWarning, fmt.Sprintf("deploy key %q (number %d) of %s is not the one in the "+
			"cluster: an earlier cluster of this name left it, and it still opens the repository; when "+
			"that cluster is gone, remove it: %s", key.Title, key.ID, r.seen.RepoRef(),
			text.Command("gh api --method DELETE repos/%s/keys/%s", r.seen.RepoRef(), key.ID)))
	}
}
