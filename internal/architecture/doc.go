// Package architecture holds the test that keeps the direction of dependencies as docs/design.md draws it. It
// has no code.
package architecture
