# Takes connections of the test at the socket that it is given, which is of the host's network, and hands them on to the source server,
# which is of this one.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SHUT_WR);

my $listener = IO::Socket::INET->new_from_fd($ARGV[0], 'r+') or die "no socket: $!\n";
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
while (1) {
  my $client = $listener->accept() or next;
  my $child = fork();
  die "fork: $!\n" unless defined $child;
  if ($child) {
    close $client;
    next;
  }
  close $listener;
  my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 5352, Proto => 'tcp') or exit 1;
  my %other = (fileno $client => $server, fileno $server => $client);
  my $open = IO::Select->new($client, $server);
  while ($open->count) {
    for my $from ($open->can_read) {
      my $to = $other{fileno $from};
      my $count = sysread($from, my $bytes, 65536);
      if ($count) {
        my $written = 0;
        while ($written < $count) {
          my $more = syswrite($to, $bytes, $count - $written, $written);
          exit 1 unless defined $more;
          $written += $more;
        }
      } else {
        exit 0 if $from == $server;
        $open->remove($from);
        shutdown($to, SHUT_WR);
      }
    }
  }
  exit 0;
}
