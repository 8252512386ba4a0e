// Package github is the part of GitHub's REST API that a bootstrapper needs: who a token belongs to, the
// repository, what protects a branch, deploy keys and the server's SSH host keys. It is built on go-github,
// which no other package imports.
//
// # Promises
//
// Every method may be repeated, and by several goroutines at once. The Ensure methods look first, write only
// a difference and say whether they wrote; a second call writes nothing. A write whose answer was lost is
// never sent again blindly: its effect is looked for, and only what is missing is written.
//
// Reads and writes that may be repeated are tried again on faults that pass (network, 5xx, rate limits) with
// a back-off that honours Retry-After and X-RateLimit-Reset, within the context's deadline. [Options].OnRetry
// hears what is waited for.
//
// Rights are probed, never inferred from the form of a token: classic, fine-grained and App installation
// tokens are asked the same questions, see [Client.CheckAccess].
//
// Failures are *[Error] values. They match one of the Err sentinels through errors.Is, name the missing
// permission in GitHub's words and offer a Hint with the next action.
//
// The token goes to the API's own host over TLS and nowhere else: not into an error, not to a host that the
// API redirects to, not to one that is reached without TLS. Text of the server is bounded and free of control
// characters.
package github
