//! Findings as a person reads them and as a program does.

use super::{Finding, Verdict, examine, worst};
use serde::Serialize;
use std::io::{self, Write};

/// Examines the machine and writes the report to `out`, as JSON or as a table. A command should fail if
/// the verdict returned, the worst of all, is [`Verdict::Fail`].
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(as_json: bool, colour: bool, out: &mut impl Write) -> io::Result<Verdict> {
    let findings = examine();
    let text = if as_json { json(&findings) } else { table(&findings, colour) };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(worst(&findings))
}

/// One line a finding; below what is not well, what it means and how to mend it. `colour` adds ANSI colours.
pub fn table(findings: &[Finding], colour: bool) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { subject, verdict, found, means, mend } in findings {
        let mark = mark(*verdict, colour);
        text += &format!("{mark}  {subject:width$}  {found}\n");
        if let Some(mend) = mend {
            let indent = 6 + width;
            text += &format!("{:indent$}  it means: {means}\n{:indent$}  to mend:  {mend}\n", "", "");
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (ok, warn, fail) = (count(Verdict::Ok), count(Verdict::Warn), count(Verdict::Fail));
    text + &format!("\n{ok} ok, {warn} warn, {fail} fail\n")
}

fn mark(verdict: Verdict, colour: bool) -> String {
    let (word, ansi) = match verdict {
        Verdict::Ok => ("ok  ", 32),
        Verdict::Warn => ("warn", 33),
        Verdict::Fail => ("fail", 31),
    };
    if colour { format!("\x1b[{ansi}m{word}\x1b[0m") } else { word.to_owned() }
}

/// An object with the worst `verdict` and all `findings`, ended by a newline.
pub fn json(findings: &[Finding]) -> String {
    #[derive(Serialize)]
    struct Report<'a> {
        verdict: Verdict,
        findings: &'a [Finding],
    }
    let report = Report { verdict: worst(findings), findings };
    // Strings and plain enums always serialise.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<Finding> {
        vec![
            Finding::ok("kernel", "Linux 6.1", "good"),
            Finding::warn("a port", "in use", "so so", "free it"),
        ]
    }

    #[test]
    fn the_table_explains_only_what_is_not_well() {
        let text = table(&two(), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok    kernel  Linux 6.1");
        assert_eq!(lines[1], "warn  a port  in use");
        assert!(lines[2].ends_with("it means: so so") && lines[3].ends_with("to mend:  free it"));
        assert_eq!(lines.last(), Some(&"1 ok, 1 warn, 0 fail"));
        assert!(!text.contains('\x1b') && table(&two(), true).contains('\x1b'));
    }

    #[test]
    fn the_json_can_be_read_back() {
        let report: serde_json::Value = serde_json::from_str(&json(&two())).unwrap();
        assert_eq!(report["verdict"], "warn");
        assert_eq!(report["findings"][0]["verdict"], "ok");
        assert!(report["findings"][0].get("mend").is_none());
        assert_eq!(report["findings"][1]["mend"], "free it");
    }
}
