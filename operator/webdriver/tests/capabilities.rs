//! What holds of capability processing whatever is asked for (WebDriver, section "Capabilities").

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use webdriver::{
    capabilities::{CapabilitySet, Dialect, for_driver, process},
    error::{ErrorCode, WebDriverError},
};

fn merged(asked: &Value, dialect: Dialect) -> Result<Vec<CapabilitySet>, WebDriverError> {
    Ok(process(asked, dialect)?.sets().collect())
}

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
            "alwaysMatch",
            "firstMatch",
            "browserName",
            "acceptInsecureCerts",
            "timeouts",
            "proxy",
            "proxyType",
            "webSocketUrl",
            "unhandledPromptBehavior",
            "pageLoadStrategy",
            "script",
            "default",
            "goog:chromeOptions",
            "setWindowRect",
        ])
        .prop_map(ToOwned::to_owned),
        "[a-z]{1,4}:?[a-z]{0,4}",
    ]
}

/// A capability that both protocols allow.
fn valid() -> impl Strategy<Value = (&'static str, Value)> {
    prop::sample::select(vec![
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
        ("se:remoteUrl", json!("http://gateway")),
    ])
}

/// A set of capabilities of which each is allowed, some of them null.
fn valid_set() -> impl Strategy<Value = CapabilitySet> {
    prop::collection::vec((valid(), prop::bool::weighted(0.2)), 0..6).prop_map(|members| {
        let of = |((name, value), is_null): ((&str, Value), bool)| {
            (name.to_owned(), if is_null { Value::Null } else { value })
        };
        members.into_iter().map(of).collect()
    })
}

/// A request that is right or nearly: few of its members are wrong, so that many are let through.
fn nearly_valid() -> impl Strategy<Value = Value> {
    let member = prop_oneof![
        12 => valid().prop_map(|(name, value)| (name.to_owned(), value)),
        2 => ("[a-c]{1,2}:[a-c]{0,2}", any_json()),
        2 => (valid(), any_json()).prop_map(|((name, _), value)| (name.to_owned(), value)),
        1 => (name(), any_json()),
    ];
    let set = move || {
        prop::collection::vec(member.clone(), 0..4).prop_map(|set| set.into_iter().collect())
    };
    (set(), prop::collection::vec(set(), 1..4)).prop_map(|(always, first)| request(&always, &first))
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![Dialect::Classic, Dialect::Bidi])
}

fn without_nulls(set: &CapabilitySet) -> CapabilitySet {
    set.iter().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn request(always: &CapabilitySet, first: &[CapabilitySet]) -> Value {
    json!({"alwaysMatch": always, "firstMatch": first})
}

proptest! {
    #[test]
    fn whatever_is_asked_for_is_answered(
        asked in prop_oneof![any_json(), nearly_valid()],
        dialect in dialect(),
    ) {
        if let Err(error) = merged(&asked, dialect) {
            prop_assert_eq!(error.code, ErrorCode::InvalidArgument);
            prop_assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn what_comes_out_would_go_in_again(asked in nearly_valid(), dialect in dialect()) {
        for set in merged(&asked, dialect).unwrap_or_default() {
            // BiDi keeps the null of an extension capability, which may be anything.
            let may_be_null = |name: &str| dialect == Dialect::Bidi && name.contains(':');
            prop_assert!(set.iter().all(|(name, value)| !value.is_null() || may_be_null(name)));
            let again = merged(&json!({"alwaysMatch": set}), dialect).unwrap();
            prop_assert_eq!(again, vec![set]);
        }
    }

    // The gateway reads a request of BiDi's as such, the controller what is stored of it as one of Classic's.
    #[test]
    fn what_bidi_lets_through_classic_lets_through(asked in nearly_valid()) {
        if let Ok(sets) = merged(&asked, Dialect::Bidi) {
            let expected: Vec<CapabilitySet> = sets.iter().map(without_nulls).collect();
            prop_assert_eq!(merged(&asked, Dialect::Classic), Ok(expected));
        }
    }

    #[test]
    fn a_merged_set_has_both_sides_members_and_no_others(
        always in valid_set(),
        first in prop::collection::vec(valid_set(), 1..4),
        dialect in dialect(),
    ) {
        let wanted = without_nulls(&always);
        let shares = |set: &CapabilitySet| without_nulls(set).keys().any(|n| wanted.contains_key(n));
        let asked = match dialect {
            Dialect::Classic => request(&always, &first),
            Dialect::Bidi => {
                request(&wanted, &first.iter().map(without_nulls).collect::<Vec<CapabilitySet>>())
            }
        };
        let outcome = merged(&asked, dialect);
        // A name that both have is wrong in whichever entry it is; a null is nobody's.
        prop_assert_eq!(outcome.is_err(), first.iter().any(shares));
        if let Ok(sets) = outcome {
            let merged = |entry| wanted.clone().into_iter().chain(without_nulls(entry)).collect();
            prop_assert_eq!(sets, first.iter().map(merged).collect::<Vec<CapabilitySet>>());
        }
    }

    // So the order of entries is the order of sets, and decides nothing else.
    #[test]
    fn an_entry_gives_its_set_whatever_stands_beside_it(asked in nearly_valid(), dialect in dialect()) {
        let entries = asked["firstMatch"].as_array().unwrap();
        let alone: Result<Vec<Vec<CapabilitySet>>, _> = entries
            .iter()
            .map(|entry| {
                let asked = json!({"alwaysMatch": asked["alwaysMatch"], "firstMatch": [entry]});
                merged(&asked, dialect)
            })
            .collect();
        prop_assert_eq!(merged(&asked, dialect).ok(), alone.ok().map(|sets| sets.concat()));
    }

    #[test]
    fn a_null_is_as_if_absent_in_classic_and_wrong_in_bidi(set in valid_set()) {
        let asked = json!({"alwaysMatch": set});
        let plain = json!({"alwaysMatch": without_nulls(&set)});
        prop_assert_eq!(
            merged(&asked, Dialect::Classic).unwrap(),
            merged(&plain, Dialect::Classic).unwrap()
        );
        let nulls: BTreeSet<&String> =
            set.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name).collect();
        // An extension capability may be anything, null too.
        let typed = nulls.iter().any(|name| !name.contains(':'));
        prop_assert_eq!(merged(&asked, Dialect::Bidi).is_err(), typed);
    }

    #[test]
    fn a_driver_gets_nothing_that_is_ours(set in valid_set()) {
        let sent: Map<String, Value> = for_driver(&set);
        let ours = ["browser-operator:", "se:", "browserVersion", "platformName"];
        prop_assert!(sent.keys().all(|name| !ours.iter().any(|prefix| name.starts_with(prefix))));
        prop_assert!(sent.iter().all(|(name, value)| set.get(name) == Some(value)));
    }
}
