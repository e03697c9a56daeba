# The front end: one page that asks the API.
use strict;
use warnings;
use IO::Socket::INET;
use lib '.';
use http;

http::serve($ENV{WEB_PORT}, sub {
    my @rows = map { "<li>$_: " . stock($_) . "</li>" } qw(tea coffee cake);
    return (200, "<h1>The shop</h1><ul>@rows</ul>");
});

sub stock {
    my $api = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ENV{API_PORT})
        or return 'unknown';
    print $api "GET /stock/$_[0] HTTP/1.0\r\n\r\n";
    my $answer = join '', <$api>;
    return $answer =~ /\r\n\r\n(.+)/s ? $1 : 'unknown';
}
