// Package jsonform is what the JSON forms of all that the program prints have in common.
package jsonform

// Version is that of every JSON form: of results, of what `status` reports, and of what is wrong with files.
// Fields are only ever added within it.
const Version = "eksa-gitops/v1"
