//! What holds of capability processing whatever is asked for (WebDriver, section "Capabilities").

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wire::{
    capabilities::{CapabilitySet, Dialect, for_driver, process},
    error::ErrorCode,
};

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-z:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A member's name: often one that means something.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "alwaysMatch", "firstMatch", "browserName", "acceptInsecureCerts", "timeouts", "proxy",
            "proxyType", "webSocketUrl", "unhandledPromptBehavior", "pageLoadStrategy", "script",
            "default", "goog:chromeOptions", "setWindowRect",
        ])
        .prop_map(ToOwned::to_owned),
        "[a-z]{1,4}:?[a-z]{0,4}",
    ]
}

/// A set of capabilities of which each is allowed, some of them null.
fn valid_set() -> impl Strategy<Value = CapabilitySet> {
    let valid = prop::sample::select(vec![
        ("acceptInsecureCerts", json!(true)),
        ("browserName", json!("chrome")),
        ("browserVersion", json!(">=100")),
        ("pageLoadStrategy", json!("eager")),
        ("platformName", json!("linux")),
        ("proxy", json!({"proxyType": "direct"})),
        ("strictFileInteractability", json!(false)),
        ("timeouts", json!({"script": null, "implicit": 2.0})),
        ("unhandledPromptBehavior", json!({"default": "ignore"})),
        ("webSocketUrl", json!(true)),
        ("goog:chromeOptions", json!({"args": []})),
        ("browser-operator:region", json!("eu")),
    ]);
    prop::collection::vec((valid, prop::bool::weighted(0.2)), 0..6).prop_map(|members| {
        let of = |((name, value), is_null): ((&str, Value), bool)| {
            (name.to_owned(), if is_null { Value::Null } else { value })
        };
        members.into_iter().map(of).collect()
    })
}

fn without_nulls(set: &CapabilitySet) -> CapabilitySet {
    set.iter().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn request(always: &CapabilitySet, first: &[CapabilitySet]) -> Value {
    json!({"alwaysMatch": always, "firstMatch": first})
}

proptest! {
    #[test]
    fn whatever_is_asked_for_is_answered(asked in any_json(), bidi in any::<bool>()) {
        let dialect = if bidi { Dialect::Bidi } else { Dialect::Classic };
        if let Err(error) = process(&asked, dialect) {
            prop_assert_eq!(error.code, ErrorCode::InvalidArgument);
            prop_assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn what_comes_out_would_go_in_again(asked in any_json(), bidi in any::<bool>()) {
        let dialect = if bidi { Dialect::Bidi } else { Dialect::Classic };
        for set in process(&asked, dialect).unwrap_or_default() {
            prop_assert!(set.values().all(|value| !value.is_null()));
            let again = process(&json!({"alwaysMatch": set}), dialect).unwrap();
            prop_assert_eq!(again, vec![set]);
        }
    }

    #[test]
    fn a_merged_set_has_both_sides_members_and_no_others(
        always in valid_set(),
        first in prop::collection::vec(valid_set(), 1..4),
    ) {
        let wanted = without_nulls(&always);
        let shares = |set: &CapabilitySet| without_nulls(set).keys().any(|n| wanted.contains_key(n));
        let outcome = process(&request(&always, &first), Dialect::Classic);
        // A name that both have is wrong in whichever entry it is; a null is nobody's.
        prop_assert_eq!(outcome.is_err(), first.iter().any(shares));
        for (set, entry) in outcome.unwrap_or_default().iter().zip(&first) {
            let mut expected = wanted.clone();
            expected.extend(without_nulls(entry));
            prop_assert_eq!(set, &expected);
        }
    }

    #[test]
    fn the_order_of_entries_is_the_order_of_sets(
        always in valid_set(),
        first in prop::collection::vec(valid_set(), 1..4),
    ) {
        let straight = process(&request(&always, &first), Dialect::Classic);
        let turned: Vec<CapabilitySet> = first.into_iter().rev().collect();
        let backwards = process(&request(&always, &turned), Dialect::Classic);
        prop_assert_eq!(straight.is_ok(), backwards.is_ok());
        if let (Ok(straight), Ok(mut backwards)) = (straight, backwards) {
            backwards.reverse();
            prop_assert_eq!(straight, backwards);
        }
    }

    #[test]
    fn a_null_is_as_if_absent_in_classic_and_wrong_in_bidi(set in valid_set()) {
        let asked = json!({"alwaysMatch": set});
        let plain = json!({"alwaysMatch": without_nulls(&set)});
        prop_assert_eq!(
            process(&asked, Dialect::Classic).unwrap(),
            process(&plain, Dialect::Classic).unwrap()
        );
        let nulls: BTreeSet<&String> =
            set.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name).collect();
        // An extension capability may be anything, null too.
        let typed = nulls.iter().any(|name| !name.contains(':'));
        prop_assert_eq!(process(&asked, Dialect::Bidi).is_err(), typed);
    }

    #[test]
    fn a_driver_gets_nothing_that_is_ours(set in valid_set()) {
        let sent: Map<String, Value> = for_driver(&set);
        let ours = ["browser-operator:", "se:", "browserVersion", "platformName"];
        prop_assert!(sent.keys().all(|name| !ours.iter().any(|prefix| name.starts_with(prefix))));
        prop_assert!(sent.iter().all(|(name, value)| set.get(name) == Some(value)));
    }
}
