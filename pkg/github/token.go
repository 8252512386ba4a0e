package github

import "github.com/eksa-gitops/eksa-gitops/pkg/secret"

// TokenVariable is the environment variable that users give the token in; the name is EKS Anywhere's.
const TokenVariable = "EKSA_GITHUB_TOKEN"

// TokenError says that there is no token, or one that cannot be one. It matches [ErrAuthentication]. No
// request was made.
type TokenError struct{ Problem string }

// Error names the variable and the problem, never the token.
func (e *TokenError) Error() string { return TokenVariable + " " + e.Problem }

// Is makes it an authentication error.
func (e *TokenError) Is(target error) bool { return target == ErrAuthentication }

// Hint says what to do.
func (e *TokenError) Hint() string {
	return "export " + TokenVariable +
		" with a token that may push to the repository and administer its deploy keys " +
		`(classic: scope "repo"; fine-grained or App: "Contents: write" and "Administration: write")`
}

// checkToken refuses what cannot be a token before it is put into a header. It knows nothing of the forms of
// tokens: GitHub changes them, and asking GitHub is the only test that counts.
func checkToken(token secret.Value) error {
	value := token.Reveal()
	if value == "" {
		return &TokenError{Problem: "is not set: there is no token for GitHub"}
	}
	for _, r := range value {
		switch {
		case r == '\r' || r == '\n':
			return &TokenError{Problem: "is malformed: it contains a line break"}
		case r == ' ' || r == '\t':
			return &TokenError{Problem: "is malformed: it contains white space"}
		case r < 0x21 || r > 0x7e:
			return &TokenError{Problem: "is malformed: it contains a character that tokens do not have"}
		}
	}
	return nil
}
