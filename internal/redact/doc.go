// Package redact takes secrets out of what is shown. It is the only place that knows how: everything that the
// program prints passes through it (internal/ui), and so does what packages put into the texts of their
// errors.
//
// There are two ways to know a secret. [Text] knows it by its form: the user information of a URL, the
// credentials of an HTTP header, a private key, a token of GitHub's. A [Redactor] knows it by its value, and
// finds it in the forms in which programs print values.
//
// What is shown is never used as data again, and data that was asked for (a kubeconfig, a file for Git) does
// not pass through here.
package redact
