//! What a bench or simulation measured: a table to read and rows to keep.
//!
//! A bench prints one JSON object a line for every single measurement,
//! `{"case","metric","unit","side":"ours"|"theirs","value"}`, and perhaps an
//! `"aim"` in words. From these come the medians; it computes none itself.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

/// One measurement of one run.
#[derive(Debug)]
struct Sample {
    case: String,
    metric: String,
    unit: String,
    ours: bool,
    value: f64,
    aim: String,
}

/// The medians of one metric in one case.
#[derive(Debug)]
struct Row {
    case: String,
    metric: String,
    unit: String,
    ours: Option<f64>,
    theirs: Option<f64>,
    runs: usize,
    aim: String,
}

/// Collects the measurements of one bench.
#[derive(Debug)]
pub(crate) struct Report {
    bench: String,
    samples: Vec<Sample>,
}

impl Report {
    pub(crate) fn new(bench: &str) -> Self {
        Self {
            bench: bench.to_owned(),
            samples: Vec::new(),
        }
    }

    /// Takes one line of a bench's output; false when it is no measurement.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        let sample = serde_json::from_str(line)
            .ok()
            .and_then(|value| Sample::read(&value));
        let taken = sample.is_some();
        self.samples.extend(sample);
        taken
    }

    /// The table, one line a row, aligned, as Markdown.
    pub(crate) fn table(&self) -> String {
        let mut head = vec!["case", "metric", "unit", "ours", "theirs", "ratio", "runs"];
        let has_aims = self.samples.iter().any(|sample| !sample.aim.is_empty());
        head.extend(has_aims.then_some("aim"));
        let mut lines: Vec<Vec<String>> =
            vec![head.iter().map(|name| (*name).to_owned()).collect()];
        let rows = self.rows();
        lines.extend(
            rows.iter()
                .map(|row| row.cells().into_iter().take(head.len()).collect()),
        );
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                lines
                    .iter()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let cells = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    // Words to the left, numbers to the right.
                    if column < 3 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                });
            text += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
            if index == 0 {
                let rules = widths.iter().enumerate().map(|(column, width)| {
                    let end = if column < 3 { "-" } else { ":" };
                    format!("{}{end}", "-".repeat(width + 1))
                });
                text += &format!("|{}|\n", rules.collect::<Vec<_>>().join("|"));
            }
        }
        text
    }

    /// Writes the rows as a JSON array.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let rows: Vec<Value> = self
            .rows()
            .iter()
            .map(|row| row.json(&self.bench))
            .collect();
        let text = serde_json::to_string_pretty(&rows)?;
        Ok(std::fs::write(path, text + "\n")?)
    }

    /// Rows in the order in which their first measurements came.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for sample in &self.samples {
            if !rows
                .iter()
                .any(|row| row.case == sample.case && row.metric == sample.metric)
            {
                rows.push(self.row(sample));
            }
        }
        rows
    }

    fn row(&self, of: &Sample) -> Row {
        let values = |ours: bool| {
            let same = self
                .samples
                .iter()
                .filter(|s| s.case == of.case && s.metric == of.metric);
            same.filter(|s| s.ours == ours)
                .map(|s| s.value)
                .collect::<Vec<_>>()
        };
        let (ours, theirs) = (values(true), values(false));
        Row {
            case: of.case.clone(),
            metric: of.metric.clone(),
            unit: of.unit.clone(),
            runs: ours.len().max(theirs.len()),
            ours: median(ours),
            theirs: median(theirs),
            aim: of.aim.clone(),
        }
    }
}

impl Sample {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        Some(Self {
            case: text("case")?,
            metric: text("metric")?,
            unit: text("unit")?,
            ours: text("side")? == "ours",
            value: value.get("value")?.as_f64()?,
            aim: text("aim").unwrap_or_default(),
        })
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        Some(self.ours? / self.theirs?).filter(|ratio| ratio.is_finite())
    }

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
        let (case, metric, unit) = (self.case.clone(), self.metric.clone(), self.unit.clone());
        let numbers = [self.ours, self.theirs, self.ratio()].map(number);
        [case, metric, unit]
            .into_iter()
            .chain(numbers)
            .chain([self.runs.to_string(), self.aim.clone()])
            .collect()
    }

    fn json(&self, bench: &str) -> Value {
        let mut row = json!({
            "bench": bench, "case": self.case, "metric": self.metric, "unit": self.unit,
            "ours": self.ours, "theirs": self.theirs, "ratio": self.ratio(), "runs": self.runs,
        });
        if !self.aim.is_empty() {
            row["aim"] = json!(self.aim);
        }
        row
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Three significant digits, which is more than two noisy cores deserve.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::new("b");
        assert!(lines.iter().all(|line| report.take(line)));
        report
    }

    #[test]
    fn medians_and_ratio_come_from_the_single_measurements() {
        let report = report(&[
            r#"{"case":"c","metric":"rate","unit":"MB/s","side":"ours","value":30}"#,
            r#"{"case":"c","metric":"rate","unit":"MB/s","side":"theirs","value":10}"#,
            r#"{"case":"c","metric":"rate","unit":"MB/s","side":"ours","value":20}"#,
            r#"{"case":"c","metric":"rate","unit":"MB/s","side":"ours","value":90}"#,
        ]);
        let expected = json!({
            "bench": "b", "case": "c", "metric": "rate", "unit": "MB/s",
            "ours": 30.0, "theirs": 10.0, "ratio": 3.0, "runs": 3,
        });
        assert_eq!(report.rows()[0].json("b"), expected);
        assert!(
            report
                .table()
                .contains("| c    | rate   | MB/s | 30.0 |   10.0 |  3.00 |    3 |")
        );
    }

    #[test]
    fn a_case_without_rival_has_no_ratio() {
        let line = r#"{"case":"c","metric":"m","unit":"s","side":"ours","value":1}"#;
        assert_eq!(report(&[line]).rows()[0].ratio(), None);
    }

    #[test]
    fn an_aim_stands_beside_the_figure() {
        let line = r#"{"case":"c","metric":"m","unit":"s","side":"ours","value":1,"aim":"<= 2"}"#;
        let report = report(&[line]);
        assert_eq!(report.rows()[0].json("b")["aim"], "<= 2");
        assert!(
            report.table().contains("|    1 | <= 2 |"),
            "{}",
            report.table()
        );
    }

    #[test]
    fn other_output_is_left_alone() {
        assert!(!Report::new("b").take("run 1 of 5"));
    }
}
