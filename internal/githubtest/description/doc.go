// Package description holds what GitHub says itself about the operations of its REST API that the test GitHub
// serves: of github.com, in every version of the API, and of each enterprise server that GitHub supports.
// Requests and answers are checked against it.
//
// The *.json files are facts recorded from the npm package @octokit/openapi, which holds GitHub's OpenAPI
// descriptions; each file names the version of the package. Command extract, beside this package, renews
// them.
package description
