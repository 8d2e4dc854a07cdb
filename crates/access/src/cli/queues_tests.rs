//! Commands on the queue: exact answers, and who may.

use angarium_accounts::MessageBody;
use angarium_store::{NewQueued, QueuedRecipient, RecipientState, RecipientStep, Step};

use super::tests::{NOW, World};

/// Queues a message for `r@queue` that has failed once; answers its number.
async fn queue(world: &World, from: &str, queue: &str) -> u64 {
    let recipient = QueuedRecipient {
        address: format!("r@{queue}"),
        module: "SMTP".into(),
        queue: queue.into(),
        facts: Default::default(),
        state: RecipientState::Waiting { not_before: NOW, attempts: 0, last_error: String::new() },
    };
    let new = NewQueued {
        id: None,
        return_path: from.into(),
        facts: Default::default(),
        body: MessageBody::Bytes(b"Subject: x\r\n\r\nbody\r\n".as_slice().into()),
        summary: Default::default(),
        recipients: vec![recipient],
        accepted: NOW,
        priority: 0,
    };
    let store = &world.accounts.store().queue;
    let (id, _) = store.enqueue(new).await.expect("queued");
    let step = Step::Retry { not_before: NOW + 60, error: "no answer".into() };
    store.settle(id, vec![RecipientStep { recipient: 0, step }]).await.expect("settled");
    id.0
}

#[tokio::test]
async fn queues_are_told_of_and_messages_rejected_in_the_form_of_the_field() {
    let world = World::new().await;
    let master = world.login("postmaster", "master").await;
    let first = queue(&world, "joe@elsewhere.example", "far.example").await;
    for from in ["Spam@far.example", "spam@far.example", "ann@far.example"] {
        queue(&world, from, "far.example").await;
    }
    let reject = format!("RejectQueueMessage {first} REPORT \"not from here\"");
    world
        .check(
            &master,
            &[
                (
                    "GetMessageQueueInfo SMTP QUEUE Far.Example",
                    "200 {lastError=\"no answer\";nTotal=#4;size=#80;}",
                ),
                ("GetMessageQueueInfo SMTP QUEUE other.example", "200 {}"),
                ("ReleaseSMTPQueue far.example", "200 OK"),
                (&reject, "200 OK"),
                (&reject, "501 there is no such message in the queue"),
                ("RejectQueueMessages SENDER \"<spam@far.example>\" REPORT NONDN", "200 OK"),
                (
                    "GetMessageQueueInfo SMTP QUEUE far.example",
                    "200 {lastError=\"no answer\";nTotal=#1;size=#20;}",
                ),
                ("SetQueueSettings {RetryAfter=(1m,1h);GiveUpAfter=2d;}", "200 OK"),
                ("GetQueueSettings", "200 {GiveUpAfter=2d;RetryAfter=(1m,1h);}"),
            ],
        )
        .await;
    for line in [
        "RejectQueueMessage nonsense",
        "RejectQueueMessage 1 REPORT",
        "RejectQueueMessages joe@far.example",
        "GetMessageQueueInfo SMTP far.example",
        "SetQueueSettings {RetryAfter=often;}",
    ] {
        let answer = world.run(&master, line).await;
        assert!(answer.starts_with('5'), "{line}: {answer}");
    }
}

#[tokio::test]
async fn queues_are_for_those_with_the_right() {
    let world = World::new().await;
    world
        .prepare(&[
            "CreateAccount nobody {Password=x;}",
            "CreateAccount looker {Password=x;}",
            "CreateAccount releaser {Password=x;}",
            "CreateAccount rejecter {Password=x;}",
            "SetAccountRights looker (Monitor)",
            "SetAccountRights releaser (CanReleaseQueues)",
            "SetAccountRights rejecter (CanRejectQueues)",
        ])
        .await;
    let id = queue(&world, "joe@far.example", "far.example").await;
    let denied = "510 insufficient access rights";
    let info = "GetMessageQueueInfo SMTP QUEUE far.example";
    let (release, reject) = ("ReleaseSMTPQueue far.example", format!("RejectQueueMessage {id}"));
    let all = "RejectQueueMessages SENDER joe@far.example";
    let may = [
        ("nobody", [false, false, false, false]),
        ("looker", [true, true, false, false]),
        ("releaser", [true, true, false, false]),
        ("rejecter", [true, false, true, true]),
    ];
    for (name, may) in may {
        let actor = world.login(name, "x").await;
        for (line, may) in [info, release, &reject, all].into_iter().zip(may) {
            let answer = world.run(&actor, line).await;
            assert_eq!(answer != denied, may, "{name}: {line}: {answer}");
        }
        assert_eq!(world.run(&actor, "SetQueueSettings {}").await, denied, "{name}");
    }
}
