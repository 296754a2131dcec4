//! Prints the table at the end.

use std::process::ExitCode;

use crate::{
    rule::Rule,
    run::{Column, Outcome},
};

/// Prints the table, then what failed and how, then the sum.
pub fn print(rules: &[Rule], columns: &[Column]) -> ExitCode {
    let names: Vec<String> = rules.iter().map(ToString::to_string).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let heads: String = columns.iter().map(|column| format!("  {:<7}", column.browser)).collect();
    println!("\n{}", format!("{:width$}{heads}", "rule").trim_end());
    for (at, name) in names.iter().enumerate() {
        let cells: String =
            columns.iter().map(|column| format!("  {:<7}", word(&column.outcomes[at]))).collect();
        println!("{}", format!("{name:width$}{cells}").trim_end());
    }

    let mut failures = Vec::new();
    let mut passed = 0;
    for column in columns {
        let browser = column.browser;
        for (name, outcome) in names.iter().zip(&column.outcomes) {
            match outcome {
                Outcome::Holds => passed += 1,
                Outcome::Failed(text) => failures.push(format!("{browser}: {name}\n{text}")),
                Outcome::NotApplicable(why) => println!("- for {browser}: {name}: {why}"),
            }
        }
        if let Some(text) = &column.other_failure {
            failures.push(format!("{browser}: its namespace\n{text}"));
        }
    }
    for failure in &failures {
        println!("\nFAILED on {}", failure.replace('\n', "\n    "));
    }
    println!("\n{passed} passed, {} failed", failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "ok",
        Outcome::Failed(_) => "FAILED",
        Outcome::NotApplicable(_) => "-",
    }
}
