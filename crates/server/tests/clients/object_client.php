<?php
// A client in the manner of PHP's libraries: fsockopen and fgets, LF line ends, everything quoted,
// answers read object by object. It makes one of each kind of object and reads every form of data.
// Arguments: port, name; the password is in PASSWORD.
declare(strict_types=1);

final class Refused extends Exception {}

final class Reader
{
    private int $at = 0;

    public function __construct(private string $text) {}

    public static function whole(string $text): mixed
    {
        $reader = new Reader($text);
        $value = $reader->value();
        if ($reader->at !== strlen($text)) {
            throw new RuntimeException("something follows the object: $text");
        }
        return $value;
    }

    private function peek(): string
    {
        return $this->text[$this->at] ?? '';
    }

    private function take(string $wanted): void
    {
        if ($this->peek() !== $wanted) {
            throw new RuntimeException("$wanted wanted at {$this->at}: {$this->text}");
        }
        $this->at++;
    }

    private function matched(string $pattern): ?array
    {
        if (!preg_match($pattern . 'A', $this->text, $found, 0, $this->at)) {
            return null;
        }
        $this->at += strlen($found[0]);
        return $found;
    }

    private function value(): mixed
    {
        return match ($this->peek()) {
            '{' => $this->dictionary(),
            '(' => $this->list(),
            '"' => $this->quoted(),
            '[' => ['data' => base64_decode($this->matched('/\[([A-Za-z0-9+\/=]*)\]/')[1], true)],
            '#' => $this->special(),
            default => $this->atom(),
        };
    }

    private function atom(): string
    {
        $found = $this->matched('/[A-Za-z0-9._@\x80-\xff-]+/');
        return $found[0] ?? throw new RuntimeException("no object at {$this->at}: {$this->text}");
    }

    private function special(): mixed
    {
        if ($this->matched('/#NULL#/')) {
            return null;
        }
        if ($found = $this->matched('/#T(\d\d)-(\d\d)-(\d{4})(?:_(\d\d):(\d\d):(\d\d))?/')) {
            [, $day, $month, $year] = array_map('intval', $found);
            [$hour, $minute, $second] = array_map('intval', array_slice($found, 4) ?: [0, 0, 0]);
            return ['time' => gmmktime($hour, $minute, $second, $month, $day, $year)];
        }
        if ($found = $this->matched('/#I\[([0-9a-f.:]+)\](?::(\d+))?/')) {
            return ['address' => $found[1], 'port' => (int) ($found[2] ?? 0)];
        }
        $found = $this->matched('/#(-?\d+)/');
        return (int) ($found[1] ?? throw new RuntimeException("an odd object: {$this->text}"));
    }

    private function quoted(): string
    {
        $this->take('"');
        $out = '';
        for (;;) {
            $byte = $this->peek();
            $this->at++;
            if ($byte === '' || ($byte === '\\' && $this->peek() === '')) {
                throw new RuntimeException("no end of a string: {$this->text}");
            }
            if ($byte === '"') {
                return $out;
            }
            if ($byte !== '\\') {
                $out .= $byte;
            } elseif ($found = $this->matched('/\d{3}/')) {
                $out .= chr((int) $found[0]);
            } else {
                $known = ['e' => "\n", 'n' => "\n", 'r' => "\r", 't' => "\t"];
                $out .= $known[$this->peek()] ?? $this->peek();
                $this->at++;
            }
        }
    }

    private function list(): array
    {
        $this->take('(');
        $all = [];
        while ($this->peek() !== ')') {
            if ($all !== []) {
                $this->take(',');
            }
            $all[] = $this->value();
        }
        $this->take(')');
        return $all;
    }

    private function dictionary(): array
    {
        $this->take('{');
        $all = [];
        while ($this->peek() !== '}') {
            $key = $this->peek() === '"' ? $this->quoted() : $this->atom();
            $this->take('=');
            $all[$key] = $this->value();
            $this->take(';');
        }
        $this->take('}');
        return $all;
    }
}

final class Link
{
    /** @var resource */
    private $line;

    public function __construct(int $port)
    {
        $line = fsockopen('127.0.0.1', $port, $code, $why, 30);
        $this->line = $line ?: throw new RuntimeException("$code $why");
        stream_set_timeout($this->line, 30);
        $this->hear();
    }

    private function hear(): string
    {
        $said = fgets($this->line);
        if ($said === false || !preg_match('/^(\d{3}) (.*)\r\n$/s', $said, $found)) {
            throw new RuntimeException('no answer: ' . var_export($said, true));
        }
        if (!in_array($found[1], ['200', '201', '300'], true)) {
            throw new Refused($found[2], (int) $found[1]);
        }
        return $found[2];
    }

    public function say(string $line): string
    {
        fputs($this->line, $line . "\n");
        return $this->hear();
    }

    public function get(string $line): mixed
    {
        return Reader::whole($this->say($line));
    }
}

function same(mixed $wanted, mixed $got): void
{
    if ($wanted !== $got) {
        throw new RuntimeException('wanted ' . var_export($wanted, true) . ', got ' . var_export($got, true));
    }
}

function refused(Link $link, int $code, string $line): void
{
    try {
        $link->say($line);
    } catch (Refused $refusal) {
        same($code, $refusal->getCode());
        return;
    }
    throw new RuntimeException("$line was not refused");
}

$link = new Link((int) $argv[1]);
$link->say('USER ' . $argv[2]);
same('login OK', $link->say('PASS ' . getenv('PASSWORD')));
same('OK', $link->say('INLINE'));

// Every form of data comes back as it was sent.
foreach ([
    ['Simple', 'Simple'],
    ['"two words"', 'two words'],
    ['"a \"b\" \\\\ c"', 'a "b" \\ c'],
    ['"line\eline\ttab\rreturn"', "line\nline\ttab\rreturn"],
    ['"\002hash\127\195\169"', "\x02hash\x7f\xc3\xa9"],
    ["\"Ren\xe9\"", "Ren\xc3\xa9"],
    ["\"Ren\xc3\xa9\"", "Ren\xc3\xa9"],
    ['""', ''],
    ['[HcqHfHI=]', ['data' => "\x1d\xca\x87\x7c\x72"]],
    ['[]', ['data' => '']],
    ['#-50', -50],
    ['#9223372036854775807', PHP_INT_MAX],
    ['#T22-10-2009_15:24:45', ['time' => gmmktime(15, 24, 45, 10, 22, 2009)]],
    ['#T22-10-2009', ['time' => gmmktime(0, 0, 0, 10, 22, 2009)]],
    ['#I[10.0.44.55]:25', ['address' => '10.0.44.55', 'port' => 25]],
    ['#I[2001:db8::1]', ['address' => '2001:db8::1', 'port' => 0]],
    ['#NULL#', null],
    ['( Name , "Last Name", (), {} )', ['Name', 'Last Name', [], []]],
    ['{ b=(1,#2); a = {"odd key"="x;y=z";}; }', ['a' => ['odd key' => 'x;y=z'], 'b' => ['1', 2]]],
] as [$sent, $meant]) {
    same($meant, $link->get("Echo $sent"));
}
foreach (['"abc', '{a=b}', '(a b)', '#T1-1-2009', '"\300"'] as $wrong) {
    refused($link, 500, "Echo $wrong");
}

$link->say('CreateDomain "php.example"');
$link->say('CreateAccount "tim@php.example" {"RealName"="T\195\169a \"the\" Tim";"Password"="secret word";"MaxAccountSize"="5M";"Tags"=("a","b c");"Blob"=[HcqHfHI=];}');
$settings = $link->get('GetAccountSettings "tim@php.example"');
same("T\xc3\xa9a \"the\" Tim", $settings['RealName']);
same(['a', 'b c'], $settings['Tags']);
same(['data' => "\x1d\xca\x87\x7c\x72"], $settings['Blob']);
same('OK', $link->say('VerifyAccountPassword "tim@php.example" PASSWORD "secret word"'));
refused($link, 515, 'VerifyAccountPassword "tim@php.example" PASSWORD "other"');
$link->say('SetAccountAliases "tim@php.example" ("timothy","t.t")');
same(['t.t', 'timothy'], $link->get('GetAccountAliases "tim@php.example"'));
$link->say('CreateMailbox "tim@php.example" MAILBOX "Gr\195\188n und Blau"');
same(true, array_key_exists("Gr\xc3\xbcn und Blau", $link->get('ListMailboxes "tim@php.example"')));
$link->say('SetAccountMailRules "tim@php.example" ((1,"#Redirect",(),(("Mirror to","a@b.example\ec@d.example"),(Discard,"---"))))');
$rules = $link->get('GetAccountMailRules "tim@php.example"');
same("a@b.example\nc@d.example", $rules[0][3][0][1]);
$link->say('CreateGroup "staff@php.example" {"RealName"="The staff";"Members"=("tim","x@y.example");}');
same(['tim', 'x@y.example'], $link->get('GetGroup "staff@php.example"')['Members']);
$link->say('CreateForwarder "out@php.example" TO "a@b.example"');
same('a@b.example', $link->get('GetForwarder "out@php.example"'));
$link->say('CreateList "news@php.example" FOR "tim"');
$link->say('List "news@php.example" subscribe "\"A Reader\" <r@b.example>"');
same(['r@b.example'], $link->get('ListSubscribers "news@php.example"'));
[$accounts, $names, $aliases, $forwarders] = $link->get('ListDomainObjects "php.example" 100 ACCOUNTS ALIASES FORWARDERS');
same(['1', '2', '1'], array_map('strval', [$accounts, $aliases, $forwarders]));
same(['macnt', ['tim'], [['a@b.example']]], [$names['tim'], $names['timothy'], $names['out']]);
refused($link, 520, 'CreateAccount "tim@php.example"');
refused($link, 513, 'GetAccountSettings "tom@php.example"');
refused($link, 512, 'GetDomainSettings "gone.example"');
$link->say('DeleteDomain "php.example" FORCE');
$link->say('QUIT');
echo "done\n";
