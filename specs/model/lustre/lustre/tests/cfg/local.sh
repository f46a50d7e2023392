# Lustre model: what llmount.sh makes. Every variable can be set before it runs.
FSNAME=${FSNAME:-lustre}
TMP=${TMP:-/tmp}

MDSCOUNT=${MDSCOUNT:-1}
MDSDEVBASE=${MDSDEVBASE:-$TMP/${FSNAME}-mdt}
MDSSIZE=${MDSSIZE:-250000}		# KiB

OSTCOUNT=${OSTCOUNT:-2}
OSTDEVBASE=${OSTDEVBASE:-$TMP/${FSNAME}-ost}
OSTSIZE=${OSTSIZE:-400000}		# KiB

# The model has no network: this only goes into names.
MGSNID=${MGSNID:-$(hostname)@tcp}

MOUNT=${MOUNT:-/mnt/${FSNAME}}
MOUNTOPT=${MOUNTOPT:-user_xattr,flock}
MDSMOUNTBASE=${MDSMOUNTBASE:-/mnt/${FSNAME}-mds}
OSTMOUNTBASE=${OSTMOUNTBASE:-/mnt/${FSNAME}-ost}
