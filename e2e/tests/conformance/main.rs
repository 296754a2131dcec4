//! The conformance suite of the gateway: rule after rule of the standards, each on every browser, and at the end a
//! table of what holds. A rule's name begins with its section here:
//!
//! | WebDriver | | WebDriver BiDi | |
//! |---|---|---|---|
//! | A.1 | order of processing, table of endpoints | B.1 | handshake |
//! | A.2 | envelope, error codes | B.2 | messages, frames |
//! | A.3 | Status | B.3 | session.status |
//! | A.4 | New Session, capabilities | B.4 | session.new |
//! | A.5 | the end of a session | B.5 | capabilities that differ |
//! | A.6 | what was decided where drivers disagree | B.6 | lifetime of sessions and sockets |
//!
//! Arguments that begin with no dash are filters on a rule's name; `--browser=chrome` keeps to one browser. Other flags
//! are those of Rust's own tests, and mean nothing here.

mod bidi_capabilities;
mod browser;
mod commands;
mod decisions;
mod envelope;
mod errors;
mod fixture;
mod frames;
mod handshake;
mod lifetime;
mod matching;
mod merging;
mod messages;
mod new;
mod order;
mod prompts;
mod raw;
mod reply;
mod report;
mod response;
mod rows;
mod rule;
mod run;
mod session_end;
mod status;
mod subscribing;
mod validation;

use std::process::ExitCode;

use browser::Browser;
use rule::Rule;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, filters): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|argument| argument.starts_with('-'));
    let mut rules = rules();
    rules.retain(|rule| {
        filters.is_empty() || filters.iter().any(|filter| rule.to_string().contains(filter))
    });
    let only = flags.iter().find_map(|flag| flag.strip_prefix("--browser="));
    let wanted = |browser: &Browser| only.is_none_or(|name| name == browser.name());
    let browsers: Vec<Browser> = Browser::ALL.into_iter().filter(wanted).collect();

    // One after the other: the smallest node that the suite is run on holds six browsers.
    let mut columns = Vec::new();
    for browser in browsers {
        columns.push(run::run(browser, &rules).await);
    }
    report::print(&rules, &columns)
}

/// Every rule, in the order of the table.
fn rules() -> Vec<Rule> {
    [
        order::rules(),
        commands::rules(),
        envelope::rules(),
        errors::rules(),
        status::rules(),
        validation::rules(),
        prompts::rules(),
        merging::rules(),
        matching::rules(),
        response::rules(),
        session_end::rules(),
        decisions::rules(),
        handshake::rules(),
        messages::rules(),
        frames::rules(),
        new::rules(),
        bidi_capabilities::rules(),
        lifetime::rules(),
        subscribing::rules(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
