# All that the servers are told. They see no network but their own loopback.
package BSConfig;
our $obsname = 'obs.test';
our $ipaccess = { '^127\.0\.0\.1$' => 'rw,worker' };
our $srcserver = 'http://127.0.0.1:5352';
our $reposerver = 'http://127.0.0.1:5252';
our $serviceserver = 'http://127.0.0.1:5152';
our $servicedir = '/usr/lib/obs/service/';
our $bsdir = '/srv/obs';
our $rundir = "$bsdir/run";
our $logdir = "$bsdir/log";
our $bsuser = 'obsrun';
our $bsgroup = 'obsrun';
our $bsserviceuser = 'obsservicerun';
our $bsservicegroup = 'obsrun';
our $nosharedtrees = 2;
our $packtrack = [];
our $relsync_pool = {};
our $sign_project = 0;
our $createrepo = '/usr/bin/createrepo_c';
our $modifyrepo = '/usr/bin/modifyrepo_c';
# It lives no longer than a test.
our $disable_data_sync = 1;
1;
