# The API: GET /ready, /live, /stock/NAME, and POST /order/NAME.
use strict;
use warnings;
use IO::Socket::INET;
use lib '.';
use http;

http::serve($ENV{API_PORT}, sub {
    my ($method, $path) = @_;
    return (200, 'alive') if $path eq '/live';
    my $db = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ENV{DB_PORT})
        or return (503, "no database: $!");
    my $ask = sub { print $db "@_\n"; my $line = <$db> // ''; chomp $line; $line };
    return $ask->('PING') eq 'PONG' ? (200, 'ready') : (503, 'no answer') if $path eq '/ready';
    return (200, $ask->("GET stock:$1")) if $method eq 'GET' and $path =~ m{^/stock/(\w+)$};
    if ($method eq 'POST' and $path =~ m{^/order/(\w+)$}) {
        my $item = $1;
        my $stock = $ask->("GET stock:$item");
        return (404, "we have no $item") if $stock eq '';
        my $number = $ask->('INCR orders');
        $ask->("PUSH todo $number $item");
        print "order $number: $item\n";
        return (201, "order $number");
    }
    return (404, 'no such page');
});
