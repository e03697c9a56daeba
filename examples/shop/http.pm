# As much of an HTTP server as a shop needs: one request at a time.
package http;
use strict;
use warnings;
use IO::Socket::INET;

sub serve {
    my ($port, $answer) = @_;
    my $running = 1;
    $| = 1;
    $SIG{TERM} = sub { $running = 0 };
    $SIG{PIPE} = 'IGNORE';
    my $server = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1, Timeout => 1,
    ) or die "cannot listen on port $port: $!\n";
    print "listening on http://127.0.0.1:$port\n";
    while ($running) {
        my $client = $server->accept or next;
        my $request = <$client> // '';
        while (my $header = <$client>) { last if $header =~ /^\r?\n$/ }
        my ($method, $path) = split ' ', $request;
        my ($code, $body) = defined $path ? $answer->($method, $path) : (400, 'what?');
        print $client "HTTP/1.1 $code X\r\nContent-Length: ", length($body),
            "\r\nConnection: close\r\n\r\n$body";
        close $client;
    }
    print "closing\n";
}

1;
