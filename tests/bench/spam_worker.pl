#!/usr/bin/perl -T
# SpamAssassin in processes with no more round it than a socket: what workers of our own would cost at the least.
# Arguments: the socket's path, how many processes. Answers each request as spamd answers SYMBOLS.
use strict;
use warnings;

use IO::Socket::UNIX;
use Mail::SpamAssassin;
use Mail::SpamAssassin::PerMsgStatus;
use Mail::SpamAssassin::Util;

$ENV{PATH} = '/usr/bin:/bin';
my ($path) = ($ARGV[0] // '') =~ m{^(/[\w./-]+)$} or die "the path of a socket is wanted\n";

my $engine = Mail::SpamAssassin->new({ dont_copy_prefs => 1, home_dir_for_helpers => '/var/lib/spamassassin' });
$engine->compile_now(0, 1);
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 16) or die "$path: $!\n";
for (2 .. $ARGV[1]) { last unless fork }
$engine->call_plugins('spamd_child_init');
while (my $client = $listener->accept) {
    1 until (<$client> // "\r\n") eq "\r\n";
    my @lines = <$client>;
    my $mail = $engine->parse(\@lines, 0);
    my $status = Mail::SpamAssassin::PerMsgStatus->new($engine, $mail);
    $status->check;
    my $names = $status->get_names_of_tests_hit;
    my ($spam, $required) = ($status->is_spam, $status->get_required_score);
    my $score = Mail::SpamAssassin::Util::get_tag_value_for_score($status->get_score, $required, $spam);
    printf $client "SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s ; %s / %.1f\r\n\r\n%s",
        length $names, $spam ? 'True' : 'False', $score, $required, $names;
    $_->finish for $status, $mail;
    close $client;
}
