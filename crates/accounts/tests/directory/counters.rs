//! What is counted and remembered survives a restart: statistics, failed logins; and the challenges
//! that application passwords answer.

use std::sync::Arc;

use angarium_accounts::options::Hashing;
use angarium_accounts::{Accounts, LoginError, Options, Secret, Service, Value};

use crate::logins::scram;
use crate::world::{World, dictionary, names};

async fn count(accounts: &Accounts, w: &World, what: &str, domain: bool) -> Value {
    let all = match domain {
        true => accounts.domain_statistics(&w.console, "main.dom").await,
        false => accounts.account_statistics(&w.console, "bob").await,
    };
    all.unwrap()[what].clone()
}

#[tokio::test]
async fn statistics_and_failed_logins_survive_a_restart() {
    let w = World::new().await;
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("Counters.data");
    w.accounts.keep_counters(file.clone());
    w.login("bob", "bob-secret").await.unwrap();
    let bob = w.actor("bob").await;
    w.accounts.count_sent(&bob, 100);
    for _ in 0..10 {
        assert_eq!(w.login("alice", "guess").await.unwrap_err(), LoginError::Denied);
    }
    assert_eq!(w.accounts.write_counters().await, 1);
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    w.accounts.count_sent(&bob, 11);
    assert_eq!(count(&w.accounts, &w, "BytesSent", false).await, Value::Number(111));
    assert_eq!(w.accounts.write_counters().await, 1);
    assert_eq!(w.accounts.write_counters().await, 0);
    assert!(std::fs::metadata(&file).unwrap().modified().unwrap() >= written);

    w.clock.forward(30);
    let options = Options { clock: w.clock.clone(), hashing: Hashing::weak_for_tests() };
    let again = Accounts::new(w.accounts.store().clone(), options);
    again.keep_counters(file.clone());
    for domain in [false, true] {
        assert_eq!(count(&again, &w, "BytesSent", domain).await, Value::Number(111));
        assert_eq!(count(&again, &w, "MessagesSent", domain).await, Value::Number(2));
        let since = Value::Time(again.now() - 30);
        assert_eq!(count(&again, &w, "StatReset", domain).await, since, "since the first start");
    }
    assert_eq!(count(&again, &w, "Logins", false).await, Value::Number(1));
    // Ten guesses a minute: the restart gave no new ones.
    let mut alice = w.login_of("alice", "alice-secret");
    alice.peer_ip = Some("203.0.113.9".parse().unwrap());
    assert_eq!(again.login(alice).await.unwrap_err(), LoginError::TooMany);
    // Reset, one or all; then all that is counted is new.
    again.reset_account_statistics(&w.console, "bob", Some("MessagesSent")).await.unwrap();
    assert!(again.reset_account_statistics(&w.console, "bob", Some("Steps")).await.is_err());
    assert_eq!(count(&again, &w, "MessagesSent", false).await, Value::Number(0));
    assert_eq!(count(&again, &w, "BytesSent", false).await, Value::Number(111));
    again.reset_account_statistics(&w.console, "bob", None).await.unwrap();
    assert_eq!(count(&again, &w, "StatReset", false).await, Value::Time(again.now()));
    again.count_sent(&bob, 5);
    assert_eq!(count(&again, &w, "BytesSent", false).await, Value::Number(5));
    let facts = again.account_info(&w.console, "bob").await.unwrap();
    assert!(!facts.contains_key("Statistics"), "{facts:?}");
    // A file that is none, or of another version, is as none.
    std::fs::write(&file, "angarium-counters 2\ndomain main.dom 1 2 3 4 5 6\n").unwrap();
    let options = Options { clock: w.clock.clone(), hashing: Hashing::weak_for_tests() };
    let other = Accounts::new(w.accounts.store().clone(), options);
    other.keep_counters(file);
    assert_eq!(count(&other, &w, "MessagesReceived", true).await, Value::Number(0));
}

// ABU-39
#[tokio::test]
async fn abu_39_application_passwords_answer_the_challenges_of_scram_too() {
    let w = World::new().await;
    let bob = Arc::new(w.actor("bob").await);
    let give = async |tag: &str, password: &str, services: Option<&[&str]>| {
        let services = services.map(names);
        w.accounts
            .set_app_password(&bob, "*", tag, Secret::from(password), services)
            .await
            .unwrap();
    };
    give("phone", "long-enough-phone", None).await;
    give("reader", "long-enough-reader", Some(&["POP"])).await;
    let (done, told) = scram(&w, "bob", "long-enough-phone").await;
    assert!(done.unwrap().is_limited());
    let (done, same) = scram(&w, "bob", "bob-secret").await;
    assert!(!done.unwrap().is_limited());
    assert_eq!(told, same, "one challenge for all");
    let listed = w.accounts.app_passwords(&bob, "*").await.unwrap();
    let phone = listed["phone"].as_dictionary().unwrap();
    assert_eq!(phone.get("LastUsed"), Some(&Value::Time(w.accounts.now())));
    // Not the service it is for.
    assert_eq!(scram(&w, "bob", "long-enough-reader").await.0.unwrap_err(), LoginError::Denied);
    // Whichever way the password itself is changed, those beside it stay good.
    w.accounts.change_own_password(&bob, Secret::from("second-secret")).await.unwrap();
    let set = async |text: &str| {
        w.accounts.update_account_settings(&w.console, "bob", dictionary(text)).await.unwrap();
    };
    let both = async |own: &str| {
        let (done, told) = scram(&w, "bob", "long-enough-phone").await;
        assert!(done.unwrap().is_limited(), "beside {own}");
        let (done, same) = scram(&w, "bob", own).await;
        assert!(!done.unwrap().is_limited(), "{own}");
        assert_eq!(told, same);
    };
    both("second-secret").await;
    set("{Password=third-secret;}").await;
    both("third-secret").await;
    set("{PasswordEncryption=A-crpt;}").await;
    set("{Password=fourth-secret;}").await;
    both("fourth-secret").await;
    let right = Secret::from("fourth-secret");
    w.accounts.verify_account_password(&w.console, "bob", right).await.unwrap();
    let wrong = w.accounts.verify_account_password(&w.console, "bob", Secret::from("x")).await;
    assert_eq!(wrong.unwrap_err().code(), 515);
    // A hash of another server has no keys until its first use makes some.
    set("{PasswordEncryption=default;Password=\"\\002{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\";}").await;
    assert!(scram(&w, "bob", "long-enough-phone").await.0.unwrap().is_limited());
    assert_eq!(scram(&w, "bob", "secret").await.0.unwrap_err(), LoginError::Denied);
    w.login("bob", "secret").await.unwrap();
    both("secret").await;
    give("phone", "", None).await;
    assert_eq!(scram(&w, "bob", "long-enough-phone").await.0.unwrap_err(), LoginError::Denied);
    let mut login = w.login_of("bob", "long-enough-reader");
    login.service = Service::Pop;
    assert!(w.accounts.login(login).await.unwrap().is_limited());
}
