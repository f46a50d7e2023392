#!/bin/sh
# Make configure and the Makefile templates of the Lustre model.
set -e
cd "$(dirname "$0")"

for tool in aclocal autoconf automake libtoolize; do
	command -v $tool > /dev/null || {
		echo "autogen.sh: $tool is missing: install autoconf, automake and libtool" >&2
		exit 1
	}
done
libtoolize -q -f -c
aclocal -I config
automake -a -c
autoconf
