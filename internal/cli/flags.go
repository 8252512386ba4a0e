package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// The output formats.
const (
	outputText = "text"
	outputJSON = "json"
)

func addOutputFlag(cmd *cobra.Command, target *string) {
	output := newEnum(target, outputText, outputText, outputJSON)
	cmd.Flags().VarP(output, "output", "o", "format of the result on standard output: "+output.choices())
	completeEnum(cmd, "output", output)
}

func addFilesFlag(cmd *cobra.Command, target *[]string) {
	cmd.Flags().StringArrayVarP(target, "filename", "f", nil, "EKS Anywhere cluster `file`; may be repeated, may be a directory, - is standard input")
}

// shellQuote quotes a word for a POSIX shell when it needs that.
func shellQuote(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,~", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 && word[0] != '~' {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
