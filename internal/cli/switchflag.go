package cli

import (
	"strconv"

	"github.com/spf13/pflag"
)

// switchFlag is a flag that is on, off, or not given, which leaves things as they are.
type switchFlag struct{ value **bool }

// addSwitch adds a switch to flags.
func addSwitch(flags *pflag.FlagSet, target **bool, name, usage string) {
	flags.VarPF(switchFlag{target}, name, "", usage).NoOptDefVal = "true"
}

// String is its value; empty when it was not given.
func (s switchFlag) String() string {
	if s.value == nil || *s.value == nil {
		return ""
	}
	return strconv.FormatBool(**s.value)
}

// Set implements [pflag.Value].
func (s switchFlag) Set(text string) error {
	on, err := strconv.ParseBool(text)
	if err == nil {
		*s.value = &on
	}
	return err
}

// Type is that of a flag that needs no value.
func (switchFlag) Type() string { return "bool" }
