# An administrator's day in two hundred commands. Arguments: port, main domain; the password of
# postmaster is in PASSWORD, that of all accounts made here too. Says how many commands were sent;
# any answer that is not the expected one ends it with an error.

use strict;
use warnings;
use FindBin;
use MIME::Base64 qw(encode_base64 decode_base64);
use lib $FindBin::Bin;
use AdminSession;

my ($port, $main) = @ARGV;
my $password = $ENV{PASSWORD};
my %login    = (host => '127.0.0.1', port => $port, login => "postmaster\@$main", password => $password);
my $cli      = AdminSession->new(%login);

sub text { my $value = shift; return AdminSession::printed($value) }

# It must be done, and without data the text is OK.
sub done {
    my ($command, @arguments) = @_;
    $cli->$command(@arguments) or die "$command @arguments: " . $cli->error . "\n";
    $cli->{message} eq 'OK' or die "$command @arguments: the text is " . $cli->error . "\n";
    return $cli->data;
}

# It must answer exactly this.
sub gives {
    my ($expected, $command, @arguments) = @_;
    my $got = text(done($command, @arguments));
    $got eq text($expected) or die "$command @arguments: $got instead of " . text($expected) . "\n";
}

# It must be refused with this code, and the text must match.
sub refused {
    my ($code, $match, $command, @arguments) = @_;
    $cli->$command(@arguments) and die "$command @arguments: was done\n";
    $cli->code == $code && $cli->error =~ $match or die "$command @arguments: " . $cli->error . "\n";
}

# The server.
done('Noop');
gives($main, 'MainDomainName');
done('GetVersion');
done('GetCurrentTime');
grep { $_ eq 'CREATEACCOUNT' } @{ done('ListCLICommands') } or die "CREATEACCOUNT is not listed\n";
gives({ a => ['1', 'x y'], b => {}, c => "two\nlines", d => undef }, 'Echo',
    { a => [1, 'x y'], b => {}, c => "two\nlines", d => undef });
gives('#T22-10-2009_15:24:45', 'Echo', '#T22-10-2009_15:24:45');
gives('-50', 'Echo', '#-50');
gives('HcqHfHI=', 'Echo', '[HcqHfHI=]');
refused(500, qr/unknown command/, 'BrewCoffee');
refused(511, qr/STARTPBXTASK/, 'StartPBXTask', 'x');
done('UpdateServerSettings', { HideAccountUnknown => 'YES', SiteNote => 'kept "as is"' });
my $server = done('GetServerSettings');
$server->{SiteNote} eq 'kept "as is"' or die "SiteNote: $server->{SiteNote}\n";
done('UpdateServerSettings', { SiteNote => 'default' });
done('UpdateModule', 'IMAP', { LogLevel => 3 });
done('GetModule', 'IMAP')->{LogLevel} eq '3' or die "LogLevel\n";
done('GetRouterTable');
done('SetRouterTable', \"<sales\@$main> = u01\@one.example");
gives("<sales\@$main> = u01\@one.example", 'GetRouterTable');
done('SetClientIPs', \'192.0.2.0/24');
gives('192.0.2.0/24', 'GetClientIPs');
done('SetClientIPs', \'');

# Domains.
done('CreateDomain', 'one.example');
done('CreateDomain', 'two.example', { MailToUnknown => 'Discarded' });
done('CreateDomain', 'old.example');
refused(500, qr/already exists/, 'CreateDomain', 'one.example');
done('RenameDomain', 'old.example', 'into', 'new.example');
scalar @{ done('ListDomains') } == 4 or die "four domains\n";
done('DeleteDomain', 'new.example');
refused(512, qr/unknown secondary domain name/, 'GetDomainSettings', 'new.example');
done('SetDomainAliases', 'one.example', ['uno.example', 'eins.example']);
gives(['eins.example', 'uno.example'], 'GetDomainAliases', 'one.example');
gives({ MailToUnknown => 'Discarded' }, 'GetDomainSettings', 'two.example');
done('UpdateDomainSettings', 'one.example', { MailToUnknown => 'Rejected', Panel => { Id => 5 } });
gives({ MailToUnknown => 'Rejected', Panel => { Id => 5 } }, 'GetDomainSettings', 'one.example');
done('GetDomainEffectiveSettings', 'one.example')->{AccountsLimit} eq '-1' or die "AccountsLimit\n";
done('SetDomainSettings', 'two.example', { AccountsLimit => 2 });
done('GetDomainLocation', 'one.example');
done('UpdateDomainDefaults', { AccessToUnknown => 'Rejected' });
done('GetDomainDefaults')->{AccessToUnknown} eq 'Rejected' or die "AccessToUnknown\n";

# Defaults, classes of service, the template.
done('UpdateServerAccountDefaults', { MaxMailboxes => 50 });
done('GetServerAccountDefaults')->{MaxMailboxes} eq '50' or die "MaxMailboxes\n";
done('SetAccountDefaults', 'one.example', {
    MaxAccountSize => '20M',
    ServiceClasses => { gold => { MaxAccountSize => '80M' }, postonly => { AccessModes => [ 1, 'Mail', 'POP', 'SMTP', 'Relay' ] } },
});
done('GetAccountDefaults', 'one.example')->{MaxAccountSize} eq '20M' or die "MaxAccountSize\n";
done('SetAccountTemplate', 'one.example', {
    Mailboxes      => [ 'Drafts', 'Team/Plans' ],
    Subscription   => [ 'INBOX', 'Drafts' ],
    MailboxAliases => { Common => "~postmaster\@$main/Common" },
    Company        => 'One',
});
done('GetAccountTemplate', 'one.example')->{Company} eq 'One' or die "Company\n";

# Accounts.
for my $n ('01' .. '12') {
    done('CreateAccount', "u$n\@one.example", { Password => $password, RealName => "User \"$n\" \\ one" });
}
refused(520, qr/already exists/, 'CreateAccount', 'u01@one.example');
refused(512, qr/unknown secondary domain name/, 'CreateAccount', 'x@nowhere.example');
refused(500, qr/./, 'CreateAccount', '.x@one.example');
done('CreateAccount', 'sole@two.example', 'TextMailbox', { Password => $password });
done('CreateAccount', 'second@two.example', { Password => $password });
refused(540, qr/limit/, 'CreateAccount', 'third@two.example');
gives({ second => 'macnt', sole => 'mbox' }, 'ListAccounts', 'two.example');
for my $n ('01' .. '12') {
    my $settings = done('GetAccountSettings', "u$n\@one.example");
    $settings->{RealName} eq "User \"$n\" \\ one" or die "RealName $settings->{RealName}\n";
    $settings->{Company} eq 'One' or die "the template is not in u$n\n";
}
for my $n ('01' .. '06') {
    done('SetAccountAliases', "u$n\@one.example", [ "alias.$n", "other-$n" ]);
    gives([ "alias.$n", "other-$n" ], 'GetAccountAliases', "u$n\@one.example");
}
done('UpdateAccountSettings', 'u02@one.example', { ServiceClass => 'gold' });
gives('80M', 'GetAccountOneSetting', 'u02@one.example', 'MaxAccountSize');
gives('20M', 'GetAccountOneSetting', 'u03@one.example', 'MaxAccountSize');
gives(undef, 'GetAccountOneSetting', 'u03@one.example', 'Nothing');
done('UpdateAccountSettings', 'u04@one.example', { ServiceClass => 'postonly' });
done('UpdateAccountSettings', 'u05@one.example', { MaxAccountSize => '1M', wn_Panel => [ 'a', { b => 'c' } ] });
text(done('GetAccount', 'u05@one.example')->{wn_Panel}) eq text([ 'a', { b => 'c' } ]) or die "wn_Panel\n";
done('GetAccountEffectiveSettings', 'u05@one.example')->{MaxMailboxes} eq '50' or die "MaxMailboxes\n";
done('RenameAccount', 'u06@one.example', 'into', 'six@one.example');
gives([ 'alias.06', 'other-06' ], 'GetAccountAliases', 'six@one.example');
refused(513, qr/unknown user account/, 'GetAccountSettings', 'u06@one.example');
done('RenameAccount', 'u07@one.example', 'into', "seven\@$main");
done('DeleteAccount', 'u08@one.example');
refused(513, qr/unknown user account/, 'GetAccountInfo', 'u08@one.example');
done('SetAccountPassword', 'u09@one.example', 'PASSWORD', \"changed $password");
done('VerifyAccountPassword', 'u09@one.example', 'PASSWORD', \"changed $password");
refused(515, qr/./, 'VerifyAccountPassword', 'u09@one.example', 'PASSWORD', 'wrong');
done('UpdateAccountSettings', 'u10@one.example', { Password => "\002{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=" });
done('VerifyAccountPassword', 'u10@one.example', 'PASSWORD', 'test');
done('SetAccountType', 'u11@one.example', 'AGrade');
done('GetAccountLocation', 'u11@one.example');
done('SetAccountRights', 'u01@one.example', [ 'Domain', 'CanCreateAccounts', 'BasicSettings' ]);
gives([ 'BasicSettings', 'CanCreateAccounts', 'Domain' ], 'GetAccountRights', 'u01@one.example');
gives('0', 'GetAccountInfo', 'u01@one.example', 'Key', 'StorageUsed');
done('KillAccountSessions', 'u01@one.example');
my $objects = done('ListDomainObjects', 'one.example', 100, 'ACCOUNTS', 'ALIASES');
$objects->[0] == 10 && $objects->[2] == 12 or die text($objects) . "\n";
text($objects->[1]{'alias.06'}) eq '(six)' or die text($objects) . "\n";
my ($cookie, $listed) = ('', 0);
do {
    my $page = done('ListDomainObjects', 'one.example', 5, 'ACCOUNTS', 'COOKIE', \$cookie);
    $listed += keys %{ $page->[1] };
    $cookie = $page->[4];
} while ($cookie ne '');
$listed == 10 or die "$listed accounts listed\n";

# Rules, preferences, polled accounts, access lists.
my $vacation = [ 2, '#Vacation', [ [ 'Human Generated', '---' ] ], [ [ 'Reply with', "+Subject: away\n\nback soon" ] ] ];
done('SetAccountRules', 'u01@one.example', [$vacation]);
gives([$vacation], 'GetAccountRules', 'u01@one.example');
done('UpdateAccountMailRule', 'u01@one.example', [ 0, '#Vacation' ]);
done('GetAccountMailRules', 'u01@one.example')->[0][0] eq '0' or die "priority\n";
done('SetAccountMailRules', 'u01@one.example', 'Default');
gives([], 'GetAccountMailRules', 'u01@one.example');
done('SetDomainRules', 'one.example', [ [ 1, 'all', [], [ [ 'Mark', 'Read' ] ] ] ]);
done('GetDomainRules', 'one.example');
done('SetDomainMailRules', 'one.example', []);
done('UpdateAccountPrefs', 'u01@one.example', { Language => 'French', TimeZone => 'HostOS' });
done('SetAccountDefaultPrefs', 'one.example', { Layout => 'Basic' });
gives({ Language => 'French', Layout => 'Basic', TimeZone => 'HostOS' }, 'GetAccountEffectivePrefs', 'u01@one.example');
done('SetAccountRPOPs', 'u01@one.example', { far => { domain => 'pop.example', authName => 'u', password => 'p' } });
done('GetAccountRPOP', 'u01@one.example')->{far}{domain} eq 'pop.example' or die "RPOP\n";
done('SetAccountACL', 'u01@one.example', { 'u02' => 'lrs' });
gives('lrs', 'GetAccountACLRights', 'u01@one.example', 'AUTH', 'u02@one.example');
done('GetAccountStat', 'u01@one.example');
gives({}, 'GetAccountLists', 'u01@one.example');

# Groups and forwarders.
done('CreateGroup', 'team@one.example', { RealName => 'The Team', Members => [ 'u02', 'six' ] });
refused(523, qr/already exists/, 'CreateGroup', 'team@one.example');
done('SetGroup', 'team@one.example', { RealName => 'The Team', Members => [ 'u02', 'six', "seven\@$main" ] });
done('RenameGroup', 'team@one.example', 'into', 'crew@one.example');
scalar @{ done('GetGroup', 'crew@one.example')->{Members} } == 3 or die "three members\n";
gives(['crew'], 'ListGroups', 'one.example');
refused(551, qr/group is not found/, 'GetGroup', 'team@one.example');
done('CreateGroup', 'gone@one.example');
done('DeleteGroup', 'gone@one.example');
done('CreateForwarder', 'info@one.example', 'to', 'u03@one.example');
done('CreateForwarder', 'help@one.example', 'to', 'u03@one.example');
refused(524, qr/already exists/, 'CreateForwarder', 'info@one.example', 'to', 'x@y.example');
done('RenameForwarder', 'help@one.example', 'into', 'desk@one.example');
gives('u03@one.example', 'GetForwarder', 'desk@one.example');
gives([ 'desk', 'info' ], 'ListForwarders', 'one.example');
gives([ 'desk', 'info' ], 'FindForwarders', 'one.example', 'TO', 'u03@one.example');
done('DeleteForwarder', 'desk@one.example');
refused(553, qr/forwarder is not found/, 'GetForwarder', 'desk@one.example');
done('Route', 'info@one.example', 'mail');

# Mailboxes.
for my $name ('Work', 'Work/Old things', "Caf\x{c3}\x{a9}", 'Trash me', 'Trash me/below') {
    done('CreateMailbox', 'u01@one.example', 'Mailbox', \$name);
}
refused(532, qr/already exists/, 'CreateMailbox', 'u01@one.example', 'MAILBOX', 'Work');
done('CreateMailbox', 'u01@one.example', 'MAILBOX', 'People', 'CLASS', \'IPF.Contact');
done('SetMailboxClass', 'u01@one.example', 'MAILBOX', 'People', 'CLASS', \'IPF.Note');
done('RenameMailbox', 'u01@one.example', 'MAILBOXES', 'Work', 'INTO', 'Job');
done('DeleteMailbox', 'u01@one.example', 'MAILBOXES', \'Trash me');
my $mailboxes = done('ListMailboxes', 'u01@one.example');
join('|', sort keys %$mailboxes) eq "Caf\x{c3}\x{a9}|Drafts|INBOX|Job|Job/Old things|People|Team|Team/Plans"
    or die 'mailboxes ' . join('|', sort keys %$mailboxes) . "\n";
ref $mailboxes->{Job} eq 'ARRAY' && ref $mailboxes->{INBOX} eq 'HASH' or die "shapes of mailboxes\n";
gives({ Job => [ done('GetMailboxInfo', 'u01@one.example', 'MAILBOX', 'Job') ] }, 'ListMailboxes', 'u01@one.example', 'FILTER', 'J%');
done('SetMailboxACL', 'u01@one.example', 'MAILBOX', 'Job', { 'u02' => 'lr', anyone => 'l' });
done('SetMailboxACL', 'u01@one.example', 'MAILBOX', 'Job', { 'u02' => '+s', anyone => '' });
gives({ 'u02' => 'lrs' }, 'GetMailboxACL', 'u01@one.example', 'MAILBOX', 'Job');
gives('lrs', 'GetMailboxRights', 'u01@one.example', 'MAILBOX', 'Job', 'AUTH', 'u02@one.example');
refused(530, qr/does not exist/, 'GetMailboxInfo', 'u01@one.example', 'MAILBOX', 'Nothing');
done('SetMailboxSubscription', 'u01@one.example', [ 'INBOX', 'Job', 'Job/Old things' ]);
gives([ 'INBOX', 'Job', 'Job/Old things' ], 'GetAccountSubscription', 'u01@one.example');
done('SetMailboxAliases', 'u02@one.example', { Jobs => '~u01/Job' });
gives({ Jobs => '~u01/Job' }, 'GetMailboxAliases', 'u02@one.example');
gives([ 'INBOX', 'Drafts' ], 'GetMailboxSubscription', 'u11@one.example');
exists done('ListMailboxes', 'u11@one.example')->{'Team/Plans'} or die "the template's mailboxes\n";

# Files, under the newer names and the older ones; a large one goes in pieces, as lines have an end.
gives({}, 'ListStorageFiles', 'u01@one.example');
done('WriteStorageFile', 'u01@one.example', 'FILE', \'index.html', 'DATA', '[PGh0bWw+]');
done('WriteStorageFile', 'u01@one.example', 'FILE', \'private/');
done('PutWebFile', 'u01@one.example', 'FILE', \'private/a b.txt', 'DATA', '[b25l]');
refused(501, qr/already exists/, 'WriteStorageFile', 'u01@one.example', 'FILE', \'index.html', 'NEW', 'DATA', '[eA==]');
refused(501, qr/never leads up/, 'WriteStorageFile', 'u01@one.example', 'FILE', \'../x', 'DATA', '[eA==]');
my $piece = 'x' x 600_000;
my $coded = '[' . encode_base64($piece, '') . ']';
for my $n (1 .. 4) {
    done('WriteStorageFile', 'u01@one.example', 'FILE', 'large', 'END', 'DATA', $coded);
}
done('WriteStorageFile', 'u01@one.example', 'FILE', 'large', 'OFFSET', 1_048_575, 'DATA', '[eXk=]');
my $read = done('ReadStorageFile', 'u01@one.example', 'FILE', 'large', 'OFFSET', 1_048_574, 'SIZE', 4);
decode_base64($read->[0]) eq 'xyyx' && $read->[1] =~ /^#T/ && $read->[2] == 2_400_000 or die text($read) . "\n";
my $whole = '';
while (length $whole < 2_400_000) {
    $whole .= decode_base64(done('GetWebFile', 'u01@one.example', 'FILE', 'large', 'OFFSET', length $whole, 'SIZE', 700_000)->[0]);
}
$whole eq ('x' x 1_048_575) . 'yy' . ('x' x 1_351_423) or die "the large file\n";
my $files = done('ListStorageFiles', 'u01@one.example');
join('|', sort keys %$files) eq 'index.html|large|private' && $files->{'index.html'}{STFileSize} == 6
    && text($files->{private}) eq '()' or die text($files) . "\n";
gives([ 2_400_009, 3 ], 'GetStorageFileInfo', 'u01@one.example');
gives([ 3, 1 ], 'GetWebFilesInfo', 'u01@one.example', 'PATH', \'private/');
done('UpdateAccountSettings', 'u01@one.example', { MaxWebSize => '3M' });
refused(540, qr/MaxWebSize/, 'WriteStorageFile', 'u01@one.example', 'FILE', 'more', 'DATA', "[" . encode_base64('y' x 750_000, '') . ']');
done('RenameStorageFile', 'u01@one.example', 'FILE', 'private', 'INTO', \'public/old');
gives({ 'a b.txt' => done('ListStorageFiles', 'u01@one.example', 'PATH', \'public/old')->{'a b.txt'} }, 'ListWebFiles', 'u01@one.example', 'PATH', \'public/old/');
refused(501, qr/not empty/, 'DeleteStorageFile', 'u01@one.example', 'FILE', \'public/');
done('DeleteStorageFile', 'u01@one.example', 'FILE', 'large');
done('RemoveAccountSubset', 'u01@one.example', 'SUBSET', 'RepliedAddresses');
done('InsertDirectoryRecords', 'one.example');

# Alerts.
done('PostAccountAlert', 'u12@one.example', 'ALERT', \'your account moves tonight');
scalar keys %{ done('GetAccountAlerts', 'u12@one.example') } == 1 or die "one alert\n";
done('PostDomainAlert', 'one.example', 'ALERT', \'soon');
my ($stamp) = keys %{ done('GetDomainAlerts', 'one.example') };
done('RemoveDomainAlert', 'one.example', 'ALERT', \$stamp);
gives({}, 'GetDomainAlerts', 'one.example');

# A domain administrator has his domain and nothing else.
my $master = $cli;
$cli = AdminSession->new(%login, login => 'alias.01@uno.example');
done('CreateAccount', 'made', { Password => $password });
refused(510, qr/insufficient access rights/, 'CreateAccount', 'made@two.example');
refused(510, qr/insufficient access rights/, 'SetRouterTable', \'');
gives(['one.example'], 'ListDomains');
my $sent = $cli->sent;
# Without INLINE the data comes on lines of its own.
$cli = AdminSession->new(%login, plain => 1);
gives([ 'INBOX', 'Job', 'Job/Old things' ], 'GetMailboxSubscription', 'u01@one.example');
gives($main, 'MainDomainName');
$sent += $cli->sent;
$cli = $master;

# Other settings of the server, as panels read and write them.
done('SetSessionSettings', { MaxSessions => 5 });
gives({ MaxSessions => 5 }, 'GetSessionSettings');
done('SetNetwork', { LocalNet => '192.0.2.0' });
gives({ LocalNet => '192.0.2.0' }, 'GetNetwork');
done('UpdateLogSettings', { Keep => '7d' });
gives({ Keep => '7d' }, 'GetLogSettings');
done('SetDirectoryIntegration', { Level => 'none' });
gives({ Level => 'none' }, 'GetDirectoryIntegration');
gives([], 'GetServerTrustedCerts');
gives([], 'GetServerMailRules');
grep { $_ eq 'SMTP' } @{ done('ListModules') } or die "no SMTP\n";
gives({}, 'GetDomainLists', 'one.example');
gives([], 'ListLists', 'one.example');
done('SetBlacklistedIPs', \'198.51.100.7');
gives('198.51.100.7', 'GetBlacklistedIPs');
done('RefreshOSData');

# Suspended and let go on.
done('SuspendDomain', 'two.example');
done('ResumeDomain', 'two.example');
done('ReleaseSMTPQueue', 'nowhere.example');
gives({}, 'GetMessageQueueInfo', 'SMTP', 'QUEUE', 'nowhere.example');
done('GetStatElement', 'loginTotal') >= 1 or die "no logins\n";
done('WriteLog', 3, \'the day is over');

$sent += $cli->sent;
print "$sent commands\n";
exit($sent >= 200 ? 0 : 1);
