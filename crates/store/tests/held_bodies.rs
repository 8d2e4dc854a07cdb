//! The memory edition lets a body go with its last holder.

use std::collections::BTreeMap;

use angarium_store::{
    AccountId, AccountKind, AccountRecord, DomainRecord, MessageBody, NewMessage, NewQueued,
    QueuedRecipient, RecipientState, RecipientStep, Step, StoreError, Uid, memory, suite,
};
use bytes::Bytes;

#[test]
fn a_body_goes_with_its_last_holder() {
    suite::run(async {
        let store = memory::open();
        let domain = DomainRecord {
            name: "test.example".to_owned(),
            aliases: Vec::new(),
            settings: BTreeMap::new(),
            account_defaults: BTreeMap::new(),
            template: BTreeMap::new(),
            version: 0,
        };
        store.directory.create_domain(domain).await.unwrap();
        let account = AccountRecord {
            id: AccountId(0),
            domain: "test.example".to_owned(),
            name: "user".to_owned(),
            kind: AccountKind::MultiMailbox,
            aliases: Vec::new(),
            settings: BTreeMap::new(),
            rights: Vec::new(),
            subscription: Vec::new(),
            mailbox_aliases: BTreeMap::new(),
            info: BTreeMap::new(),
            version: 0,
        };
        let user = store.directory.create_account(account, 1).await.unwrap().id;
        let inbox = store.mailboxes.list(user).await.unwrap()[0].id;
        let recipient = QueuedRecipient {
            address: "user@test.example".to_owned(),
            module: "LOCAL".to_owned(),
            queue: "user".to_owned(),
            facts: BTreeMap::new(),
            state: RecipientState::Waiting {
                not_before: 1,
                attempts: 0,
                last_error: String::new(),
            },
        };
        let queued = NewQueued {
            id: None,
            return_path: String::new(),
            facts: BTreeMap::new(),
            body: MessageBody::Bytes(Bytes::from_static(b"held")),
            summary: Bytes::new(),
            recipients: vec![recipient],
            accepted: 1,
            priority: 0,
        };
        let (id, body) = store.queue.enqueue(queued).await.unwrap();
        let delivered = NewMessage {
            body: MessageBody::Existing(body),
            summary: Bytes::new(),
            flags: <_>::default(),
            internal_date: <_>::default(),
            save_date: 1,
            uid: None,
            original_uid: None,
            pop_id: None,
            origin: None,
        };
        store.mailboxes.append(user, inbox, vec![delivered]).await.unwrap();
        store.mailboxes.copy(user, inbox, &[Uid(1)], inbox, 1).await.unwrap();
        let done = vec![RecipientStep { recipient: 0, step: Step::Done }];
        store.queue.settle(id, done).await.unwrap();
        store.mailboxes.expunge(user, inbox, &[Uid(1)], false).await.unwrap();
        assert_eq!(store.bodies.read(body).await.unwrap(), "held");
        store.directory.delete_domain("test.example", true).await.unwrap();
        assert_eq!(store.bodies.read(body).await.err(), Some(StoreError::NotFound("body")));
    });
}
