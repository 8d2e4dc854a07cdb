//! External Filters: helper programs as the field writes them, and such as break every rule.

use std::time::Duration;

use crate::house::House;
use crate::{Directory, installed, only, send, use_helpers};

/// A filter in the manner of the public ones: reads the file of the queue, takes the envelope
/// apart, answers by what the message says.
const FILTER: &str = r#"#!/usr/bin/perl
use strict;
$| = 1;
print "* the filter is starting\n";
while (my $line = <STDIN>) {
  chomp $line;
  my ($id, $command, @rest) = split / /, $line;
  $command = uc $command;
  if ($command eq 'INTF') { print "$id INTF 3\n"; next; }
  if ($command eq 'QUIT') { print "$id OK\n"; exit 0; }
  if ($command ne 'FILE') { print "$id ERROR \"unexpected command\"\n"; next; }
  my $file = join ' ', @rest;
  my ($from, @to, $ip);
  if (!open(FILE, '<', $file)) { print "$id REJECTED \"cannot open the file\"\n"; next; }
  while (my $l = <FILE>) {
    $l =~ s/\r?\n$//;
    last if $l eq '';
    $from = $1 if $l =~ /^P .*<(.*)>$/;
    push @to, $1 if $l =~ /^R W .*<(.*)>$/;
    $ip = $1 if $l =~ /^S .*\[(.*)\]$/;
  }
  my $text = join '', <FILE>;
  close FILE;
  if ($text =~ /please discard/) { print "$id DISCARD\n"; }
  elsif ($text =~ /please refuse/) { print "$id ERROR \"we do not want this\"\n"; }
  elsif ($text =~ /please wait/) { print "$id REJECTED \"out of memory, will try later\"\n"; }
  elsif ($text =~ /please nothing/) { print "$id OK\n"; }
  elsif ($text =~ /please copy/) { print "$id MIRRORTO \"bob\@main.example\"\n"; }
  else { print "$id ADDHEADER \"X-From: $from\\eX-To: @to\\eX-IP: $ip\\e\\tfolded\" OK\n"; }
}
"#;

#[tokio::test]
async fn a_public_style_filter_reads_the_file_of_the_queue_and_is_obeyed() {
    if installed(&["/usr/bin/perl"]).is_none() {
        return;
    }
    let base = Directory::new("filter");
    base.program("filter.pl", FILTER);
    let house = House::new().await;
    let settings = "({Name=test;ProgramName=\"filter.pl -x \\\"two words\\\"\";TimeOut=30s;})";
    use_helpers(&house, base.path(), settings).await;
    assert!(send(&house, "Subject: x\n\nhello\n").await.starts_with("250 "));
    let text = only(&house, "alice@main.example").await;
    for line in [
        "X-From: sender@outside.example\r\n",
        "X-To: alice@main.example\r\n",
        "X-IP: 192.0.2.9\r\n\tfolded\r\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for (word, reply) in [
        ("discard", "250 "),
        ("refuse", "550 5.7.1 we do not want this"),
        ("wait", "451 4.7.1 out of memory, will try later"),
    ] {
        let got = send(&house, &format!("Subject: x\n\nplease {word}\n")).await;
        assert!(got.starts_with(reply), "{word}: {got}");
    }
    assert!(send(&house, "Subject: copy\n\nplease copy\n").await.starts_with("250 "));
    assert!(only(&house, "bob@main.example").await.contains("please copy"));
    house.settled().await;
    assert_eq!(house.inbox("alice@main.example").await.len(), 2);
    // Nothing is left of what was shown.
    let left: Vec<_> = walk(&base.path().join("Queue"));
    assert!(left.is_empty(), "{left:?}");
    house.transfer.stop().await;
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn only_programs_on_the_list_are_started_where_there_is_one() {
    let base = Directory::new("allowed");
    base.program("filter.sh", "#!/bin/sh\nexit 1\n");
    std::fs::create_dir(base.path().join("Settings")).unwrap();
    std::fs::write(base.path().join("Settings/ChildProcs.data"), "/opt/helpers/\n").unwrap();
    let house = House::new().await;
    house.transfer.use_base(base.path());
    let settings =
        angarium_objects::text::parse_line("{ExternalFilters=({ProgramName=\"filter.sh\";});}");
    let angarium_accounts::Value::Dictionary(settings) = settings.unwrap() else { panic!() };
    let console = angarium_accounts::Actor::console();
    house.accounts.update_server_settings(&console, settings).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.transfer.filters().count(), 0);
}
