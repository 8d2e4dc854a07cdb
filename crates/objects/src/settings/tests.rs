//! Tests of the declarations and of what derives from them.

use super::*;
use crate::text::parse_line;

fn dictionary(text: &str) -> Dictionary {
    parse_line(text).unwrap().as_dictionary().unwrap().clone()
}

#[test]
fn declarations_are_sorted_unique_and_their_defaults_are_legal() {
    for all in Scope::DECLARED.iter().flat_map(|scope| scope.lists()) {
        for pair in all.windows(2) {
            assert!(pair[0].key < pair[1].key, "{} before {}", pair[0].key, pair[1].key);
        }
        for setting in *all {
            assert!(!setting.text.is_empty());
            if let Some(text) = setting.default {
                let value = parse_line(text).unwrap_or_else(|e| panic!("{}: {e}", setting.key));
                assert!(setting.kind.accept(&value).is_some(), "{}", setting.key);
            }
        }
    }
}

#[test]
fn an_update_merges_and_the_word_default_removes() {
    let old = dictionary("{RealName=A;MaxAccountSize=10K;}");
    let new = merge(Scope::Account, &old, &dictionary("{MaxAccountSize=Default;X=1;}")).unwrap();
    assert_eq!(new, dictionary("{RealName=A;X=1;}"));
}

#[test]
fn unknown_keys_are_kept_untouched() {
    let custom = dictionary("{DKIM={Enabled=Yes;};wn_MaximumAliases=5;}");
    assert_eq!(replace(Scope::Domain, &custom), Ok(custom));
}

#[test]
fn a_wrong_value_is_refused_with_what_is_expected() {
    let error = replace(Scope::Account, &dictionary("{MaxAccountSize=many;}")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "wrong value of the setting MaxAccountSize: a size such as 10K, 31M or unlimited is expected"
    );
    assert!(replace(Scope::Domain, &dictionary("{MailToUnknown=Perhaps;}")).is_err());
    assert!(replace(Scope::Account, &dictionary("{\"\"=1;}")).is_err());
}

#[test]
fn words_and_booleans_are_stored_in_the_declared_spelling() {
    let new = replace(
        Scope::Domain,
        &dictionary("{MailToUnknown=\"rerouted TO\";ExternalOnUnknown=yes;}"),
    );
    assert_eq!(new, Ok(dictionary("{ExternalOnUnknown=YES;MailToUnknown=\"Rerouted to\";}")));
}

// SYS-07
#[test]
fn the_nearest_level_of_an_account_setting_wins() {
    let server = dictionary(
        "{MaxAccountSize=1M;RulesAllowed=Any;PWDAllowed=NO;ServiceClasses={gold={MaxAccountSize=9M;PWDAllowed=YES;};};}",
    );
    let domain = dictionary("{MaxAccountSize=2M;ServiceClass=gold;}");
    let own = dictionary("{RealName=A;}");
    let all = effective_account(&[&server, &domain], &own);
    assert_eq!(all.get("MaxAccountSize"), Some(&Value::from("9M")));
    assert_eq!(all.get("PWDAllowed"), Some(&Value::from("YES")));
    assert_eq!(all.get("RulesAllowed"), Some(&Value::from("Any")));
    assert_eq!(all.get("RealName"), Some(&Value::from("A")));
    assert_eq!(all.get("UseAppPassword"), Some(&Value::from("YES")));
    let own = dictionary("{MaxAccountSize=3M;ServiceClass=none;}");
    let all = effective_account(&[&server, &domain], &own);
    assert_eq!(all.get("MaxAccountSize"), Some(&Value::from("3M")));
    assert_eq!(all.get("PWDAllowed"), Some(&Value::from("NO")));
}

#[test]
fn domain_settings_fall_back_to_the_server_wide_defaults() {
    let defaults = dictionary("{MailToUnknown=Discarded;}");
    let all = effective_domain(&defaults, &dictionary("{AUTHMethods=(PLAIN);}"));
    assert_eq!(all.get("MailToUnknown"), Some(&Value::from("Discarded")));
    assert_eq!(all.get("AccessToUnknown"), Some(&Value::from("Rejected")));
}

#[test]
fn a_domain_administrator_changes_what_his_rights_name() {
    let basic = |code: &str| code == "BasicSettings";
    let size = |code: &str| code == "MaxAccountSize";
    assert!(may_change(Scope::Account, "RealName", basic));
    assert!(!may_change(Scope::Account, "MaxAccountSize", basic));
    assert!(may_change(Scope::Account, "MaxAccountSize", size));
    assert!(!may_change(Scope::Account, "ExternalINBOX", |_| true));
    assert!(!may_change(Scope::Account, "custom", basic));
}

#[test]
fn address_lists_are_read_in_all_their_spellings() {
    let two = addresses(&parse_line("(\"10.0.0.1\",#I[::1])").unwrap()).unwrap();
    assert_eq!(two.len(), 2);
    assert_eq!(addresses(&Value::from("10.0.0.1, [10.0.0.2]")).unwrap().len(), 2);
    assert_eq!(addresses(&Value::from("All Available")), Some(vec![]));
    assert_eq!(addresses(&Value::from("nonsense")), None);
}
