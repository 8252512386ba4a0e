package githubtest

import (
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/crypto/ssh"
)

func (c *call) keyJSON(r *Repo, k *DeployKey) object {
	o := object{
		"id": k.ID, "key": k.Key, "url": c.url("/repos/%s/keys/%d", r.fullName(), k.ID), "title": k.Title,
		"verified": true, "enabled": r.enabled(k), "created_at": stamp(k.Created), "read_only": k.ReadOnly,
		"added_by": nil, "last_used": nil,
	}
	if k.AddedBy != "" {
		o["added_by"] = k.AddedBy
	}
	if !k.LastUsed.IsZero() {
		o["last_used"] = stamp(k.LastUsed)
	}
	return o
}

func (c *call) listKeys() *reply {
	r, denied := c.repo(Admin)
	if denied != nil {
		return denied
	}
	keys := []object{}
	for _, k := range r.keys {
		keys = append(keys, c.keyJSON(r, k))
	}
	return page(c, keys)
}

// invalidKey is GitHub's text for what is no public key, or one of a kind that it no longer takes.
const invalidKey = "key is invalid. You must supply a key in OpenSSH public key format"

func (c *call) createKey() *reply {
	r, denied := c.repo(Admin)
	if denied != nil {
		return denied
	}
	if r.owner.org != nil && r.owner.org.deployKeysDisabled {
		// It names no field: see https://github.com/vitodeploy/vito/issues/949.
		return c.invalid(apiError{Resource: "PublicKey", Code: "custom",
			Message: "Deploy keys are disabled for this repository"})
	}
	wrong := func(message string) *reply {
		return c.invalid(apiError{Resource: "PublicKey", Code: "custom", Field: "key", Message: message})
	}
	public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(c.text("key")))
	if err != nil || public.Type() == "ssh-dss" {
		return wrong(invalidKey)
	}
	if c.s.keyInUse(string(public.Marshal())) {
		return wrong("key is already in use")
	}
	title := c.text("title")
	if title == "" {
		title = comment
	}
	login := ""
	if c.actor.user != nil {
		login = c.actor.user.login
	}
	// What is not said to be read-only is writable.
	k := r.addKey(title, public, c.flag("read_only", false), login, c.actor.token.value)
	o := c.keyJSON(r, k)
	c.header.Set("Location", c.url("/repos/%s/keys/%d", r.fullName(), k.ID))
	return &reply{http.StatusCreated, o}
}

// findDeployKey returns the key that the path names, and its place.
func (c *call) findDeployKey(r *Repo) int {
	id, err := strconv.ParseInt(c.params["key_id"], 10, 64)
	if err != nil {
		return -1
	}
	return slices.IndexFunc(r.keys, func(k *DeployKey) bool { return k.ID == id })
}

func (c *call) getKey() *reply {
	r, denied := c.repo(Admin)
	if denied != nil {
		return denied
	}
	i := c.findDeployKey(r)
	if i < 0 {
		return c.notFound()
	}
	return &reply{http.StatusOK, c.keyJSON(r, r.keys[i])}
}

func (c *call) deleteKey() *reply {
	r, denied := c.repo(Admin)
	if denied != nil {
		return denied
	}
	i := c.findDeployKey(r)
	if i < 0 {
		return c.notFound()
	}
	r.keys = slices.Delete(r.keys, i, i+1)
	return &reply{http.StatusNoContent, nil}
}
