//go:build !windows

package ui

import "os"

// openTerminal opens the terminal of the process, whatever its standard streams are.
func openTerminal() (in, out *os.File, err error) {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	return terminal, terminal, err
}
