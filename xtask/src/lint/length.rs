//! Function and file length. A reader sees a function on one screen; tables are the exception, and say so.

use super::source::Source;
use std::ops::Range;

const FUNCTION_LINES: usize = 60;
const FILE_LINES: usize = 600;
/// In a comment in or above a function, or at the start of a line of a file: this is a table or an exhaustive match.
const MARK: &str = "// table:";

/// What is too long in one file. Inline tests are not counted.
pub fn faults(path: &str, source: &Source) -> Vec<String> {
    let tests = source.test_blocks();
    let mut faults: Vec<String> = functions(source)
        .into_iter()
        .filter(|function| !tests.iter().any(|test| test.contains(&function.span.start)))
        .filter(|function| function.lines > FUNCTION_LINES && !function.is_table)
        .map(|function| {
            format!("{path}:{}: fn {} has {} lines", function.line, function.name, function.lines)
        })
        .collect();
    let in_tests: usize = tests.iter().map(|test| span_lines(source, test)).sum();
    let lines = source.text.lines().count() - in_tests;
    let is_table = source.text.lines().any(|line| line.starts_with(MARK) || line.starts_with("//! table:"));
    if lines > FILE_LINES && !is_table {
        faults.push(format!("{path}: {lines} lines"));
    }
    faults
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
    is_table: bool,
    span: Range<usize>,
}

/// Every function with a body. `fn(..)` types have no name and are none.
fn functions<'a>(source: &Source<'a>) -> Vec<Function<'a>> {
    let function = |at: usize| {
        let name = source.next_word(at + "fn".len())?;
        let span = at..source.block_after(at)?.end;
        let is_table = source.text.get(span.clone())?.contains(MARK) || marked_above(source, at);
        Some(Function { name, line: source.line(at), lines: span_lines(source, &span), is_table, span })
    };
    source.words("fn").into_iter().filter_map(function).collect()
}

fn span_lines(source: &Source, span: &Range<usize>) -> usize {
    source.line(span.end) - source.line(span.start) + 1
}

/// The comment and attribute lines just above the line of `at` hold the mark.
fn marked_above(source: &Source, at: usize) -> bool {
    let above = source.text.get(..at).unwrap_or("");
    let is_head = |line: &&str| ["//", "#["].iter().any(|start| line.trim_start().starts_with(start));
    // Not lines(): before a function without `pub` its own line is empty.
    above.rsplit('\n').skip(1).take_while(is_head).any(|line| line.contains(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize, head: &str, body: &str) -> String {
        format!("{head}pub fn long(a: u8) -> u8 {{\n{body}{}}}\n", "    a;\n".repeat(lines - 2))
    }

    fn count(text: &str) -> usize {
        faults("x.rs", &Source::new(text)).len()
    }

    #[test]
    fn a_function_of_60_lines_passes_and_one_of_61_does_not() {
        assert_eq!(count(&function(60, "", "")), 0);
        assert_eq!(faults("x.rs", &Source::new(&function(61, "", ""))), ["x.rs:1: fn long has 61 lines"]);
    }

    #[test]
    fn a_table_says_so_inside_or_above() {
        assert_eq!(count(&function(80, "", "    // table: op, handler\n")), 0);
        assert_eq!(count(&function(80, "/// Doc.\n// table: an exhaustive match\n#[inline]\n", "")), 0);
        assert_eq!(count(&function(80, "// table: of another\n\n", "")), 1);
    }

    #[test]
    fn inline_tests_are_not_counted() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(700, "", ""));
        assert_eq!(count(&tests), 0);
    }

    #[test]
    fn a_long_file_is_a_fault_unless_it_is_a_table() {
        let lines = "const A: u8 = 1;\n".repeat(601);
        assert_eq!(count(&lines), 1);
        assert_eq!(count(&format!("//! table: names\n{lines}")), 0);
    }

    #[test]
    fn a_function_type_and_a_required_method_have_no_length() {
        let text =
            format!("type F = fn(u8) -> u8;\ntrait T {{\n    fn f(&self);\n}}\n{}", "// x\n".repeat(100));
        assert_eq!(count(&text), 0);
    }
}
