#!/usr/bin/env bash
# Holds the modules whose directories are given against the Go vulnerability database, with govulncheck: only vulnerable code that the
# module calls counts. GOVULNDB names another database, such as a copy: file:///path.
#
# Exit code: 0 nothing found, 77 not checked since the database cannot be reached (1 with VULNERABILITIES=required), others as
# govulncheck's: 3 for findings.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
database=()
if [ -n "${GOVULNDB:-}" ]; then database=(-db "$GOVULNDB"); fi
scan() { go tool -modfile="$here/go.mod" govulncheck "${database[@]}" "$@"; }

# The version's page tells when the database was changed last, if it can be read.
if ! scan -version 2>&1 | grep -q '^DB updated:'; then
	echo "##########################################################################" >&2
	echo "# NOT CHECKED for known vulnerabilities: the database ${GOVULNDB:-of the Go project}" >&2
	echo "# cannot be reached from here. Run this where it can be, or with GOVULNDB" >&2
	echo "# naming a copy of it: make vulnerabilities VULNERABILITIES=required" >&2
	echo "##########################################################################" >&2
	[ "${VULNERABILITIES:-}" = required ] && exit 1
	exit 77
fi
result=0
for module in "$@"; do
	(cd "$module" && scan ./...) || result=$?
done
exit "$result"
