# A database stand-in: SET, GET, INCR, PUSH and POP, one command a line.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

$| = 1;
my (%value, %list);
my $running = 1;
$SIG{TERM} = sub { $running = 0 };

print "recovering\n";
select(undef, undef, undef, 0.1);
my $server = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $ENV{DB_PORT}, Listen => 64, ReuseAddr => 1,
) or die "cannot listen on port $ENV{DB_PORT}: $!\n";
print "listening on 127.0.0.1:$ENV{DB_PORT}\n";

my $sockets = IO::Select->new($server);
my %input;
while ($running) {
    for my $socket ($sockets->can_read(1)) {
        if ($socket == $server) {
            my $client = $server->accept or next;
            $sockets->add($client);
            $input{$client} = '';
        } elsif (sysread($socket, $input{$socket}, 4096, length $input{$socket})) {
            while ($input{$socket} =~ s/^(.*?)\r?\n//) {
                syswrite $socket, answer($1) . "\n";
            }
        } else {
            $sockets->remove($socket);
            delete $input{$socket};
            close $socket;
        }
    }
}
print "written to disk: ", scalar(keys %value), " keys. Good night\n";

sub answer {
    my ($command, $key, $text) = split ' ', shift, 3;
    return 'ERROR' unless defined $command;
    return 'PONG' if $command eq 'PING';
    return 'ERROR' unless defined $key;
    return $value{$key} = $text // '' if $command eq 'SET';
    return $value{$key} // '' if $command eq 'GET';
    return ++$value{$key} if $command eq 'INCR';
    return push @{$list{$key}}, $text // '' if $command eq 'PUSH';
    return shift @{$list{$key}} // '' if $command eq 'POP';
    return 'ERROR';
}
