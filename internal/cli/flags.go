package cli

import (
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
	cmd.Flags().StringArrayVarP(target, "filename", "f", nil,
		"EKS Anywhere cluster `file`; may be repeated, may be a directory, - is standard input")
}
