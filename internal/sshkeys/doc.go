// Package sshkeys makes SSH keys and knows what a known_hosts file says. It opens no connection.
package sshkeys
