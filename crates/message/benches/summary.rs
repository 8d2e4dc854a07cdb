//! What a delivered message costs beyond its bytes: the summary of a typical 7 KB message.

use std::hint::black_box;

use angarium_message::structure::Part;
use angarium_message::summary::{Summary, SummaryView, without_extensions};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const HEAD: &str = "Return-Path: <alice@a.example>\r\n\
Received: from mx.a.example (mx.a.example [192.0.2.1])\r\n\tby b.example with ESMTPS id 4711\r\n\
\tfor <bob@b.example>; Mon, 3 Mar 2025 09:00:00 +0100\r\n\
Received: from laptop (laptop [198.51.100.7])\r\n\tby mx.a.example with ESMTPSA id 42;\r\n\
\tMon, 3 Mar 2025 08:59:58 +0100\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=s1;\r\n\
\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\
\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n\
From: =?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@a.example>\r\n\
To: Bob <bob@b.example>, \"Carol, C.\" <carol@c.example>\r\nCc: team@b.example\r\n\
Subject: Re: =?utf-8?B?w5xiZXJzaWNodCBmw7xyIE3DpHJ6?=\r\n\
Date: Mon, 3 Mar 2025 08:59:57 +0100\r\nMessage-ID: <0123456789abcdef@a.example>\r\n\
In-Reply-To: <fedcba9876543210@b.example>\r\nReferences: <1@b.example>\r\n\t<2@b.example>\r\n\
MIME-Version: 1.0\r\nUser-Agent: Example 1.0\r\n";

fn plain() -> Vec<u8> {
    let line = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy.\r\n";
    let head = format!("{HEAD}Content-Type: text/plain; charset=utf-8\r\n\r\n");
    (head + &line.repeat(76)).into_bytes()
}

fn alternative() -> Vec<u8> {
    let line = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy.\r\n";
    let body = line.repeat(38);
    format!(
        "{HEAD}Content-Type: multipart/alternative; boundary=\"=_0123456789\"\r\n\r\n\
         --=_0123456789\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n{body}\r\n\
         --=_0123456789\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{body}</p>\r\n\
         --=_0123456789--\r\n"
    )
    .into_bytes()
}

fn summary(c: &mut Criterion) {
    for (name, message) in [("plain", plain()), ("alternative", alternative())] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function("summary", |b| b.iter(|| Summary::of(black_box(&message))));
        group.bench_function("structure", |b| b.iter(|| Part::of(black_box(&message))));
        let made = Summary::of(&message);
        group.bench_function("encode", |b| b.iter(|| black_box(&made).encode()));
        let stored = made.encode();
        group.bench_function("view", |b| {
            b.iter(|| SummaryView::new(black_box(&stored)).map(|v| v.envelope().len()));
        });
        group.bench_function("body", |b| {
            b.iter(|| without_extensions(black_box(&made.bodystructure)));
        });
        group.finish();
    }
}

criterion_group!(benches, summary);
criterion_main!(benches);
