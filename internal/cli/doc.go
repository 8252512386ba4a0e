// Package cli is the command line of eksa-gitops: the Cobra tree with one file a command, the settings from
// flags, environment and configuration file, what pkg/connect is told, and the only place that prints errors
// and decides exit codes.
package cli
