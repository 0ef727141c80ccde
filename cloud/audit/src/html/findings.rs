//! Findings as rows: a thousand that are alike are not a thousand lines.

use super::page::Cell;
use crate::{report::FindingLine, words::grouped};

/// Findings in a row that differ in their numbers only: more than these are counted.
const ALIKE_MAX: usize = 20;

/// Findings one after the other that say the same but for the numbers in them.
pub(super) fn alike<'a>(findings: impl Iterator<Item = &'a FindingLine>) -> Vec<Vec<&'a FindingLine>> {
    let shape = |finding: &FindingLine| -> (&'static str, String) {
        (finding.severity, finding.what.chars().filter(|letter| !letter.is_ascii_digit()).collect())
    };
    let mut groups: Vec<Vec<&FindingLine>> = Vec::new();
    for finding in findings {
        match groups.last_mut().filter(|group| shape(group[0]) == shape(finding)) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// The first of a group, how many are like them, and the last.
pub(super) fn finding_rows(group: &[&FindingLine]) -> Vec<Vec<Cell>> {
    if group.len() <= ALIKE_MAX {
        return group.iter().map(|finding| finding_row(finding)).collect();
    }
    let (first, rest) = group.split_at(ALIKE_MAX - 2);
    let (last, between) = rest.split_last().expect("there are more than were taken");
    let leaves: Vec<u64> = between.iter().filter_map(|finding| finding.leaf).collect();
    let place =
        leaves.first().zip(leaves.last()).map(|(from, to)| format!("{from} to {to}")).unwrap_or_default();
    let count =
        format!("{} more like these, which differ in their numbers only", grouped(between.len() as u64));
    let mut rows: Vec<Vec<Cell>> = first.iter().map(|finding| finding_row(finding)).collect();
    rows.push(vec![Cell::Number(place), Cell::Text(last.severity.to_owned()), Cell::Text(count)]);
    rows.push(finding_row(last));
    rows
}

fn finding_row(finding: &FindingLine) -> Vec<Cell> {
    let place = finding.leaf.map_or_else(|| "the file".to_owned(), |leaf| leaf.to_string());
    vec![Cell::Number(place), Cell::Text(finding.severity.to_owned()), Cell::Text(finding.what.clone())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: findings that differ in their numbers only are listed up to a bound, then counted; the last is always there.
    #[test]
    fn findings_that_are_alike_are_counted() {
        let finding = |leaf: u64, what: String| FindingLine {
            leaf: Some(leaf),
            name: "unreadable",
            severity: "missing",
            what,
        };
        let mut findings: Vec<FindingLine> =
            (0..50).map(|n| finding(n, format!("command {n} is missing"))).collect();
        findings.push(finding(50, "frame 1 is missing".to_owned()));
        let groups = alike(findings.iter());
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [50, 1]);
        let rows = finding_rows(&groups[0]);
        assert_eq!(rows.len(), ALIKE_MAX);
        let text = format!("{rows:?}");
        assert!(
            text.contains("31 more like these") && text.contains("18 to 48") && text.contains("command 49"),
            "{text}"
        );
        assert_eq!(finding_rows(&groups[1]).len(), 1);
    }
}
