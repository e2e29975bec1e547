//! The report for people: tables in Markdown, as the README shows them.

use super::{OURS, brief, goals, machine, ratio, series, show, spread};
use crate::rounds::{Case, Series};
use crate::task::Task;

/// All tables, what they were made with, and whether what was asked for holds.
pub fn tables(rounds: u32, cases: &[Case], command: &[String]) -> String {
    let mut out = head(rounds, command);
    for case in cases {
        out += &table(&case.task, case);
    }
    out += &brief::brief(cases).unwrap_or_default();
    let goals = goals::lines(cases);
    if !goals.is_empty() {
        out += "\n### What was asked for\n\n";
        out += "| figure | asked | measured | holds |\n|---|---|---|---|\n";
        for line in goals {
            out += &format!("{line}\n");
        }
    }
    out
}

/// What figures were made with, and how to read them.
pub fn head(rounds: u32, command: &[String]) -> String {
    let mut out = String::new();
    for fact in machine::facts(command) {
        out += &format!("{fact}.\n");
    }
    out + &format!("Figures are medians of {rounds}, with the least and the most in brackets.\n")
}

fn table(task: &Task, case: &Case) -> String {
    let workload = case.workload;
    let mut out = format!(
        "\n### {}\n\n{}; sealed with {} where it is encrypted.\n\n| peer |",
        workload.title,
        workload.size(task),
        case.suite.name()
    );
    let columns: Vec<_> = workload
        .columns()
        .filter(|column| case.all.iter().any(|one| spread(one, column.metric).is_some()))
        .collect();
    for column in &columns {
        out += &format!(" {} |", column.head);
    }
    let direction =
        if workload.more_is_better { "tripline is × this" } else { "tripline needs × this" };
    out += &format!(" {direction} |\n|---|{}---|\n", "---|".repeat(columns.len()));
    for one in &case.all {
        out += &format!("| {} |", name(one));
        for column in &columns {
            let cell = spread(one, column.metric).map(|spread| show(spread, column.digits));
            out += &format!(" {} |", cell.unwrap_or_default());
        }
        let ours = series(case, OURS).filter(|ours| ours.peer.name != one.peer.name);
        let ratio = ours.and_then(|ours| ratio(ours, one, workload.main.metric));
        out += &format!(" {} |\n", ratio.map(|ratio| show(ratio, 2)).unwrap_or_default());
    }
    out
}

/// The name, and what a reader must know about it.
fn name(series: &Series) -> String {
    let peer = series.peer;
    let mut notes = Vec::new();
    if peer.suites.is_empty() {
        notes.push("not encrypted".to_owned());
    }
    if peer.part > 1 {
        notes.push(format!("1/{} of the work", peer.part));
    }
    if notes.is_empty() {
        peer.name.to_owned()
    } else {
        format!("{} ({})", peer.name, notes.join("; "))
    }
}
