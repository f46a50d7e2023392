#!/bin/bash
# Lustre model: undo llmount.sh. The targets' files stay.

case ${1-} in
-h|--help)	echo "Usage: ${0##*/}        (Lustre model)"; exit 0 ;;
'')		;;
*)		echo "Usage: ${0##*/}" >&2; exit 2 ;;
esac

LUSTRE=${LUSTRE:-$(cd "$(dirname "$0")/.." && pwd)}
. "$LUSTRE/tests/test-framework.sh"
init_test_env
cleanupall
