#!/usr/bin/perl
# An external authentication program of the kind that moves users from an old server when their
# first mail or their first login comes: asks the old server by SMTP whether a name is known and by
# IMAP or POP whether a password is right, and makes the account by the command language.
# Argument: a file of lines "key value". Only Perl's own modules; one process for each request.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use IO::Socket::INET;

$| = 1;
$SIG{CHLD} = 'IGNORE';

my %set;
open(my $file, '<', $ARGV[0]) or die "no settings: $!";
while (<$file>) { chomp; my ($key, $value) = split / /, $_, 2; $set{$key} = $value; }
close $file;

sub answer { syswrite STDOUT, "$_[0]\n"; }

sub connect_to {
  my ($address) = @_;
  return IO::Socket::INET->new(PeerAddr => $address, Proto => 'tcp', Timeout => 10);
}

# Commands of the CLI on one connection; the texts of the answers, or undef at the first refusal.
sub cli {
  my @commands = @_;
  my $line = connect_to($set{pwd}) or return;
  my $greeting = <$line>;
  return unless $greeting =~ /(<[^>]+>)/;
  print $line "APOP $set{admin} " . md5_hex($1 . $set{password}) . "\r\n";
  my $got = <$line>;
  return unless $got =~ /^200/;
  print $line "INLINE\r\n";
  $got = <$line>;
  my @texts;
  for my $command (@commands) {
    print $line "$command\r\n";
    $got = <$line>;
    return unless defined $got && $got =~ /^20[01] ?(.*?)\r?\n/;
    push @texts, $1;
  }
  print $line "QUIT\r\n";
  return \@texts;
}

sub known_at_the_old_server {
  my ($name) = @_;
  my $smtp = connect_to($set{smtp}) or return -1;
  my $say = sub { print $smtp "$_[0]\r\n" if defined $_[0]; my $l = ''; do { $l = <$smtp> // ''; } while ($l =~ /^...-/); $l };
  return -1 unless $say->(undef) =~ /^220/;
  return -1 unless $say->("HELO $set{me}") =~ /^250/;
  return -1 unless $say->("MAIL FROM:<>") =~ /^250/;
  my $yes = $say->("RCPT TO:<$name>") =~ /^250 / ? 1 : 0;
  $say->("QUIT");
  return $yes;
}

sub password_of_the_old_server {
  my ($name, $password) = @_;
  my ($user) = split /@/, $name;
  if ($set{imap}) {
    my $imap = connect_to($set{imap}) or return -1;
    return -1 unless (<$imap> // '') =~ /^\* OK/;
    (my $quoted = $password) =~ s/([\\"])/\\$1/g;
    print $imap "x LOGIN $user \"$quoted\"\r\n";
    while (my $line = <$imap>) {
      if ($line =~ /^x (\w+)/) { print $imap "y LOGOUT\r\n"; return $1 eq 'OK' ? 1 : 0; }
    }
    return -1;
  }
  my $pop = connect_to($set{pop}) or return -1;
  return -1 unless (<$pop> // '') =~ /^\+OK/;
  print $pop "USER $user\r\n";
  return 0 unless (<$pop> // '') =~ /^\+OK/;
  print $pop "PASS $password\r\n";
  my $yes = (<$pop> // '') =~ /^\+OK/ ? 1 : 0;
  print $pop "QUIT\r\n";
  return $yes;
}

sub new_name {
  my ($number, $name) = @_;
  return answer("$number ERROR Full account name with \@ and domain part expected") unless $name =~ /@(.+)/;
  my $domain = $1;
  my $known = known_at_the_old_server($name);
  return answer("$number FAILURE \"the old server does not answer\"") if $known < 0;
  return answer("$number ERROR unknown at the old server") unless $known;
  cli("GetAccountDefaultPrefs $domain");  # for a greeting; not every server has preferences
  my $made = cli(
    "CreateAccount $name {UseAppPassword=NO;UseExtPassword=YES;}");
  return answer($made ? "$number OK" : "$number FAILURE \"the account cannot be made\"");
}

sub verify {
  my ($number, $name, $password) = @_;
  return answer("$number ERROR Full account name with \@ and domain part expected") unless $name =~ /@/;
  my $right = password_of_the_old_server($name, $password);
  return answer("$number FAILURE") if $right < 0;
  return answer("$number ERROR incorrect password") unless $right;
  (my $quoted = $password) =~ s/([\\"])/\\$1/g;
  my $set = cli("UpdateAccountSettings $name {Password=\"$quoted\";UseAppPassword=YES;UseExtPassword=NO;}");
  answer("* cannot keep the password of $name") unless $set;
  return answer("$number OK");
}

print "* migrate_on_the_fly is ready\n";
while (my $line = <STDIN>) {
  chomp $line;
  my ($number, $command, @rest) = split / /, $line, -1;
  $command = uc($command // '');
  if ($command eq 'INTF') { answer("$number INTF 3"); next; }
  if ($command eq 'QUIT') { answer("$number OK"); exit 0; }
  if ($command ne 'NEW' && $command ne 'VRFY') { answer("$number ERROR not supported"); next; }
  open(my $book, '>>', $set{book}); print $book "$command $rest[0]\n"; close $book;
  my $child = fork();
  next if $child;
  shift @rest if $command eq 'VRFY' && $rest[0] =~ /^\(.*\)$/;
  my $name = shift @rest;
  $command eq 'NEW' ? new_name($number, $name) : verify($number, $name, join(' ', @rest));
  exit 0;
}
