# A session with the command language, made in the manner of the Perl libraries that scripts of the
# field use: LF ends a line, names go bare, INLINE answers, and a parser that forgives nothing.
#
#   my $cli = AdminSession->new(host => ..., port => ..., login => ..., password => ...);
#   $cli->CreateAccount('joe@one.example', { RealName => 'Joe' })  or die $cli->error;
#
# Arguments: a plain string goes as it is, a reference to a string is quoted, others are printed as
# dictionaries and arrays. Answers become strings, hashes and arrays; undef stands for #NULL#.

package AdminSession;

use strict;
use warnings;
use IO::Socket::INET;

our $AUTOLOAD;

sub new {
    my ($class, %given) = @_;
    my $self = bless { inline => 0, sent => 0 }, $class;
    $self->{socket} = IO::Socket::INET->new(
        PeerAddr => $given{host},
        PeerPort => $given{port},
        Proto    => 'tcp',
        Timeout  => 30,
    ) or die "cannot connect: $@\n";
    $self->_answer;
    $self->{code} == 200 && $self->{message} =~ /<.*@.*>$/ or die "not a greeting\n";
    $self->_line("USER $given{login}");
    $self->{code} == 300 or die "USER: $self->{message}\n";
    $self->_line("PASS $given{password}");
    $self->{code} == 200 or die "PASS: $self->{message}\n";
    if (!$given{plain}) {
        $self->_line('INLINE');
        $self->{code} == 200 or die "INLINE: $self->{message}\n";
        $self->{inline} = 1;
    }
    return $self;
}

sub error { my $self = shift; return "$self->{code} $self->{message}" }
sub code  { return shift->{code} }
sub sent  { return shift->{sent} }
sub data  { return shift->{data} }

# Any other name is a command; true when it was done. What it answered is in data().
sub AUTOLOAD {
    my ($self, @arguments) = @_;
    (my $command = $AUTOLOAD) =~ s/.*:://;
    return if $command eq 'DESTROY';
    return $self->command(join ' ', $command, map { ref eq 'SCALAR' ? quoted($$_) : ref ? printed($_) : $_ } @arguments);
}

# Sends one line as it is.
sub command {
    my ($self, $line) = @_;
    $self->{sent}++;
    $self->_line($line);
    return $self->{code} == 200 || $self->{code} == 201;
}

sub _line {
    my ($self, $line) = @_;
    die "a line end in a command\n" if $line =~ /[\r\n]/;
    $self->{socket}->print("$line\n");
    $self->_answer;
}

# Reads `code text`; 201 has its object on the line, `200 data follow` on the next ones.
sub _answer {
    my $self = shift;
    my $line = $self->_read;
    $line =~ /^(\d+)\s(.*)$/ or die "not an answer: $line\n";
    ($self->{code}, $self->{message}, $self->{data}) = ($1, $2, undef);
    if ($self->{code} == 201) {
        die "201 without INLINE\n" unless $self->{inline};
        $self->{data}    = parsed($self->{message});
        $self->{message} = 'OK';
    }
    elsif ($self->{code} == 200 && $self->{message} eq 'data follow') {
        die "lines of data after INLINE\n" if $self->{inline};
        my $text = $self->_read;
        my %closing = ('{' => '}', '(' => ')', '[' => ']');
        my $end = $closing{ substr $text, 0, 1 };
        while (defined $end && $text !~ /\Q$end\E$/) {
            $text .= $self->_read;
        }
        $self->{data}    = parsed($text);
        $self->{message} = 'OK';
    }
}

sub _read {
    my $self = shift;
    my $line = $self->{socket}->getline;
    defined $line or die "the server closed the connection\n";
    $line =~ s/\r\n$// or die "a line without CRLF: $line\n";
    return $line;
}

# Printing: only letters and digits go without quotes, and nothing but the quote and the backslash
# is escaped.
sub quoted {
    my $text = shift;
    return $text if $text =~ /^[A-Za-z0-9]+$/;
    $text =~ s/([\\"])/\\$1/g;
    $text =~ s/\n/\\e/g;
    return "\"$text\"";
}

sub printed {
    my $value = shift;
    return '#NULL#' unless defined $value;
    return quoted($value) unless ref $value;
    return '(' . join(',', map { printed($_) } @$value) . ')' if ref $value eq 'ARRAY';
    return '{' . join('', map { quoted($_) . '=' . printed($value->{$_}) . ';' } sort keys %$value) . '}';
}

# Parsing. Anything that is not exactly an object is an error.
sub parsed {
    my $text = shift;
    pos($text) = 0;
    my $value = _object(\$text);
    $text =~ /\G\s*$/gc or die "more after the object: $text\n";
    return $value;
}

sub _object {
    my $text = shift;
    $$text =~ /\G\s*/gc;
    return _dictionary($text) if $$text =~ /\G\{/gc;
    return _array($text)      if $$text =~ /\G\(/gc;
    return undef              if $$text =~ /\G#NULL#/gc;
    return $1                 if $$text =~ /\G(#T\d\d-\d\d-\d{4}(?:_\d\d:\d\d:\d\d)?)/gc;
    return $1                 if $$text =~ /\G(#I\[[0-9a-fA-F.:]+\](?::\d+)?)/gc;
    return $1                 if $$text =~ /\G#(-?\d+)/gc;
    return $1                 if $$text =~ /\G\[([A-Za-z0-9+\/=]*)\]/gc;
    return _string($text);
}

sub _string {
    my $text = shift;
    if ($$text =~ /\G"((?:[^"\\]|\\.)*)"/gc) {
        my $inside = $1;
        my %plain = (r => "\r", n => "\n", e => "\n", t => "\t");
        $inside =~ s/\\(?:(\d\d\d)|(.))/defined $1 ? chr($1) : exists $plain{$2} ? $plain{$2} : $2/ge;
        return $inside;
    }
    $$text =~ /\G([A-Za-z0-9\x80-\xff\-_.@!#%:]+)/gc or die "not an object at " . pos($$text) . ": $$text\n";
    return $1;
}

sub _array {
    my $text = shift;
    my @all;
    return \@all if $$text =~ /\G\s*\)/gc;
    while (1) {
        push @all, _object($text);
        return \@all if $$text =~ /\G\s*\)/gc;
        $$text =~ /\G\s*,/gc or die "a comma is missing: $$text\n";
    }
}

sub _dictionary {
    my $text = shift;
    my %all;
    while ($$text !~ /\G\s*\}/gc) {
        $$text =~ /\G\s*/gc;
        my $key = _string($text);
        $$text =~ /\G\s*=/gc or die "an equals sign is missing: $$text\n";
        $all{$key} = _object($text);
        $$text =~ /\G\s*;/gc or die "a semicolon is missing: $$text\n";
    }
    return \%all;
}

1;
